"""The result files of a scene, and the note that they are finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reliefseg.errors import InputError
from reliefseg.raster.files import probe_folder, read_json_if_whole, write_json

NOTE = "prediction.json"


def fresh_folder(folder: Path) -> Path:
    """An empty folder in the place of whatever an interrupted process left there."""
    shutil.rmtree(folder, ignore_errors=True)
    probe_folder(folder)
    return folder


def hand_over(files: dict[str, Path], out: Path, made_by: dict[str, Any]) -> dict[str, str]:
    """Moves finished results to their place, and last a note of what they were made by; returns their paths.

    What an earlier note lists and is not among them is removed: results in one folder are of one model. Meanwhile the
    note lists what may lie there, and no more. InputError where a file there cannot be replaced.
    """
    probe_folder(out)
    grown = {path.name: path for file in files.values() for path in file.parent.iterdir()}
    earlier = set(_note(out).get("all", ()))
    named = {what: path.name for what, path in files.items()}
    with _explained_moving(out):
        write_json(out / NOTE, {"all": sorted(earlier | grown.keys())})
        for name in earlier - grown.keys():
            (out / name).unlink(missing_ok=True)
        for name, path in grown.items():
            path.replace(out / name)
        write_json(out / NOTE, {**made_by, "files": named, "all": sorted(grown)})
    return {what: str(out / path.name) for what, path in files.items()}


@contextmanager
def _explained_moving(out: Path) -> Iterator[None]:
    """An `InputError` in place of what is raised where another program has a file open, or the disk fails."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{out}: the results there are incomplete: {error.filename2 or error.filename} cannot be written "
            f"({error.strerror}); close what has the file open, or make room: then the same command finishes them"
        ) from error


def finished_files(out: Path, made_by: dict[str, Any]) -> dict[str, str]:
    """The files that were finished and made by just this; empty where they were not, or one is gone."""
    note = _note(out)
    files = {what: str(out / name) for what, name in note.get("files", {}).items()}
    same = all(note.get(name) == value for name, value in made_by.items())
    return files if same and all(Path(f).exists() for f in files.values()) else {}


def _note(out: Path) -> dict[str, Any]:
    return read_json_if_whole(out / NOTE) or {}
