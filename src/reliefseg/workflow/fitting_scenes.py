"""The scenes that a depth network of our own is trained and judged on."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

import numpy as np

from reliefseg.depth import survey_photo
from reliefseg.depth.pool import FittingScene
from reliefseg.errors import InputError
from reliefseg.generate import generate_scene
from reliefseg.raster import Dataset, Scene, Window
from reliefseg.workflow.making_depth import TRAINING_SPLITS
from reliefseg.workflow.saying import SILENT, Sayer

BANDS = ("nir", "red", "green", "blue")
TRIPLES = ((1, 2, 3), (0, 1, 2))
"""Generated scenes are shown in true and in false colours."""
SCENE_GSD = (0.05, 0.5)
"""Finest and coarsest gsd of generated scenes, metres a pixel."""
SCENE_SIZE = 1024
"""Side of a scene in memory, pixels; larger scenes of a data set are cut."""
HELD_OUT = 16
"""Generated scenes, of another seed, that the best weights are chosen on."""
HELD_OUT_SEED = 1_000_003
"""Added to the seed for them."""


def fitting_scenes(seed: int, count: int, dataset: Dataset | None, say: Sayer = SILENT) -> list[FittingScene]:
    """At most `count` to learn from; `InputError` where no training scene of the data set has heights and a gsd."""
    if dataset is None:
        return _generated(seed, count, say)
    scenes = [scene for name in TRAINING_SPLITS for scene in dataset.split(name) if scene.has_heights]
    if not scenes:
        raise InputError(
            f"data set {dataset.name}: no scene of splits {', '.join(TRAINING_SPLITS)} has heights; "
            f"name them in [files] heights, or leave the data set out to train on generated scenes"
        )
    return _pieces(scenes, seed, count, say)


def held_out_scenes(seed: int, dataset: Dataset | None, say: Sayer = SILENT) -> list[FittingScene]:
    """What the best weights are chosen on: validation scenes with heights, else generated scenes of another seed."""
    validation = [] if dataset is None else [s for s in dataset.split("validation") if s.has_heights]
    if validation:
        return _pieces(validation, seed, HELD_OUT, say)
    return _generated(seed + HELD_OUT_SEED, HELD_OUT, say)


def _generated(seed: int, count: int, say: Sayer) -> list[FittingScene]:
    scenes = []
    with say.progress("generating scenes") as tick:
        for index in range(count):
            finest, coarsest = (log(gsd) for gsd in SCENE_GSD)
            gsd = exp(np.random.default_rng([seed, index, 7]).uniform(finest, coarsest))
            made = generate_scene(seed, index, SCENE_SIZE, gsd, BANDS)
            scenes.append(FittingScene(made.bands, (made.dsm - made.ground).astype(np.float16), gsd, TRIPLES))
            tick(index + 1, count)
    return scenes


def _pieces(scenes: Sequence[Scene], seed: int, count: int, say: Sayer) -> list[FittingScene]:
    """Scenes in pieces, evenly chosen where there are more than `count`."""
    unknown = [scene.name for scene in scenes if not scene.grid.gsd]
    if unknown:
        raise InputError(
            f"scene {name}: heights, but no gsd; set gsd (metres a pixel) in dataset.toml" for name in unknown
        )
    windows = [(scene, window) for scene in scenes for window in _windows(scene)]
    order = np.random.default_rng(seed).permutation(len(windows))[:count]
    photos = {scene.name: survey_photo(scene) for scene in {windows[i][0].name: windows[i][0] for i in order}.values()}
    pieces = []
    with say.progress("reading scenes") as tick:
        for done, i in enumerate(order):
            scene, window = windows[i]
            bands = photos[scene.name].read(window).transpose(2, 0, 1)
            metres = np.where(scene.read_valid(window), scene.read_heights(window), np.nan).astype(np.float16)
            pieces.append(FittingScene(np.ascontiguousarray(bands), metres, float(scene.grid.gsd or 0), ((0, 1, 2),)))
            tick(done + 1, len(order))
    known = [piece for piece in pieces if np.isfinite(piece.metres).any()]
    if not known:
        raise InputError(
            f"scene {scene.name}: no pixel has a height, in the part that is looked at; name files that have some"
            for scene in scenes
        )
    return known


def _windows(scene: Scene) -> list[Window]:
    height, width = scene.grid.height, scene.grid.width
    rows, cols = (range(0, max(1, extent - SCENE_SIZE // 2), SCENE_SIZE) for extent in (height, width))
    return [Window(r, c, SCENE_SIZE, SCENE_SIZE).clipped(height, width) for r in rows for c in cols]
