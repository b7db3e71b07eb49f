"""What lies in a folder: rasters, polygons and tile labels, and which of them belong together."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from reliefseg.errors import InputError
from reliefseg.raster.contents import TileTable, looks_like_labels, read_tile_table
from reliefseg.raster.names import Named, pair_files, read_name, settle_roles
from reliefseg.raster.opening import Header, read_header
from reliefseg.raster.patterns import PLACEHOLDER, not_utf8, readable

RASTER_SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".jpg", ".jpeg", ".jp2")
POLYGON_SUFFIXES = (".gpkg", ".geojson", ".shp")
OWN_FILES = {
    "predictions": ("prediction.json",),
    "runs": ("config.toml", "log.jsonl"),
    "models": ("config.json", "model.safetensors"),
}
"""What a folder that this program wrote holds, by what it wrote there."""
OwnFolders = dict[str, list[PurePosixPath]]
"""Folders that this program wrote, by what is in them."""


@dataclass
class Findings:
    """What is gathered on the way. Paths are relative to `root`; `pairs` gives each image its companions.

    `shared` is a file of polygons for all scenes; `labelled` are the images with labels; `tile_file` is the table
    of tile labels that is used; `settings` are keys of `[files]` that are no patterns.
    """

    root: Path
    rasters: list[PurePosixPath] = field(default_factory=list)
    polygons: list[PurePosixPath] = field(default_factory=list)
    tables: dict[PurePosixPath, TileTable] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    pairs: dict[PurePosixPath, dict[str, PurePosixPath]] = field(default_factory=dict)
    headers: dict[PurePosixPath, Header] = field(default_factory=dict)
    shared: PurePosixPath | None = None
    labelled: set[PurePosixPath] = field(default_factory=set)
    tile_file: PurePosixPath | None = None
    settings: dict[str, str] = field(default_factory=dict)


def look_around(root: Path) -> Findings:
    """All files that may matter; links that lead nowhere and names that cannot be written down are told."""
    found = Findings(root)
    own: OwnFolders = {}
    for path in walk(root, own):
        suffix = path.suffix.lower()
        tables = read_tile_table(root / path) if suffix == ".csv" else None
        if suffix not in (*RASTER_SUFFIXES, *POLYGON_SUFFIXES) and tables is None:
            continue
        if problem := _unusable_name(root, path):
            found.left_out.append(problem)
        elif tables is not None:
            found.tables[path] = tables
        else:
            (found.polygons if suffix in POLYGON_SUFFIXES else found.rasters).append(path)
    found.left_out += [_own_line(kind, folders) for kind, folders in own.items()]
    return found


def walk(root: Path, own: OwnFolders) -> Iterator[PurePosixPath]:
    """Files below a folder in order, hidden ones left out, linked folders included (each once).

    Folders below it that this program wrote are not entered but added to `own`: a prediction is no label.
    """
    seen: set[str] = set()
    for base, folders, files in os.walk(root, followlinks=True):
        here, relative = os.path.realpath(base), PurePosixPath(Path(base).relative_to(root))
        kind = _own_kind(files) if relative.parts else None
        if kind is not None:
            own.setdefault(kind, []).append(relative)
        is_entered = here not in seen and kind is None
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if is_entered else []
        if is_entered:
            seen.add(here)
            yield from (relative / file for file in sorted(files) if not file.startswith("."))


def _own_kind(files: Collection[str]) -> str | None:
    """What this program wrote into a folder with these files; None where they are someone else's."""
    return next((kind for kind, names in OWN_FILES.items() if set(names) <= set(files)), None)


def _own_line(kind: str, folders: list[PurePosixPath]) -> str:
    more = f" and {len(folders) - 3} more" if len(folders) > 3 else ""
    named = ", ".join(readable(folder) for folder in folders[:3])
    return f"{named}{more}: left out, for these are {kind} that reliefseg wrote, no data"


def _unusable_name(root: Path, path: PurePosixPath) -> str | None:
    shown = readable(path)
    if not (root / path).is_file():
        return f"{shown}: is left out, for it is no file (a link that leads nowhere?)"
    if PLACEHOLDER in str(path):
        return f"{shown}: is left out, for its name contains {PLACEHOLDER}; rename it"
    return not_utf8(path)


def pair_up(found: Findings) -> None:
    """Roles and pairs by name; heights and ground that are no single band are left out."""
    named = settle_roles(found.rasters, lambda path: looks_like_labels(found.root / path))
    useless = [f for f in named if f.role == "none"]
    found.left_out += [f"{f.path}: is left out, for its name says that it is derived or a preview" for f in useless]
    kept = [f for f in named if f.role != "none" and _has_one_band(found, f)]
    if not any(f.role == "labels" for f in kept):
        kept += [read_name(p, "labels") for p in found.polygons]
    pairing = pair_files(kept)
    if not pairing.scenes:
        raise InputError(_no_images(found, kept))
    found.pairs = pairing.scenes
    found.left_out += pairing.left_out
    for image in found.pairs:
        with suppress(InputError):  # told by survey_dataset
            found.headers[image] = read_header(found.root / image)
    if pairing.guessed:
        some = ", ".join(map(str, pairing.guessed[:3]))
        found.unknown.append(f"whether {len(pairing.guessed)} files are paired well, only by a number or so: {some}")
    _share_polygons(found)


def _has_one_band(found: Findings, file: Named) -> bool:
    """True for files that cannot be opened, too: their fault is told by `check`."""
    if file.role not in ("heights", "ground"):
        return True
    try:
        count = read_header(found.root / file.path).band_count
    except InputError:
        return True
    if count != 1:
        found.left_out.append(f"{file.path}: is left out, for {file.role} have one band, and this has {count}")
    return count == 1


def _no_images(found: Findings, named: list[Named]) -> str:
    expected = "expected GeoTIFF, VRT, PNG or JPEG files"
    if not named:
        reasons = f" ({'; '.join(found.left_out[:3])})" if found.left_out else ""
        return f"{found.root}: holds no images{reasons}; {expected}"
    some = ", ".join(str(f.path) for f in named[:3])
    return f"{found.root}: holds no images, only what is {named[0].role} by its name ({some}); {expected}, too"


def _share_polygons(found: Findings) -> None:
    """A single file of polygons that goes with no image by its name goes with all of them."""
    paired = {files.get("labels") for files in found.pairs.values()}
    alone = [p for p in found.polygons if p not in paired]
    has_labels = any(p is not None for p in paired)
    if len(alone) == 1 and not has_labels:
        found.shared = alone[0]
    told = {line.split(": ")[0] for line in found.left_out}
    found.left_out = [
        line for line in found.left_out if found.shared is None or not line.startswith(f"{found.shared}: ")
    ]
    others = [p for p in alone if p != found.shared and str(p) not in told]
    found.left_out += [f"{p}: is left out, for there are other labels" for p in others]
