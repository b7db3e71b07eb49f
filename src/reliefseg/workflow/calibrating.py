"""The temperature of a trained network's probabilities, fitted on validation scenes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float64, Int64, UInt8
from lightning_fabric import Fabric

from reliefseg.export import ModelSpec
from reliefseg.inference import ScenePredictor
from reliefseg.inference.temperature import TEMPERATURES, best_temperature, log_losses
from reliefseg.learning.processes import over_all
from reliefseg.networks import Generator
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import SceneArrays
from reliefseg.workflow.preparing import Preparation
from reliefseg.workflow.saying import Tick
from reliefseg.workflow.validating import predictor_of

MOST_PIXELS = 100_000
"""Of a scene's labelled pixels so many, drawn at random, stand for all."""


def calibrated(
    prepared: Preparation, network: Generator, fabric: Fabric, tick: Tick, tell: Callable[[str], None]
) -> ModelSpec:
    """What the model is, with the temperature of least log loss over all labelled pixels of the validation scenes.

    It is fitted on probabilities as they are stored, blended over windows and on the scene's own grid. Scenes are
    computed one at a time and shared out among the processes. Without a labelled pixel it stays 1.

    Source: Guo et al., ICML 2017, section 4.2.
    """
    predictor, total = predictor_of(prepared, network), np.zeros(1 + len(TEMPERATURES))
    mine = range(fabric.global_rank, len(prepared.validation), fabric.world_size)
    for done, number in enumerate(mine, 1):
        total += _weighed_losses(predictor, prepared.validation[number].arrays, number)
        tick(done, len(mine))
    pixels, *sums = over_all(torch.from_numpy(total).to(fabric.device), fabric, "sum").tolist()
    if not pixels:
        return prepared.spec
    losses = np.array(sums) / pixels
    temperature = best_temperature(losses)
    tell(_in_words(temperature, losses, int(pixels)))
    return prepared.spec.model_copy(update={"temperature": temperature})


def _weighed_losses(predictor: ScenePredictor, arrays: SceneArrays, number: int) -> Float64[np.ndarray, "sums"]:
    """A scene's labelled pixels, and so many times their mean log loss at each of TEMPERATURES."""
    pixels = np.count_nonzero(arrays.labels != IGNORE_INDEX)
    if not pixels:
        return np.zeros(1 + len(TEMPERATURES))
    drawn = _some_labelled(arrays.labels, number)
    probabilities = predictor.probabilities(arrays)
    losses = log_losses(probabilities.reshape(len(probabilities), -1)[:, drawn], arrays.labels.ravel()[drawn])
    return pixels * np.array([1, *losses])


def _some_labelled(labels: UInt8[np.ndarray, "h w"], seed: int) -> Int64[np.ndarray, "pixels"]:
    """Where labelled pixels lie, counted row by row: all, or MOST_PIXELS drawn at random."""
    labelled = np.flatnonzero(labels != IGNORE_INDEX)
    few = min(MOST_PIXELS, labelled.size)
    return np.random.default_rng(seed).choice(labelled, few, replace=False, shuffle=False)


def _in_words(temperature: float, losses: Float64[np.ndarray, "temperatures"], pixels: int) -> str:
    effect = "less sure" if temperature > 1 else "surer"
    return (
        f"The temperature {temperature:.3g}, fitted on {pixels:,} labelled pixels of validation scenes, makes "
        f"probabilities {effect}: log loss {losses.min():.3f}, without it {losses[len(losses) // 2]:.3f}."
    )
