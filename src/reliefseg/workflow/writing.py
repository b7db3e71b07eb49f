"""The result files of a scene, and the note that they are finished."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from reliefseg.inference.blocks import Block
from reliefseg.raster import ClassTable, Grid, new_class_map, write_json

NOTE = "prediction.json"


def write_scene(blocks: Iterable[Block], grid: Grid, classes: ClassTable, out: Path) -> dict[str, str]:
    """Writes a scene's results; returns the files by what they are."""
    path = out / "classes.tif"
    with new_class_map(path, grid, classes) as dataset:
        for block in blocks:
            dataset.write(block.class_ids, 1, window=block.window.to_rasterio())
    return {"classes": str(path)}


def record_finished(out: Path, key: str, engine: str, files: dict[str, str]) -> None:
    """Notes beside the results what they were made by."""
    names = {what: Path(file).name for what, file in files.items()}
    write_json(out / NOTE, {"key": key, "engine": engine, "files": names})


def finished_files(out: Path, key: str) -> dict[str, str]:
    """The files that were finished with this key; empty where they were not, or one is gone."""
    try:
        note = json.loads((out / NOTE).read_text(encoding="utf-8"))
        files = {what: str(out / name) for what, name in note["files"].items()}
    except (OSError, ValueError, KeyError):
        return {}
    return files if note.get("key") == key and all(Path(f).exists() for f in files.values()) else {}
