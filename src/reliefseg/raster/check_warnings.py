"""What lets one doubt a data set without stopping anybody."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reliefseg.raster.check_report import CheckReport
from reliefseg.raster.dataset import Dataset
from reliefseg.raster.grid import GSDS, STRETCH
from reliefseg.raster.inspection import Inspection
from reliefseg.raster.polygons import is_polygons
from reliefseg.raster.scene import Scene
from reliefseg.raster.tables import count_of, percent

GSD_FACTOR = 1.5
"""Scenes whose gsd differ by more than this factor are worth a warning."""


def doubts_about(report: CheckReport, dataset: Dataset, inspections: Mapping[str, Inspection]) -> list[str]:
    """All warnings about sizes of pixels, data types, classes and what scenes hold."""
    return [
        *_odd_gsd_warnings(report),
        *_gsd_warnings(report),
        *_stretch_warnings(dataset),
        *_dtype_warnings(report),
        *_class_warnings(report),
        *_score_warnings(report),
        *_unlabelled_warnings(report, dataset),
        *(w for name, found in inspections.items() for w in _pixel_warnings(dataset.scenes[name], found)),
    ]


def _gsd_warnings(report: CheckReport) -> list[str]:
    known = sorted((row.gsd, row.name) for row in report.scenes if row.gsd is not None)
    if not known or known[-1][0] <= GSD_FACTOR * known[0][0]:
        return []
    (fine, one), (coarse, other) = known[0], known[-1]
    return [
        f"the gsd differs by a factor {coarse / fine:.1f}: {fine:.3g} m a pixel (scene {one}) to {coarse:.3g} "
        f"(scene {other}); objects differ in size by that much: resample, or make two data sets"
    ]


def _odd_gsd_warnings(report: CheckReport) -> list[str]:
    finest, coarsest = GSDS
    odd = [row for row in report.scenes if row.gsd is not None and not finest <= row.gsd <= coarsest]
    if not odd:
        return []
    named = ", ".join(f"{row.name} ({row.gsd:.3g} m)" for row in odd[:5]) + (", …" if len(odd) > 5 else "")
    return [
        f"the gsd of {len(odd)} of {len(report.scenes)} scenes is not within {finest:g} to {coarsest:g} m a pixel: "
        f"{named}; is it in other units? Correct gsd in dataset.toml, or train without depth: --set depth.source=none"
    ]


def _stretch_warnings(dataset: Dataset) -> list[str]:
    odd = {
        name: scene.grid.pixel_sides for name, scene in dataset.scenes.items() if (scene.grid.stretch or 1) > STRETCH
    }
    if not odd:
        return []
    sides = [f"{name} ({s[0]:.3g} m wide, {s[1]:.3g} m high)" for name, s in odd.items() if s is not None]
    named = ", ".join(sides[:5]) + (", …" if len(sides) > 5 else "")
    return [
        f"the pixels of {len(odd)} of {len(dataset.scenes)} scenes are not square on the ground: {named}; objects look "
        "stretched: warp images, labels and heights to square pixels of a projected CRS (gdalwarp -t_srs … -tr …)"
    ]


def _dtype_warnings(report: CheckReport) -> list[str]:
    """Data types differ in what a value means: 255 is white in one and black in the other."""
    scenes: dict[str, list[str]] = {}
    for row in report.scenes:
        scenes.setdefault(row.dtype, []).append(row.name)
    if len(scenes) < 2:
        return []
    kinds = [f"{dtype} ({count_of(len(names), 'scene')}, as {names[0]})" for dtype, names in scenes.items()]
    return [
        f"the scenes have different data types: {', '.join(kinds)}; the same value means other brightness there: bring "
        "them to one type and scale (gdal_translate -ot … -scale …)"
    ]


def _class_warnings(report: CheckReport) -> list[str]:
    """Classes that nothing is learnt about, and those that are nevertheless asked for."""
    if "pixel_labelled" not in report.stated_splits():
        return []
    missing = [name for name, px in zip(report.classes, report.pixels("pixel_labelled"), strict=True) if px == 0]
    if not missing:
        return []
    lines = [f"classes without a labelled pixel in pixel_labelled: {', '.join(missing)}; networks cannot learn them"]
    for name in missing:
        asked = {s: report.shares(s)[name] for s in ("validation", "test")}
        if places := [f"{split} ({percent(share)})" for split, share in asked.items() if share]:
            lines.append(
                f"class {name}: occurs in {' and '.join(places)}, but no training scene has pixel labels of it; its "
                "IoU there will be 0: move a scene that shows it into pixel_labelled"
            )
    return lines


def _score_warnings(report: CheckReport) -> list[str]:
    return [
        f"split {split}: no pixel has a class; nothing can be scored on it: label one of its scenes, or name others"
        for split in ("validation", "test")
        if split in report.stated_splits() and not sum(report.pixels(split))
    ]


def _unlabelled_warnings(report: CheckReport, dataset: Dataset) -> list[str]:
    """Scenes whose labels name no class anywhere, in splits where others have some."""
    scored = [split for split in ("pixel_labelled", "validation", "test") if sum(report.pixels(split))]
    lines = []
    for row in report.scenes:
        labels, splits = dataset.scenes[row.name].labels, [split for split in scored if split in row.splits]
        if labels is None or not splits or not row.valid_px or row.class_px is None or any(row.class_px):
            continue
        why = f"none of its labels lie on valid pixels; is the CRS of {labels} right?"
        if not is_polygons(labels):
            why = f"all of {labels} is ignored; are these its labels?"
        lines.append(f"scene {row.name}: is in the split {splits[0]}, but no pixel has a class: {why}")
    return lines


def _pixel_warnings(scene: Scene, found: Inspection) -> list[str]:
    lines = []
    if found.is_image_whole and (found.low is None or found.high is None):
        lines.append(f"scene {scene.name}: is empty, no pixel is valid (nodata or transparent everywhere)")
    elif found.is_image_whole and found.low is not None and found.high is not None:
        lines += _constant_warnings(scene, found.low.tolist(), found.high.tolist())
    if not found.has_measured_heights:
        lines.append(f"scene {scene.name}: its heights are empty, no pixel was measured")
    return lines + [_undeclared_warning(scene, path, value) for path, value in found.undeclared]


def _undeclared_warning(scene: Scene, path: Path, value: float) -> str:
    return (
        f"scene {scene.name}: {path} holds {value:.17g} as if it were measured; that often means that nothing was, "
        f"and spoils statistics of bands and heights: declare it nodata (gdal_edit.py -a_nodata {value:.17g} {path})"
    )


def _constant_warnings(scene: Scene, low: list[float], high: list[float]) -> list[str]:
    same = [(band, lo) for band, lo, hi in zip(scene.bands, low, high, strict=False) if lo == hi]
    if len(same) == len(low):
        return [f"scene {scene.name}: is constant, every valid pixel is {', '.join(f'{v:g}' for _, v in same)}"]
    return [f"scene {scene.name}: the band {band} is constant, {value:g} everywhere" for band, value in same]
