"""The temperature of a trained network's probabilities, fitted on validation scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64, UInt8

from reliefseg.export import ModelSpec
from reliefseg.inference import ScenePredictor
from reliefseg.inference.blocks import block_windows
from reliefseg.inference.temperature import TEMPERATURES, best_temperature, log_losses
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.processes import over_all
from reliefseg.networks import Generator
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import SceneArrays
from reliefseg.workflow.preparing import Preparation, ValidationScene
from reliefseg.workflow.saying import Tick
from reliefseg.workflow.validating import predictor_of

MOST_PIXELS = 100_000
"""Of a scene's labelled pixels so many, drawn at random, stand for all."""


class Losses(NamedTuple):
    """Mean log loss of so many labelled pixels at each of TEMPERATURES."""

    pixels: int
    at: Float64[np.ndarray, " temperatures"]


def calibrated(
    prepared: Preparation, network: Generator, fabric: Fabric, tick: Tick, tell: Callable[[str], None]
) -> ModelSpec:
    """What the model is, with the temperature of least log loss on the validation scenes.

    It is fitted on probabilities as they are stored: blended over windows, on the scene's own grid. Without a labelled
    pixel it stays 1.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
    """
    losses = validation_losses(predictor_of(prepared, network), prepared.validation, fabric, tick)
    if losses is None:
        return prepared.spec
    temperature = best_temperature(losses.at)
    tell(_in_words(temperature, losses))
    return prepared.spec.model_copy(update={"temperature": temperature})


def validation_losses(
    predictor: ScenePredictor, scenes: Sequence[ValidationScene], fabric: Fabric, tick: Tick
) -> Losses | None:
    """The losses over all labelled pixels of the scenes; None where there is none.

    Scenes are computed one at a time and shared out among the processes.
    """
    total = np.zeros(1 + len(TEMPERATURES))
    mine = range(fabric.global_rank, len(scenes), fabric.world_size)
    for done, number in enumerate(mine, 1):
        total += _summed_losses(predictor, scenes[number].arrays, number)
        tick(done, len(mine))
    pixels, *sums = over_all(torch.from_numpy(total).to(fabric.device), fabric, "sum").tolist()
    return Losses(int(pixels), np.array(sums) / pixels) if pixels else None


def _summed_losses(predictor: ScenePredictor, arrays: SceneArrays, number: int) -> Float64[np.ndarray, " sums"]:
    """How many pixels of a scene are labelled, then so many times their mean log loss at each of TEMPERATURES."""
    pixels = np.count_nonzero(arrays.labels != IGNORE_INDEX)
    if not pixels:
        return np.zeros(1 + len(TEMPERATURES))
    drawn = _some_labelled(arrays.labels, number)
    losses = log_losses(_probabilities_at(drawn, predictor, arrays), arrays.labels.ravel()[drawn])
    return pixels * np.array([1, *losses])


def _probabilities_at(
    drawn: Int64[np.ndarray, " pixels"], predictor: ScenePredictor, arrays: SceneArrays
) -> Float32[np.ndarray, "classes pixels"]:
    """Of some pixels of a scene, which are numbered row by row; a block at a time is in memory."""
    rows, cols = np.divmod(drawn, arrays.valid.shape[1])
    found = np.empty((len(predictor.spec.classes), len(drawn)), np.float32)
    with predictor.blocks(arrays) as blocks:
        for window in block_windows(*arrays.valid.shape):
            down, along = rows - window.row, cols - window.col
            here = (down >= 0) & (down < window.height) & (along >= 0) & (along < window.width)
            found[:, here] = blocks.probabilities(window)[:, down[here], along[here]]
    return found


def _some_labelled(labels: UInt8[np.ndarray, "h w"], seed: int) -> Int64[np.ndarray, " pixels"]:
    """Where labelled pixels lie, counted row by row: all, or MOST_PIXELS drawn at random."""
    labelled = np.flatnonzero(labels != IGNORE_INDEX)
    few = min(MOST_PIXELS, labelled.size)
    return np.random.default_rng(seed).choice(labelled, few, replace=False, shuffle=False)


def _in_words(temperature: float, losses: Losses) -> str:
    effect = "less sure" if temperature > 1 else "surer"
    return (
        f"The temperature {temperature:.3g}, fitted on {losses.pixels:,} labelled pixels of validation scenes, makes "
        f"probabilities {effect}: log loss {losses.at.min():.3f}, without it {losses.at[len(losses.at) // 2]:.3f}."
    )
