"""What files hold, in short: fingerprints that notice every change that matters to depth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from reliefseg.raster.opening import is_data, opened


def fingerprint(paths: Iterable[Path]) -> str:
    """SHA-256 over rasters: the bytes of every file they are made of, and how their headers are read.

    The parts of a VRT, world files and masks count; overviews and statistics that viewers write do not. Names and
    times of change do not count either. A file that is missing or cannot be opened is an `InputError`.
    """
    facts = [fact for path in paths for fact in _facts(Path(path))]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _facts(path: Path) -> Iterator[object]:
    with opened(path) as dataset:
        parts = [Path(part) for part in dataset.files]
        crs = None if dataset.crs is None else dataset.crs.to_wkt()
        yield [dataset.height, dataset.width, list(dataset.transform), crs, list(dataset.dtypes)]
        yield [repr(dataset.nodatavals), repr(dataset.scales), repr(dataset.offsets)]
        yield [[c.name for c in dataset.colorinterp], repr(dataset.mask_flag_enums)]
    for part in sorted(parts):
        if part.resolve() == path.resolve() or _matters(part):
            yield hash_file(part)
        if part.suffix.lower() == ".vrt" and part.resolve() != path.resolve():
            yield from _facts(part)


def _matters(part: Path) -> bool:
    return part.is_file() and is_data(part.name)
