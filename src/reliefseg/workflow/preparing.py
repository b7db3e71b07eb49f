"""From a data set and settings to what training and prediction need in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from reliefseg.config import Settings
from reliefseg.depth import depth_weights
from reliefseg.errors import InputError
from reliefseg.export import BundleClass, ModelSpec
from reliefseg.learning.labelled_tiles import LabelledTiles
from reliefseg.raster import IGNORE_INDEX, Dataset, Scene, TileLabel
from reliefseg.tiles import Boxes, Normalisation, SceneArrays, SceneBank
from reliefseg.tiles.loading import reference_gsd
from reliefseg.tiles.tiers import Tier, choose_tier
from reliefseg.workflow.held_out_block import split_off_block
from reliefseg.workflow.making_depth import TRAINING_SPLITS, depth_rasters, read_by_training, with_depth_resolved
from reliefseg.workflow.reading import BankMaker, Looked, SceneReader, have_room, look_through, ready
from reliefseg.workflow.saying import SILENT, Sayer


@dataclass(frozen=True)
class ValidationScene:
    """A scene checkpoints are picked on, read again whenever it is wanted where memory is short.

    Labels outside the part that counts are ignored.
    """

    name: str
    read: Callable[[], SceneArrays]

    @property
    def arrays(self) -> SceneArrays:
        """The scene."""
        return self.read()


@dataclass(frozen=True)
class Preparation:
    """Everything a run reads.

    `settings` has every choice made by itself written in; `tier` is where scenes lie; `tile_labels` counts those of the
    data set, held out or not. `tiles` are pretrained on, `held_out` pick the encoder, `lessons` teach in training.
    `digests` are of labels and tile labels as they were read, by what they are of.
    """

    settings: Settings
    spec: ModelSpec
    pixels: SceneBank
    tiles: LabelledTiles | None
    held_out: LabelledTiles | None
    lessons: LabelledTiles | None
    validation: tuple[ValidationScene, ...]
    tier: Tier
    tile_labels: int
    digests: Mapping[str, str]


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
    read, tier = _reader(dataset, bands, depth, settings, device)
    with say.progress("reading scenes") as tick:
        looked = look_through(read, [*labelled, *others], validation, tick)
    _refuse_unlabelled(dataset, labelled, validation, looked)
    spec = _spec(dataset, settings, bands, looked.normalisation, read.reference_gsd)
    banks = BankMaker(looked, len(dataset.classes), settings, device, tier, dataset.cache / "bank", read.outline)
    if settings.validation.blocks:
        part = partial(_split_off, read, settings.tiles.box_side, len(dataset.classes))
        held = [ValidationScene(s.name, ready(partial(part, 1, s), read)) for s in labelled]
        checked = [scene for scene in held if (scene.arrays.labels != IGNORE_INDEX).any()]
        _refuse_nothing_held(checked, settings.tiles.box_side)
        pixels = banks.make("pixels", labelled, partial(part, 0))
    else:
        checked = [ValidationScene(s.name, ready(partial(read, s), read)) for s in validation]
        pixels = banks.make("pixels", labelled, read)
    tiles, held_out, lessons, tile_labels, digest = _tile_banks(dataset, read, banks)
    digests = {"labels": looked.labels, "tile labels": digest}
    return Preparation(settings, spec, pixels, tiles, held_out, lessons, tuple(checked), tier, tile_labels, digests)


def _reader(
    dataset: Dataset, bands: Sequence[str], depth: Mapping[str, Path], settings: Settings, device: torch.device
) -> tuple[SceneReader, Tier]:
    """How scenes are read, and where they will lie."""
    labelled, here = dataset.split("pixel_labelled"), settings.devices
    names = frozenset(s.name for s in [*labelled, *dataset.split("validation")])
    read = SceneReader(tuple(bands), depth, names, reference_gsd(labelled))
    outline = read.outline(read_by_training(dataset, settings))
    tier = choose_tier(settings.tiles.bank, outline.nbytes, device, here)
    keeps = tier is not Tier.DISK and have_room(outline, here)
    return (read if keeps else replace(read, kept=None)), tier


def _refuse_unlabelled(
    dataset: Dataset, labelled: Sequence[Scene], validation: Sequence[Scene], looked: Looked
) -> None:
    faults = [
        f"scene {scene.name}: in splits.pixel_labelled, but no valid pixel has a class; label it or move it"
        for scene in labelled
        if scene.name in looked.unlabelled
    ]
    if validation and all(scene.name in looked.unlabelled for scene in validation):
        faults.append(
            f"data set {dataset.name}: no pixel of split validation has a class, nothing can be picked on it; label "
            "one of its scenes, name others, or leave the split out"
        )
    if faults:
        raise InputError(faults)


def _refuse_nothing_held(checked: Sequence[ValidationScene], margin: float) -> None:
    if not checked:
        raise InputError(
            f"setting validation.blocks: no scene can spare a quarter of its labels; with a margin of {margin:g} px "
            "around it none would be left to learn from: lower tiles.box, or name validation scenes instead"
        )


def _spec(
    dataset: Dataset, settings: Settings, bands: Sequence[str], normalisation: Normalisation, reference: float | None
) -> ModelSpec:
    window = settings.prediction.window or settings.tiles.size
    margin = window // 16 if settings.prediction.margin is None else settings.prediction.margin
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
        depth_weights=depth_weights(settings.depth),
    )


def _tile_banks(
    dataset: Dataset, read: SceneReader, banks: BankMaker
) -> tuple[LabelledTiles | None, LabelledTiles | None, LabelledTiles | None, int, str]:
    """Tile-labelled windows to pretrain on, held-out ones, those that teach in training; their number and a digest.

    Those of validation scenes are held out, else, from pretraining alone, those of every fifth scene.
    """
    settings = banks.settings
    tiles = dataset.tile_labels() if settings.uses_tile_labels else []
    if not tiles:
        return None, None, None, 0, ""
    validation = [] if settings.validation.blocks else dataset.split("validation")
    held = dataset.tile_labels_of([s for s in validation if s.has_labels]) if settings.pretrain.steps else []

    def bare(scene: Scene) -> SceneArrays:
        """Without its labels: a bank keeps them where the scene has pixels (0) apart from where it has none."""
        arrays = read(scene)
        return replace(arrays, labels=np.zeros_like(arrays.labels))

    def bank_of(role: str, labels: Sequence[TileLabel]) -> LabelledTiles | None:
        if not labels:
            return None
        names = sorted({t.scene for t in labels})
        bank = banks.make(role, [dataset.scenes[n] for n in names], bare)
        boxes = Boxes.of_windows([names.index(t.scene) for t in labels], [t.window for t in labels])
        return LabelledTiles(bank, boxes, np.array([t.shown for t in labels], dtype=bool))

    digest = hashlib.blake2b(repr([tiles, held]).encode(), digest_size=8).hexdigest()
    lessons, apart = bank_of("tiles", tiles), bank_of("held_out", held)
    fifth = set(sorted({t.scene for t in tiles})[4::5])
    if lessons is None or held or not settings.pretrain.steps or not fifth:
        return lessons, apart, lessons, len(tiles), digest
    chosen = np.array([t.scene in fifth for t in tiles])
    return lessons.part(~chosen), lessons.part(chosen), lessons, len(tiles), digest


def _split_off(read: SceneReader, margin: float, classes: int, part: int, scene: Scene) -> SceneArrays:
    return split_off_block(read(scene), margin, classes)[part]
