"""`dataset.toml` as it is written: its keys, and what may stand in them."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from reliefseg.errors import InputError
from reliefseg.raster.classes import (
    IGNORE_INDEX,
    ClassSpec,
    ClassTable,
    Color,
    color_text,
    palette_color,
    parse_color,
)
from reliefseg.raster.faults import explain
from reliefseg.raster.heights import HeightsAre

FILE_NAME = "dataset.toml"
SPLITS = ("pixel_labelled", "tile_labelled", "unlabelled", "validation", "test")
"""Every split there can be, in the order people read them."""

Text = Annotated[str, Field(min_length=1)]


def _check_color(text: str) -> str:
    parse_color(text)
    return text


ColorText = Annotated[str, AfterValidator(_check_color)]


class _Table(BaseModel):
    """A table of the file; unknown keys and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ClassEntry(_Table):
    """`[[classes]]`: a name, and the colour or id that label files know the class by."""

    name: Text
    color: ColorText | None = None
    id: int | None = None


class IgnoreEntry(_Table):
    """`[ignore]`: colours and ids in label files that no loss and no metric counts."""

    colors: list[ColorText] = []
    ids: list[int] = []


class SceneEntry(_Table):
    """`[scenes.NAME]`: files of a scene that fit no pattern; what is not stated comes from `[files]`."""

    images: Text | None = None
    labels: Text | None = None
    heights: Text | None = None
    ground: Text | None = None
    heights_are: HeightsAre | None = None
    class_column: Text | None = None
    unlabelled_is: Text | None = None


class FilesEntry(SceneEntry):
    """`[files]`: patterns in which `{scene}` is the scene's name. Heights are a `dsm` unless stated."""

    images: Text


class TileLabelRule(_Table):
    """`[tile_labels]`: a CSV file, or read off label rasters in windows of `size` pixels.

    `per_scene` is the grid from the top-left corner or a number of windows drawn at random. A class counts as
    shown from `min_share` of a window's labelled pixels.
    """

    file: Text | None = None
    from_labels: bool = False
    size: PositiveInt | None = None
    per_scene: Literal["grid"] | PositiveInt = "grid"
    min_share: Annotated[float, Field(ge=0, le=1)] = 0.005


class SplitsEntry(_Table):
    """`[splits]`: names of scenes or patterns with `*`, `?` and `[…]`."""

    pixel_labelled: list[Text] = []
    tile_labelled: list[Text] = []
    unlabelled: list[Text] = []
    validation: list[Text] = []
    test: list[Text] = []


class DatasetFile(_Table):
    """All of `dataset.toml`."""

    name: Text | None = None
    bands: Annotated[list[Text], Field(min_length=1)]
    gsd: Annotated[PositiveFloat, Field(allow_inf_nan=False)] | None = None
    classes: Annotated[list[ClassEntry], Field(min_length=1, max_length=IGNORE_INDEX - 1)]
    ignore: IgnoreEntry = IgnoreEntry()
    files: FilesEntry
    scenes: dict[str, SceneEntry] = {}
    tile_labels: TileLabelRule | None = None
    splits: SplitsEntry = SplitsEntry()


def find_dataset_file(path: Path) -> Path:
    """The `dataset.toml` of a data set given as its folder or as the file itself."""
    path = Path(path)
    file = path / FILE_NAME if path.is_dir() else path
    if file.is_file():
        return file
    if path.is_dir():
        raise InputError(f"{path}: has no {FILE_NAME}; write one with: reliefseg init {path}")
    raise InputError(f"{path}: no such folder or file; expected a data-set folder with a {FILE_NAME}")


def parse_dataset_file(file: Path) -> DatasetFile:
    """The checked contents of a data-set file; all its faults at once as an `InputError`."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: is not valid TOML: {error}") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    return check_dataset_table(content, file)


def check_dataset_table(content: dict[str, Any], file: Path) -> DatasetFile:
    """As `parse_dataset_file`, for tables already read; `file` is named in the faults."""
    try:
        parsed = DatasetFile.model_validate(content)
    except ValidationError as error:
        raise InputError(explain(error, DatasetFile, str(file))) from error
    if faults := [f"{file}: {fault}" for fault in _contradictions(parsed)]:
        raise InputError(faults)
    return parsed


def class_table(parsed: DatasetFile) -> ClassTable:
    """The classes in the file's order; those with an id and no colour get one from a fixed palette."""
    stated = all(c.color is not None for c in parsed.classes)
    taken = {parse_color(c.color) for c in parsed.classes if c.color is not None}
    spare = (color for color in map(palette_color, range(4 * IGNORE_INDEX)) if color not in taken)
    specs = [ClassSpec(c.name, parse_color(c.color) if c.color else next(spare), c.id) for c in parsed.classes]
    ignored: tuple[Color, ...] = tuple(parse_color(c) for c in parsed.ignore.colors)
    return ClassTable(tuple(specs), ignored, tuple(parsed.ignore.ids), stated)


def _contradictions(parsed: DatasetFile) -> list[str]:
    """What no single key shows to be wrong."""
    return _class_faults(parsed) + _band_faults(parsed) + _name_faults(parsed) + _tile_faults(parsed)


def _class_faults(parsed: DatasetFile) -> list[str]:
    colors = [color_text(parse_color(c.color)) for c in parsed.classes if c.color]
    ids = [c.id for c in parsed.classes if c.id is not None]
    ignored = [color_text(parse_color(c)) for c in parsed.ignore.colors]
    faults = [f"[[classes]] the name {n!r} stands twice" for n in _twice(c.name for c in parsed.classes)]
    faults += [f"[[classes]] the color {c} stands twice" for c in _twice(colors)]
    faults += [f"[[classes]] the id {i} stands twice" for i in _twice(ids)]
    faults += [f"[ignore] colors: {c} is also a class's color" for c in sorted(set(ignored) & set(colors))]
    faults += [f"[ignore] ids: {i} is also a class's id" for i in sorted(set(parsed.ignore.ids) & set(ids))]
    count = len(parsed.classes)
    if len(ids) < count and len(colors) < count:
        bare = [c.name for c in parsed.classes if c.id is None]
        faults.append(f"[[classes]] give every class an id, or every class a color; without id: {', '.join(bare)}")
    return faults


def _band_faults(parsed: DatasetFile) -> list[str]:
    faults = [f"bands: {b!r} stands twice" for b in _twice(parsed.bands)]
    if "alpha" in [b.lower() for b in parsed.bands]:
        faults.append("bands: alpha is no band of the image (it says where pixels are valid); leave it out")
    return faults


def _name_faults(parsed: DatasetFile) -> list[str]:
    """Placeholders and class names that lead nowhere."""
    faults = []
    if "{scene}" not in parsed.files.images:
        faults.append(f'[files] images: {parsed.files.images!r} lacks {{scene}}, as in "images/{{scene}}.tif"')
    names = [c.name for c in parsed.classes]
    entries = [("[files]", parsed.files), *((f"[scenes.{n}]", e) for n, e in parsed.scenes.items())]
    for place, entry in entries:
        if entry.unlabelled_is is not None and entry.unlabelled_is not in names:
            faults.append(f"{place} unlabelled_is: {entry.unlabelled_is!r} is no class; known: {', '.join(names)}")
    return faults


def _tile_faults(parsed: DatasetFile) -> list[str]:
    rule = parsed.tile_labels
    if rule is None:
        if parsed.splits.tile_labelled:
            return ["[splits] tile_labelled: there is no [tile_labels] that says where the tile labels come from"]
        return []
    if rule.from_labels == (rule.file is not None):
        return ['[tile_labels] give either file = "tile_labels.csv" or from_labels = true']
    if rule.from_labels and rule.size is None:
        return ["[tile_labels] size: is missing; from_labels needs the side of a tile in pixels, for example 256"]
    return []


def _twice(values: Iterable[Hashable]) -> list[Any]:
    return [value for value, count in Counter(values).items() if count > 1]
