"""The result files of a scene, and the note that they are finished."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from reliefseg.raster import probe_folder, write_json

NOTE = "prediction.json"


def fresh_folder(folder: Path) -> Path:
    """An empty folder in the place of whatever an interrupted process left there."""
    shutil.rmtree(folder, ignore_errors=True)
    probe_folder(folder)
    return folder


def hand_over(files: dict[str, Path], out: Path, made_by: dict[str, Any]) -> dict[str, str]:
    """Moves finished results to their place, and last a note of what they were made by; returns their paths."""
    probe_folder(out)
    (out / NOTE).unlink(missing_ok=True)
    for path in {p for file in files.values() for p in file.parent.iterdir()}:
        path.replace(out / path.name)
    write_json(out / NOTE, {**made_by, "files": {what: path.name for what, path in files.items()}})
    return {what: str(out / path.name) for what, path in files.items()}


def finished_files(out: Path, made_by: dict[str, Any]) -> dict[str, str]:
    """The files that were finished and made by just this; empty where they were not, or one is gone."""
    try:
        note = json.loads((out / NOTE).read_text(encoding="utf-8"))
        files = {what: str(out / name) for what, name in note["files"].items()}
    except (OSError, ValueError, KeyError):
        return {}
    same = all(note.get(name) == value for name, value in made_by.items())
    return files if same and all(Path(f).exists() for f in files.values()) else {}
