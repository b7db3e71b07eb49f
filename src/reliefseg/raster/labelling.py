"""Which classes a folder's labels hold: colours or ids of rasters, a column of polygons, columns of a CSV file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reliefseg.errors import InputError
from reliefseg.raster.classes import ClassSpec, ClassTable, palette_color
from reliefseg.raster.contents import PolygonTable, read_polygon_table
from reliefseg.raster.grid import Grid
from reliefseg.raster.inspection import strips
from reliefseg.raster.labels import kind_fault, list_counts, list_label_values
from reliefseg.raster.opening import read_header
from reliefseg.raster.polygons import burn_polygons, layer_info, polygon_fault
from reliefseg.raster.proposal import ClassRow

MOST_COLORS = 64
MOST_IDS = 128
"""More colours or ids than this are no classes but blends, noise of compression, or a picture."""
LEAST_SHARE = 0.001
"""Of too many colours or ids those with this share of the pixels are taken for classes."""
COARSE = 1024
"""Whether polygons cover a scene is seen on a grid of at most so many cells a side."""


@dataclass(frozen=True)
class Labelling:
    """Proposed classes, what was counted for them, the column that names them, and what could not be known."""

    rows: tuple[ClassRow, ...]
    counted: Literal["px", "polygons", "nothing"]
    unknown: tuple[str, ...]
    class_column: str | None = None


def nothing_labelled() -> Labelling:
    """One class in place of those that only the reader knows: a data-set file needs one."""
    line = "the classes: there are no labels; name each class and the id or color it will have in label files"
    return Labelling((ClassRow("class_1", None, 1, 0, None),), "nothing", (line,))


def by_csv(columns: Sequence[str]) -> Labelling:
    """The classes that a CSV file of tile labels has columns for, in that order."""
    rows = tuple(ClassRow(name, None, number, 0, None) for number, name in enumerate(columns, 1))
    line = "the ids of the classes: there are only tile labels; ids stand for later label files"
    return Labelling(rows, "nothing", (line, "no scene has pixel labels: training needs at least one"))


def by_rasters(paths: Sequence[Path], tick: Callable[[int, int], None] | None = None) -> Labelling:
    """Every colour or id of label rasters, ids in order, colours by frequency; unreadable files are passed over.

    `check` tells of those. Rasters that can be no labels are passed over with a word. Where some hold colours and some
    ids, the commoner kind is taken.
    """
    found: dict[Path, tuple[str, Counter[str]]] = {}
    passed = []
    for done, path in enumerate(paths, 1):
        with suppress(InputError):  # told by survey_dataset or check
            header = read_header(path)
            if fault := kind_fault(header):
                passed.append(f"labels {path.name} are passed over: the file {fault}")
            else:
                found[path] = list_label_values(path, strips(header.grid))
        if tick is not None:
            tick(done, len(paths))
    kinds = Counter(kind for kind, _ in found.values())
    kind = kinds.most_common(1)[0][0] if kinds else ""
    counts = sum((c for k, c in found.values() if k == kind), Counter[str]())
    if not counts:
        nothing = nothing_labelled()
        return replace(nothing, unknown=(*nothing.unknown, *passed))
    kept, unknown = _main_values(counts, kind)
    odd = [path.name for path, (k, _) in found.items() if k != kind]
    unknown += [f"labels of two kinds: most hold {kind}, but not {', '.join(odd[:5])}"] if odd else []
    lines = (*_jpeg_lines(paths), *passed, *unknown, *_value_lines(kept))
    return Labelling(_rows(kept, counts.total(), kind), "px", lines)


def by_polygons(paths: Sequence[Path]) -> Labelling | None:
    """The values of the column that most likely names classes; None where no file has such a column.

    InputError: a file that cannot be read, or has several layers with that column.
    """
    tables = {path: table for path in paths if (table := read_polygon_table(path)) is not None}
    if not tables:
        return None
    column = Counter(table.column for table in tables.values()).most_common(1)[0][0]
    fitting = {path: table for path, table in tables.items() if table.column == column}
    for path in fitting:
        layer_info(path, column)
    counts = sum((table.counts for table in fitting.values()), Counter[str]())
    lines = [f"the classes are taken from the column {column!r} of the polygons; another one: class_column",
             "what no polygon covers is ignored; if it is of a class, say so: unlabelled_is = \"…\""]  # fmt: skip
    if len(counts) > MOST_COLORS:
        lines.append(f"the column {column!r} has {len(counts)} values; the {MOST_COLORS} commonest are proposed")
    return Labelling(_polygon_rows(counts, list(fitting.values())), "polygons", tuple(lines), column)


def covers(path: Path, grid: Grid, labelling: Labelling) -> bool:
    """Whether polygons of these classes lie on a grid, seen coarsely; False where they can be no labels of it."""
    if polygon_fault(path, grid, labelling.class_column) is not None:
        return False  # told by survey_dataset
    rows, cols = min(grid.height, COARSE), min(grid.width, COARSE)
    transform = grid.transform @ grid.transform.scale(grid.width / cols, grid.height / rows)
    coarse = Grid(rows, cols, transform, grid.crs)
    specs = tuple(ClassSpec(row.name, palette_color(n), row.id) for n, row in enumerate(labelling.rows))
    burnt = burn_polygons(path, coarse, coarse.window, ClassTable(specs), labelling.class_column or "", None)
    return bool((burnt.labels < len(specs)).any())


def _main_values(counts: Counter[str], kind: str) -> tuple[list[tuple[str, int]], list[str]]:
    """All values where they can be classes, else the frequent ones and a strong word."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    most = MOST_COLORS if kind == "colors" else MOST_IDS
    if len(ranked) <= most:
        return ranked, []
    kept = [item for item in ranked if item[1] >= LEAST_SHARE * counts.total()][:most] or ranked[:most]
    line = (
        f"WARNING: the labels hold {len(ranked):,} different {kind}: {list_counts(counts)}. That are no classes but "
        f"blends: were the labels smoothed, resized or saved with loss? Only {len(kept)} frequent ones are proposed, "
        "and check will refuse the others; save the labels again without smoothing, as PNG or GeoTIFF"
    )
    return kept, [line]


def _rows(values: Sequence[tuple[str, int]], total: int, kind: str) -> tuple[ClassRow, ...]:
    if kind == "colors":
        return tuple(ClassRow(f"class_{n}", v, None, count, count / total) for n, (v, count) in enumerate(values, 1))
    ordered = sorted((int(v), count) for v, count in values)
    return tuple(ClassRow(f"class_{n}", None, v, count, count / total) for n, (v, count) in enumerate(ordered, 1))


def _polygon_rows(counts: Counter[str], tables: Sequence[PolygonTable]) -> tuple[ClassRow, ...]:
    """Names are taken as they are and numbered; numbers are ids and get names."""
    ranked = sorted(counts.most_common(MOST_COLORS))
    total = counts.total()
    if all(table.numeric for table in tables):
        ordered = sorted((int(value), count) for value, count in ranked)
        return tuple(ClassRow(f"class_{n}", None, v, count, count / total) for n, (v, count) in enumerate(ordered, 1))
    return tuple(ClassRow(value, None, n, count, count / total) for n, (value, count) in enumerate(ranked, 1))


def _jpeg_lines(paths: Sequence[Path]) -> list[str]:
    jpegs = [path.name for path in paths if path.suffix.lower() in (".jpg", ".jpeg")]
    if not jpegs:
        return []
    return [
        f"WARNING: {len(jpegs)} label files are JPEG ({', '.join(jpegs[:3])}{', …' if len(jpegs) > 3 else ''}): its "
        "compression changes colours, so that labels are lost at every border; get the originals as PNG or GeoTIFF"
    ]


def _value_lines(values: Sequence[tuple[str, int]]) -> list[str]:
    lines = ["the names of the classes: rename class_1, class_2, …"]
    named = {value for value, _ in values}
    if "#000000" in named:
        lines.append("whether black (#000000) is a class or means unlabelled: then move it to [ignore] colors")
    for value in sorted(named & {"0", "255"}):
        lines.append(f"whether the id {value} is a class or means unlabelled: then move it to [ignore] ids")
    return lines
