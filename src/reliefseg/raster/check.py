"""What a data set holds and what is wrong with it: every file is read to its end."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reliefseg.errors import InputError
from reliefseg.raster.check_report import CheckReport, SceneRow
from reliefseg.raster.check_warnings import doubts_about
from reliefseg.raster.dataset import Dataset, survey_dataset
from reliefseg.raster.dataset_file import DatasetFile, parse_dataset_file
from reliefseg.raster.grid import Grid, Window
from reliefseg.raster.inspection import Inspection, inspect_scene
from reliefseg.raster.patterns import COMPANIONS, PLACEHOLDER, match_pattern
from reliefseg.raster.scene import Scene
from reliefseg.raster.tile_labels import ruled_windows

Tick = Callable[[int, int], None]
"""Told after each scene how many of how many are done."""


def check_dataset(path: str | Path, tick: Tick | None = None) -> CheckReport:
    """Reads every file of a data set to its end and tells what is there and what is wrong.

    Only faults of `dataset.toml` itself are raised (`InputError`): without it nothing can be looked at. Large
    rasters are read in strips.
    """
    dataset, faults = survey_dataset(path)
    parsed = parse_dataset_file(dataset.file)
    inspections: dict[str, Inspection] = {}
    for done, scene in enumerate(dataset.scenes.values(), 1):
        inspections[scene.name] = inspect_scene(scene, _tile_windows(dataset, scene))
        if tick is not None:
            tick(done, len(dataset.scenes))
    faults = [*faults, *_broken_links(dataset.root, parsed), *(f for i in inspections.values() for f in i.faults)]
    report = CheckReport(
        name=dataset.name,
        file=dataset.file,
        bands=dataset.bands,
        classes=dataset.classes.names,
        scenes=tuple(_row(scene, dataset, inspections[scene.name]) for scene in dataset.scenes.values()),
        tile_labels=_count_tile_labels(dataset, inspections),
        errors=tuple(dict.fromkeys(faults)),
        warnings=(),
    )
    warnings = [*doubts_about(report, dataset, inspections), *_unused_patterns(dataset.root, parsed)]
    return replace(report, warnings=tuple(warnings))


def _row(scene: Scene, dataset: Dataset, found: Inspection) -> SceneRow:
    return SceneRow(
        name=scene.name,
        height=scene.grid.height,
        width=scene.grid.width,
        gsd=scene.grid.gsd,
        crs=_crs_text(scene.grid),
        dtype=str(scene.dtype),
        splits=tuple(split for split, names in dataset.splits.items() if scene.name in names),
        valid_px=found.valid_px if found.is_image_whole else None,
        class_px=None if found.class_px is None else tuple(found.class_px.tolist()),
        has_heights=scene.has_heights,
    )


def _crs_text(grid: Grid) -> str | None:
    """`EPSG:25832`, else the CRS's own name."""
    if grid.crs is None:
        return None
    text = str(grid.crs.to_string())
    return text if '"' not in text else text.split('"')[1]


def _tile_windows(dataset: Dataset, scene: Scene) -> list[Window]:
    """The windows whose tile labels come from this scene's label file."""
    rule = dataset.tile_rule
    if rule is None or rule.size is None or rule.file or scene.name not in dataset.splits.get("tile_labelled", ()):
        return []
    return ruled_windows(scene, rule, rule.size)


def _count_tile_labels(dataset: Dataset, inspections: dict[str, Inspection]) -> int | None:
    if dataset.tile_rule is not None and dataset.tile_rule.file is not None:
        try:
            return len(dataset.tile_labels())
        except InputError:
            return None  # survey_dataset has told why
    found = [inspections[name].labelled_windows for name in dataset.splits.get("tile_labelled", ())]
    return sum(int(seen.sum()) for seen in found if seen is not None)


def _broken_links(root: Path, parsed: DatasetFile) -> list[str]:
    """Links that fit a pattern and lead nowhere: patterns pass over them as if they were not there."""
    return [
        f"{role} {path}: is a link to {path.readlink()}, which does not exist; mend or remove it"
        for role in ("images", *COMPANIONS)
        for path in _candidates(root, getattr(parsed.files, role) or "")
        if path.is_symlink() and not path.exists()
    ]


def _candidates(root: Path, pattern: str) -> list[Path]:
    """Whatever a pattern may mean, broken links too; nothing for a pattern that is not stated."""
    if not pattern:
        return []
    shape = "*".join(map(glob.escape, str(root / pattern).split(PLACEHOLDER)))
    return [Path(found) for found in sorted(glob.glob(shape))]  # noqa: PTH207


def _unused_patterns(root: Path, parsed: DatasetFile) -> list[str]:
    patterns = {role: getattr(parsed.files, role) or "" for role in COMPANIONS}
    return [
        f"[files] {role}: no file fits {pattern!r}; correct the pattern or leave it out"
        for role, pattern in patterns.items()
        if PLACEHOLDER in pattern and not match_pattern(root, pattern)
    ]
