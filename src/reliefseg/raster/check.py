"""What a data set holds and what is wrong with it: every file is read to its end."""

from __future__ import annotations

import glob
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reliefseg.errors import InputError
from reliefseg.raster.dataset import Dataset, survey_dataset
from reliefseg.raster.dataset_file import SPLITS, DatasetFile, parse_dataset_file
from reliefseg.raster.grid import Grid, Window
from reliefseg.raster.inspection import Inspection, inspect_scene
from reliefseg.raster.patterns import COMPANIONS, PLACEHOLDER, match_pattern
from reliefseg.raster.polygons import is_polygons
from reliefseg.raster.scene import Scene
from reliefseg.raster.tables import count_of, percent, text_table
from reliefseg.raster.tile_labels import ruled_windows

GSD_FACTOR = 1.5
"""Scenes whose gsd differ by more than this factor are worth a warning."""
GSDS = (0.01, 2.0)
"""Metres a pixel that the depth network takes. It has learnt from up to 1.6 m; at 2 m a house is five pixels, and
windows, 26 px wide there, become too many to look at. What lies outside is most often a slip of units."""

Tick = Callable[[int, int], None]
"""Told after each scene how many of how many are done."""

STRETCH = 1.2
"""Pixels whose sides differ by more than this factor on the ground are worth a warning."""


@dataclass(frozen=True)
class SceneRow:
    """One scene: pixels, metres a pixel (None: unknown), where it lies, its splits, what its pixels hold.

    `valid_px` is None where the image is damaged. `class_px` has one count a class; None without labels that
    can be read.
    """

    name: str
    height: int
    width: int
    gsd: float | None
    crs: str | None
    dtype: str
    splits: tuple[str, ...]
    valid_px: int | None
    class_px: tuple[int, ...] | None
    has_heights: bool


@dataclass(frozen=True)
class CheckReport:
    """All that was found: errors (nothing else starts with them), warnings (go on), and the scenes that open.

    `tile_labels` is the number of tile labels used, the price of the result; None where they cannot be read.
    """

    name: str
    file: Path
    bands: tuple[str, ...]
    classes: tuple[str, ...]
    scenes: tuple[SceneRow, ...]
    tile_labels: int | None
    errors: tuple[str, ...]
    warnings: tuple[str, ...]

    def pixels(self, split: str) -> list[int]:
        """Labelled pixels of each class in a split."""
        counts = [row.class_px for row in self.scenes if split in row.splits and row.class_px is not None]
        return [sum(column) for column in zip(*counts, strict=True)] or [0] * len(self.classes)

    def shares(self, split: str) -> dict[str, float | None]:
        """Each class's share of a split's labelled pixels; None where it has none."""
        pixels = self.pixels(split)
        total = sum(pixels)
        return {name: n / total if total else None for name, n in zip(self.classes, pixels, strict=True)}

    def stated_splits(self) -> list[str]:
        """The splits that hold a scene, in their usual order."""
        return [split for split in SPLITS if any(split in row.splits for row in self.scenes)]

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        splits = {
            split: {
                "scenes": sum(split in row.splits for row in self.scenes),
                "labelled_px": sum(self.pixels(split)),
                "shares": self.shares(split),
            }
            for split in self.stated_splits()
        }
        return asdict(self) | {"file": str(self.file), "splits": splits}

    def to_text(self) -> str:
        """Everything, for a terminal: scenes, class shares a split, the price, then errors and warnings."""
        listed = [("Errors", self.errors), ("Warnings", self.warnings)]
        parts = [
            f"{self.name}: {count_of(len(self.scenes), 'scene')}, bands {', '.join(self.bands)}",
            self._scene_table(),
            self._split_table(),
            _price(self.tile_labels),
            *("\n".join([f"{title} ({len(lines)}):", *(f"  {x}" for x in lines)]) for title, lines in listed if lines),
        ]
        verdict = "" if self.errors else "No errors."
        return "\n\n".join(part for part in [*parts, verdict] if part)

    def _scene_table(self) -> str:
        header = ["scene", "height × width", "gsd [m]", "CRS", "type", "split", "valid", "labelled", "heights"]
        return text_table(header, [_scene_cells(row) for row in self.scenes])

    def _split_table(self) -> str:
        rows = []
        for split in self.stated_splits():
            named = [row for row in self.scenes if split in row.splits]
            shares = [percent(share) for share in self.shares(split).values()]
            rows.append([split, str(len(named)), f"{sum(self.pixels(split)):,}", *shares])
        return text_table(["split", "scenes", "labelled px", *self.classes], rows)


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
    warnings = [
        *_odd_gsd_warnings(report),
        *_gsd_warnings(report),
        *_stretch_warnings(dataset),
        *_dtype_warnings(report),
        *_class_warnings(report),
        *_score_warnings(report),
        *_unlabelled_warnings(report, dataset),
        *(w for name, i in inspections.items() for w in _pixel_warnings(dataset.scenes[name], i)),
        *_unused_patterns(dataset.root, parsed),
    ]
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


def _scene_cells(row: SceneRow) -> list[str]:
    labelled = None if row.class_px is None else sum(row.class_px) / (row.height * row.width)
    valid = None if row.valid_px is None else row.valid_px / (row.height * row.width)
    gsd = "–" if row.gsd is None else f"{row.gsd:.3g}"
    size, split = f"{row.height} × {row.width}", ", ".join(row.splits) or "–"
    heights = "yes" if row.has_heights else "–"
    return [row.name, size, gsd, row.crs or "–", row.dtype, split, percent(valid), percent(labelled), heights]


def _price(tile_labels: int | None) -> str:
    return "Tile labels: cannot be counted" if tile_labels is None else f"Tile labels: {tile_labels:,}"


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
    return lines


def _constant_warnings(scene: Scene, low: list[float], high: list[float]) -> list[str]:
    same = [(band, lo) for band, lo, hi in zip(scene.bands, low, high, strict=False) if lo == hi]
    if len(same) == len(low):
        return [f"scene {scene.name}: is constant, every valid pixel is {', '.join(f'{v:g}' for _, v in same)}"]
    return [f"scene {scene.name}: the band {band} is constant, {value:g} everywhere" for band, value in same]
