"""The result files of a scene, and the note that they are finished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from reliefseg.inference.blocks import Block
from reliefseg.raster import ClassTable, Grid, new_class_map, probe_folder, write_json

NOTE = "prediction.json"


def write_scene(blocks: Iterable[Block], grid: Grid, classes: ClassTable, out: Path) -> dict[str, str]:
    """Writes a scene's results into a folder; returns the files' names by what they are."""
    path = out / "classes.tif"
    with new_class_map(path, grid, classes) as dataset:
        for block in blocks:
            dataset.write(block.class_ids, 1, window=block.window.to_rasterio())
    return {"classes": path.name}


def fresh_folder(folder: Path) -> Path:
    """An empty folder in the place of whatever an interrupted process left there."""
    shutil.rmtree(folder, ignore_errors=True)
    probe_folder(folder)
    return folder


def hand_over(results: Path, out: Path, key: str, engine: str, files: dict[str, str]) -> dict[str, str]:
    """Moves finished results to their place, and last a note of what they were made by; returns their paths."""
    probe_folder(out)
    (out / NOTE).unlink(missing_ok=True)
    for name in files.values():
        (results / name).replace(out / name)
    write_json(out / NOTE, {"key": key, "engine": engine, "files": files})
    return {what: str(out / name) for what, name in files.items()}


def finished_files(out: Path, key: str) -> dict[str, str]:
    """The files that were finished with this key; empty where they were not, or one is gone."""
    try:
        note = json.loads((out / NOTE).read_text(encoding="utf-8"))
        files = {what: str(out / name) for what, name in note["files"].items()}
    except (OSError, ValueError, KeyError):
        return {}
    return files if note.get("key") == key and all(Path(f).exists() for f in files.values()) else {}
