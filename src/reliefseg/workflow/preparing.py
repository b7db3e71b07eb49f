"""From a data set and settings to what training and prediction need in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8

from reliefseg.config import Settings
from reliefseg.depth import DepthSettings, make_depth, resolve_source
from reliefseg.errors import InputError
from reliefseg.export import BundleClass, ModelSpec
from reliefseg.learning import LabelledTiles
from reliefseg.raster import IGNORE_INDEX, Dataset, Scene, TileLabel, Window
from reliefseg.tiles import Boxes, Normalisation, SceneArrays, SceneBank
from reliefseg.tiles.loading import read_scene, reference_gsd
from reliefseg.workflow.saying import SILENT, Sayer

TRAINING_SPLITS = ("pixel_labelled", "tile_labelled", "unlabelled")


@dataclass(frozen=True)
class ValidationScene:
    """A scene checkpoints are picked on; labels outside the part that counts are ignored."""

    name: str
    arrays: SceneArrays


@dataclass(frozen=True)
class Preparation:
    """Everything a run reads, in memory. `settings` has every choice made by itself written in."""

    settings: Settings
    spec: ModelSpec
    pixels: SceneBank
    tiles: LabelledTiles | None
    held_out: LabelledTiles | None
    validation: tuple[ValidationScene, ...]


def with_depth_resolved(settings: Settings, dataset: Dataset) -> Settings:
    """The settings with `depth.source = "auto"` decided for this data set."""
    source = resolve_source(settings.depth, dataset)
    return settings.model_copy(update={"depth": settings.depth.model_copy(update={"source": source})})


def depth_rasters(
    scenes: Sequence[Scene], settings: DepthSettings, cache: Path, say: Sayer = SILENT
) -> Mapping[str, Path]:
    """Depth rasters by scene name, made or reused; empty without depth."""
    if settings.source == "none" or not scenes:
        return {}
    with say.progress(f"depth ({settings.source})") as tick:
        return make_depth(scenes, settings, cache, tick)


def make_depth_rasters(dataset: Dataset, settings: Settings, say: Sayer = SILENT) -> Mapping[str, Path]:
    """Depth rasters of all scenes of a data set, by name; empty where the source comes out as `none`."""
    depth = with_depth_resolved(settings, dataset).depth
    return depth_rasters(list(dataset.scenes.values()), depth, dataset.cache, say)


def make_training_depth(dataset: Dataset, settings: Settings, say: Sayer = SILENT) -> None:
    """Depth rasters of the training splits and validation scenes, where they are not there yet."""
    depth_rasters(
        _read_by_training(dataset, settings), with_depth_resolved(settings, dataset).depth, dataset.cache, say
    )


def _read_by_training(dataset: Dataset, settings: Settings) -> list[Scene]:
    splits = TRAINING_SPLITS if settings.validation.blocks else (*TRAINING_SPLITS, "validation")
    return [scene for name in splits for scene in dataset.split(name)]


def prepare(dataset: Dataset, settings: Settings, device: torch.device, say: Sayer = SILENT) -> Preparation:
    """Reads the training splits and validation scenes; nothing of the test split is touched."""
    labelled = dataset.split("pixel_labelled")
    if not labelled:
        raise InputError(
            f"data set {dataset.name}: no scene in splits.pixel_labelled; training needs at least one with labels"
        )
    settings = with_depth_resolved(settings, dataset)
    others = [s for name in TRAINING_SPLITS[1:] for s in dataset.split(name)]
    validation = [] if settings.validation.blocks else dataset.split("validation")
    depth = depth_rasters([*labelled, *others, *validation], settings.depth, dataset.cache, say)
    bands = dataset.bands if settings.tiles.bands is None else settings.tiles.bands
    if not bands and settings.depth.source == "none":
        raise InputError(
            "setting tiles.bands: empty and depth.source is none: networks would see nothing; choose one of them"
        )
    reference = reference_gsd(labelled)

    def read(scene: Scene, *, with_labels: bool) -> SceneArrays:
        return read_scene(
            scene, bands=bands, depth=depth.get(scene.name), with_labels=with_labels, reference_gsd=reference
        )

    with say.progress("reading scenes") as tick:
        arrays: dict[str, SceneArrays] = {}
        for i, scene in enumerate([*labelled, *others, *validation]):
            arrays[scene.name] = read(scene, with_labels=scene in labelled or scene in validation)
            tick(i + 1, len(labelled) + len(others) + len(validation))
    _refuse_unlabelled(labelled, arrays, dataset)
    trained_on = [arrays[s.name] for s in [*labelled, *others]]
    spec = _spec(dataset, settings, bands, Normalisation.of(trained_on), reference)
    checked = [ValidationScene(s.name, arrays[s.name]) for s in validation]
    if settings.validation.blocks:
        for scene in labelled:
            kept, held = split_off_block(arrays[scene.name], settings.tiles.box_side, len(dataset.classes))
            arrays[scene.name] = kept
            checked.append(ValidationScene(scene.name, held))
    pixels = SceneBank(
        [arrays[s.name] for s in labelled], len(dataset.classes), spec.normalisation, settings.tiles, device
    )
    tiles, held_out = _tile_banks(dataset, arrays, spec, settings, device)
    return Preparation(settings, spec, pixels, tiles, held_out, tuple(checked))


def _refuse_unlabelled(labelled: Sequence[Scene], arrays: Mapping[str, SceneArrays], dataset: Dataset) -> None:
    empty = [s.name for s in labelled if (arrays[s.name].labels == IGNORE_INDEX).all()]
    if empty:
        raise InputError(
            f"scene {name}: in splits.pixel_labelled, but no valid pixel has a class; label it or move it"
            for name in empty
        )


def _spec(
    dataset: Dataset, settings: Settings, bands: Sequence[str], normalisation: Normalisation, reference: float | None
) -> ModelSpec:
    window = settings.prediction.window or settings.tiles.size
    margin = window // 8 if settings.prediction.margin is None else settings.prediction.margin
    if 2 * margin >= window:
        raise InputError(
            f"setting prediction.margin: {margin} leaves nothing of a window of {window}; at most {(window - 1) // 2}"
        )
    return ModelSpec(
        network=settings.network.name,
        bands=tuple(bands),
        scene_bands=dataset.bands,
        classes=tuple(BundleClass(name=c.name, color=c.color, id=c.id) for c in dataset.classes.classes),
        loss=settings.train.loss.kind,
        mean=normalisation.mean,
        std=normalisation.std,
        working_scale=settings.tiles.working_scale,
        reference_gsd=reference,
        window=window,
        margin=margin,
        depth=settings.depth,
    )


def _tile_banks(
    dataset: Dataset, arrays: Mapping[str, SceneArrays], spec: ModelSpec, settings: Settings, device: torch.device
) -> tuple[LabelledTiles | None, LabelledTiles | None]:
    """Tiles to pretrain on, and held-out ones: of the validation scenes, else of every fifth tile-labelled scene."""
    tiles = dataset.tile_labels() if settings.pretrain.steps else []
    if not tiles:
        return None, None
    validation = [] if settings.validation.blocks else dataset.split("validation")
    held = dataset.tile_labels_of([s for s in validation if s.has_labels])
    if not held:
        names = sorted({t.scene for t in tiles})
        fifth = set(names[4::5])
        held = [t for t in tiles if t.scene in fifth]
        tiles = [t for t in tiles if t.scene not in fifth]

    def bank_of(labels: Sequence[TileLabel]) -> LabelledTiles | None:
        if not labels:
            return None
        names = sorted({t.scene for t in labels})
        bare = [replace(arrays[n], labels=np.full_like(arrays[n].labels, IGNORE_INDEX)) for n in names]
        bank = SceneBank(bare, len(spec.classes), spec.normalisation, settings.tiles, device)
        boxes = Boxes.of_windows([names.index(t.scene) for t in labels], [t.window for t in labels])
        return LabelledTiles(bank, boxes, np.array([t.shown for t in labels], dtype=bool))

    return bank_of(tiles), bank_of(held)


def split_off_block(arrays: SceneArrays, margin: float, classes: int) -> tuple[SceneArrays, SceneArrays]:
    """One quarter of a scene kept for validation, and the rest for training.

    The quarter is the one whose class shares are nearest the whole scene's; labels within `margin` pixels of it are
    used by neither.
    """
    height, width = arrays.labels.shape
    half_h, half_w = height // 2, width // 2
    quarters = [Window(r, c, half_h, half_w) for r in (0, height - half_h) for c in (0, width - half_w)]
    whole = _class_shares(arrays.labels, classes)
    distances = [np.abs(_class_shares(arrays.labels[q.slices], classes) - whole).sum() for q in quarters]
    block = quarters[int(np.argmin(distances))]
    near = block.expanded(int(np.ceil(margin))).clipped(height, width)
    kept = arrays.labels.copy()
    kept[near.slices] = IGNORE_INDEX
    held = np.full_like(arrays.labels, IGNORE_INDEX)
    held[block.slices] = arrays.labels[block.slices]
    return replace(arrays, labels=kept), replace(arrays, labels=held)


def _class_shares(labels: UInt8[np.ndarray, "h w"], classes: int) -> np.ndarray:
    counts = np.bincount(labels.ravel(), minlength=256)[:classes]
    return counts / max(1, counts.sum())
