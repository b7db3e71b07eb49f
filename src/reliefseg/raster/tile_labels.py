"""Tile labels: which classes a window of a scene shows, from a CSV file or read off label files."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np
from jaxtyping import UInt8

from reliefseg.raster.classes import IGNORE_INDEX, ClassTable
from reliefseg.raster.dataset_file import TileLabelRule
from reliefseg.raster.faults import nearest
from reliefseg.raster.grid import Grid, Window
from reliefseg.raster.scene import Scene

WINDOW_COLUMNS = ("scene", "row", "col", "height", "width")
TRIES = 100
"""How often a window that overlaps an earlier one is drawn anew before it is taken as it is."""


class TileLabel(NamedTuple):
    """Which classes (one truth value each, in the table's order) a window of a scene shows."""

    scene: str
    window: Window
    shown: tuple[bool, ...]


class CsvSurvey(NamedTuple):
    """The rows that hold, and the faults of the others."""

    labels: list[TileLabel]
    faults: list[str]


def grid_windows(grid: Grid, size: int) -> list[Window]:
    """Squares of `size` pixels side by side from the top-left corner, as `per_scene = "grid"` says.

    What is left at the right and bottom edge is not used, so that windows never share a pixel. A scene smaller
    than `size` has windows as high or as wide as itself.
    """
    height, width = min(size, grid.height), min(size, grid.width)
    rows = range(0, grid.height - height + 1, height)
    return [Window(r, c, height, width) for r in rows for c in range(0, grid.width - width + 1, width)]


def drawn_windows(grid: Grid, size: int, count: int, rng: np.random.Generator) -> list[Window]:
    """`count` squares of `size` pixels at random places, apart from each other as far as there is room."""
    height, width = min(size, grid.height), min(size, grid.width)
    drawn: list[Window] = []
    for _ in range(count):
        for _ in range(TRIES):
            row, col = rng.integers([grid.height - height + 1, grid.width - width + 1]).tolist()
            if all(abs(row - w.row) >= height or abs(col - w.col) >= width for w in drawn):
                break
        drawn.append(Window(row, col, height, width))
    return drawn


def ruled_windows(scene: Scene, rule: TileLabelRule, size: int) -> list[Window]:
    """The windows of a scene by the data set's rule; a draw depends on the scene's name alone, not on other scenes."""
    if rule.per_scene == "grid":
        return grid_windows(scene.grid, size)
    return drawn_windows(scene.grid, size, rule.per_scene, np.random.default_rng([0, crc32(scene.name.encode())]))


def labels_of_windows(scene: Scene, rule: TileLabelRule, size: int) -> list[TileLabel]:
    """The tile labels of a scene by the data set's rule, read off its labels once; windows without any are left out."""
    labels = scene.read_labels()
    windows = ruled_windows(scene, rule, size)
    shown = [(w, shown_classes(labels[w.slices], len(scene.classes), rule.min_share)) for w in windows]
    return [TileLabel(scene.name, window, classes) for window, classes in shown if classes is not None]


def shown_classes(labels: UInt8[np.ndarray, "height width"], classes: int, min_share: float) -> tuple[bool, ...] | None:
    """Which classes cover `min_share` of the labelled pixels, and at least one; None without such pixels."""
    counts = np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1)[:classes]
    total = int(counts.sum())
    if total == 0:
        return None
    return tuple(bool(n > 0 and n >= min_share * total) for n in counts.tolist())


def csv_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file, the header first, each with its line's number; blank lines left out, cells stripped.

    Semicolons or tabs, as Excel writes them, separate cells where the header has no comma. OSError, UnicodeDecodeError
    and csv.Error where the file cannot be read.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        header = next((line for line in file if re.search(r"\w", line)), "")
        file.seek(0)
        delimiter = next((mark for mark in ",;\t" if mark in header), ",")
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        for cells in reader:
            if any(map(str.strip, cells)):
                yield reader.line_num, [cell.strip() for cell in cells]


def survey_csv(path: Path, scenes: Mapping[str, Scene], classes: ClassTable, known: Collection[str] = ()) -> CsvSurvey:
    """The tile labels of a CSV file: columns scene, row, col, height, width and one 0/1 column per class.

    Faults: the file or a column missing, unknown columns, values of another kind, windows outside their scene,
    scenes that do not exist, rows that contradict each other. Rows of scenes that are `known` but unusable
    are passed over: their fault is told elsewhere.
    """
    try:
        (_, header), *rows = list(csv_rows(path)) or [(0, [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        return CsvSurvey([], [f"{path}: cannot be read ({error})"])
    if faults := _header_faults(path, header, classes):
        return CsvSurvey([], faults)
    labels: dict[int, TileLabel] = {}
    faults = []
    for number, cells in rows:
        try:
            if len(cells) != len(header):
                raise ValueError(f"has {len(cells)} cells; expected {len(header)}, one a column")
            row = dict(zip(header, cells, strict=True))
            if row["scene"] in scenes or row["scene"] not in known:
                labels[number] = _parse_row(row, scenes, classes)
        except ValueError as error:
            faults.append(f"{path}, line {number}: {error}")
    return CsvSurvey(list(labels.values()), faults + _contradictions(path, labels))


def _contradictions(path: Path, labels: Mapping[int, TileLabel]) -> list[str]:
    """Rows, by their line, that say something else of a window than an earlier row; saying the same twice is none."""
    first: dict[tuple[str, Window], int] = {}
    faults = []
    for number, label in labels.items():
        earlier = first.setdefault((label.scene, label.window), number)
        if labels[earlier].shown != label.shown:
            faults.append(
                f"{path}, lines {earlier} and {number}: show other classes in the same window of scene {label.scene} "
                f"({_text(label.window)}); keep the one that is right"
            )
    return faults


def _header_faults(path: Path, header: list[str], classes: ClassTable) -> list[str]:
    expected = [*WINDOW_COLUMNS, *classes.names]
    missing = [name for name in expected if name not in header]
    unknown = [name for name in header if name not in expected]
    faults = [f"{path}: the column {name!r} is missing" for name in missing]
    faults += [f"{path}: the column {name!r} stands there twice" for name in expected if header.count(name) > 1]
    return faults + [f"{path}: the column {name!r} is unknown; {nearest(name, expected)}" for name in unknown]


def _parse_row(row: dict[str, str], scenes: Mapping[str, Scene], classes: ClassTable) -> TileLabel:
    name = row["scene"]
    if name not in scenes:
        raise ValueError(f"there is no scene {name!r}; {nearest(name, list(scenes)[:20])}")
    window = Window(*(_whole_number(row, column) for column in WINDOW_COLUMNS[1:]))
    grid = scenes[name].grid
    if window.height < 1 or window.width < 1 or window.clipped(grid.height, grid.width) != window:
        raise ValueError(f"{_text(window)} lies outside scene {name}, which has {grid.height} × {grid.width} px")
    return TileLabel(name, window, tuple(_truth(row, column) for column in classes.names))


def _text(window: Window) -> str:
    return f"the window row {window.row}, col {window.col}, height {window.height}, width {window.width}"


def _whole_number(row: dict[str, str], column: str) -> int:
    try:
        return int(row[column])
    except ValueError:
        raise ValueError(f"{column} is {row[column]!r}; expected a whole number") from None


def _truth(row: dict[str, str], column: str) -> bool:
    if row[column] not in ("0", "1"):
        raise ValueError(f"{column} is {row[column]!r}; expected 0 or 1")
    return row[column] == "1"
