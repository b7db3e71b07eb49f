"""Scores and pictures of validation scenes while a run learns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reliefseg.evaluation import confusion_matrix, scores_from_confusion
from reliefseg.evaluation.pictures import PanelTile, class_panels, photograph
from reliefseg.hardware import pick_precision
from reliefseg.inference import ScenePredictor
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.processes import over_all
from reliefseg.networks import Generator
from reliefseg.raster import Window
from reliefseg.tiles import SceneArrays
from reliefseg.workflow.preparing import Preparation


def validator(prepared: Preparation, fabric: Fabric) -> Callable[[Generator], dict[str, Any]]:
    """Scores a network on whole validation scenes; the processes share them out and add up their confusion matrices."""
    names = prepared.spec.class_table.names

    def validate(network: Generator) -> dict[str, Any]:
        predictor = predictor_of(prepared, network)
        total = np.zeros((len(names), len(names)), dtype=np.int64)
        for scene in prepared.validation[fabric.global_rank :: fabric.world_size]:
            arrays = scene.arrays
            total += confusion_matrix(arrays.labels, predictor.class_ids(arrays), len(names))
        pooled = over_all(torch.from_numpy(total).to(fabric.device), fabric, "sum")
        return scores_from_confusion(pooled.cpu().numpy(), names)

    return validate


def predictor_of(prepared: Preparation, network: Generator) -> ScenePredictor:
    """A predictor that computes as training does."""
    settings = prepared.settings
    device = prepared.pixels.device
    return ScenePredictor(
        prepared.spec,
        network,
        device,
        precision=pick_precision(settings.precision, device),
    )


def panel_maker(prepared: Preparation, run: Path) -> Callable[[Generator, int], None]:
    """Draws the same four validation tiles, whatever the percentage: the middles of four scenes."""
    table = prepared.spec.class_table
    chosen = prepared.validation[:: max(1, len(prepared.validation) // 4)][:4]
    side = round(prepared.settings.tiles.box_side)
    tiles = [(scene.name, _middle(scene.arrays, side)) for scene in chosen]

    def show(network: Generator, percent: int) -> None:
        predictor = predictor_of(prepared, network)
        panels = [
            PanelTile(name, photograph(*_looks(t, prepared.spec.bands), t.valid), predictor.probabilities(t), t.labels)
            for name, t in tiles
        ]
        class_panels(run / "progress" / f"{percent:03d}.png", panels, table)

    return show


def _looks(arrays: SceneArrays, names: Sequence[str]) -> tuple[np.ndarray, Sequence[str]]:
    """What to show of a tile: its image bands, or depth where networks see that alone."""
    if arrays.depth is None or names:
        return arrays.bands, names
    return arrays.depth[None], ("depth",)


def _middle(arrays: SceneArrays, side: int) -> SceneArrays:
    """The middle of a scene, `side` pixels high and wide where it is that large; the scene itself is let go."""
    height, width = arrays.valid.shape
    window = Window((height - side) // 2, (width - side) // 2, side, side).clipped(height, width)
    cut = (slice(None), *window.slices)
    return replace(
        arrays,
        bands=arrays.bands[cut].copy(),
        valid=arrays.valid[window.slices].copy(),
        labels=arrays.labels[window.slices].copy(),
        depth=None if arrays.depth is None else arrays.depth[window.slices].copy(),
    )
