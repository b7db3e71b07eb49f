"""A data set: scenes, classes and splits, as `dataset.toml` says."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from reliefseg.errors import InputError
from reliefseg.raster.classes import ClassTable
from reliefseg.raster.dataset_file import (
    SPLITS,
    DatasetFile,
    TileLabelRule,
    class_table,
    find_dataset_file,
    parse_dataset_file,
)
from reliefseg.raster.faults import nearest
from reliefseg.raster.footprints import overlaps_across_splits
from reliefseg.raster.patterns import find_files
from reliefseg.raster.scene import Scene, survey_scene
from reliefseg.raster.tile_labels import TileLabel, labels_of_windows, survey_csv


@dataclass(frozen=True)
class Dataset:
    """Scenes by name (sorted), their classes, and which scenes each stated split holds.

    `file` is the data-set file, `root` its folder. `cache`, which need not exist, is where what the program
    derives goes.
    """

    name: str
    file: Path
    bands: tuple[str, ...]
    classes: ClassTable
    scenes: dict[str, Scene]
    splits: dict[str, tuple[str, ...]]
    tile_rule: TileLabelRule | None
    cache: Path

    @property
    def root(self) -> Path:
        """The folder of the data set, which patterns start from."""
        return self.file.parent

    def split(self, name: str) -> list[Scene]:
        """The scenes of a split, sorted; none where the file does not state it; `ValueError`."""
        if name not in SPLITS:
            raise ValueError(f"{name!r} is no split; {nearest(name, SPLITS)}")
        return [self.scenes[scene] for scene in self.splits.get(name, ())]

    def tile_labels(self) -> list[TileLabel]:
        """The tile labels of the tile_labelled scenes: from the CSV file, or read off their label files.

        Rows of the CSV for other scenes are left out.
        """
        scenes = self.split("tile_labelled")
        if self.tile_rule is None or self.tile_rule.file is None:
            return self.tile_labels_of(scenes)
        named = {scene.name for scene in scenes}
        labels, faults = survey_csv(self.root / self.tile_rule.file, self.scenes, self.classes)
        if faults:
            raise InputError(faults)
        return [label for label in labels if label.scene in named]

    def tile_labels_of(self, scenes: Sequence[Scene]) -> list[TileLabel]:
        """Tile labels read off the label files of any scenes by the data set's rule, whole grids of windows.

        Without a stated `size` it is the commonest window of the CSV file. Windows without a labelled pixel
        show nothing that is known and are left out.
        """
        rule = self.tile_rule or TileLabelRule(from_labels=True)
        size = rule.size or self._csv_size()
        return [label for scene in scenes for label in labels_of_windows(scene, rule, size)]

    def _csv_size(self) -> int:
        sizes = Counter(label.window.height for label in self.tile_labels()) if self.tile_rule else Counter[int]()
        return sizes.most_common(1)[0][0] if sizes else 256


class Survey(NamedTuple):
    """What could be made of a data set, without the scenes whose image cannot be used, and all its faults."""

    dataset: Dataset
    faults: list[str]


def load_dataset(path: str | Path, cache: Path | None = None) -> Dataset:
    """The data set in a folder with a `dataset.toml`, or of such a file; `cache` moves what is derived.

    Cheap: the file is parsed and headers are opened. All faults of patterns, splits, sizes, grids, band
    counts and footprints come together as one `InputError`; faults of the file itself come before them. What
    only pixels show (damaged files, unknown colours) is found by `check` or when the pixels are read.
    """
    dataset, faults = survey_dataset(path, cache)
    if faults:
        raise InputError(faults)
    return dataset


def survey_dataset(path: str | Path, cache: Path | None = None) -> Survey:
    """As `load_dataset`, but everything except faults of `dataset.toml` itself is told instead of raised."""
    file = find_dataset_file(Path(path))
    parsed = parse_dataset_file(file)
    classes, bands = class_table(parsed), tuple(parsed.bands)
    found = find_files(file.parent, parsed.files, parsed.scenes)
    surveyed = {n: survey_scene(n, f, bands, classes, parsed.gsd) for n, f in found.scenes.items()}
    scenes = {name: scene for name, (scene, _) in surveyed.items() if scene is not None}
    splits, split_faults = _assign(parsed, sorted(found.scenes))
    faults = [*found.faults, *split_faults, *(f for _, fs in surveyed.values() for f in fs)]
    usable = {split: tuple(n for n in names if n in scenes) for split, names in splits.items()}
    dataset = Dataset(
        name=parsed.name or file.parent.resolve().name,
        file=file,
        bands=bands,
        classes=classes,
        scenes=scenes,
        splits=usable,
        tile_rule=parsed.tile_labels,
        cache=Path(cache) if cache is not None else default_cache(file.parent),
    )
    faults += _missing_labels(dataset) + overlaps_across_splits(scenes, usable) + _csv_faults(dataset, set(surveyed))
    return Survey(dataset, list(dict.fromkeys(faults)))


def default_cache(root: Path) -> Path:
    """`.reliefseg` in the data set's folder, or a folder of the user's cache where that cannot be written."""
    own = root / ".reliefseg"
    if os.access(own if own.exists() else root, os.W_OK):
        return own
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    resolved = root.resolve()
    return base / "reliefseg" / f"{resolved.name}-{sha256(str(resolved).encode()).hexdigest()[:12]}"


def _assign(parsed: DatasetFile, names: list[str]) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Scene names of each stated split, and patterns without a match and scenes in two splits."""
    faults: list[str] = []
    splits: dict[str, tuple[str, ...]] = {}
    for split in SPLITS:
        chosen: set[str] = set()
        for pattern in getattr(parsed.splits, split):
            hits = [pattern] if pattern in names else [n for n in names if fnmatchcase(n, pattern)]
            if not hits:
                faults.append(f"[splits] {split}: no scene fits {pattern!r}; {_some(pattern, names)}")
            chosen.update(hits)
        if chosen:
            splits[split] = tuple(sorted(chosen))
    return splits, faults + _doubles(splits)


def _some(pattern: str, names: list[str]) -> str:
    hint = nearest(pattern, names)
    return hint if hint.startswith("did you mean") else f"there are {len(names)} scenes: {', '.join(names[:5])}, …"


def _doubles(splits: dict[str, tuple[str, ...]]) -> list[str]:
    places: dict[str, list[str]] = {}
    for split, names in splits.items():
        for name in names:
            places.setdefault(name, []).append(split)
    return [
        f"scene {name}: stands in {len(where)} splits, {' and '.join(where)}; a scene belongs to one"
        for name, where in sorted(places.items())
        if len(where) > 1
    ]


def _missing_labels(dataset: Dataset) -> list[str]:
    """Scenes whose split needs labels that they do not have."""
    needy = ["pixel_labelled", "validation", "test"]
    if dataset.tile_rule is not None and dataset.tile_rule.from_labels:
        needy.append("tile_labelled")
    return [
        f"scene {scene.name}: is in the split {split}, but has no labels; expected them where [files] labels says"
        for split in needy
        for scene in dataset.split(split)
        if not scene.has_labels
    ]


def _csv_faults(dataset: Dataset, known: set[str]) -> list[str]:
    """Faults of the CSV of tile labels, and tile_labelled scenes that it forgets."""
    if dataset.tile_rule is None or dataset.tile_rule.file is None:
        return []
    path = dataset.root / dataset.tile_rule.file
    labels, faults = survey_csv(path, dataset.scenes, dataset.classes, known)
    if faults:
        return faults
    rows = {label.scene for label in labels}
    forgotten = [scene.name for scene in dataset.split("tile_labelled") if scene.name not in rows]
    return [f"scene {n}: is tile_labelled, but {path} has no row for it; move it to unlabelled" for n in forgotten]
