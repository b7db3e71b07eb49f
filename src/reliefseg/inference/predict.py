"""Prediction of scenes held in memory: what validation and notebooks need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from reliefseg.export import ModelSpec
from reliefseg.inference.assembly import Blocks
from reliefseg.inference.blocks import block_windows, most_probable
from reliefseg.inference.computing import Job, Workers
from reliefseg.inference.engines import Engine, TorchEngine
from reliefseg.inference.plan import Plan
from reliefseg.inference.source import ArraySource
from reliefseg.inference.store import MemoryStore
from reliefseg.networks import Generator
from reliefseg.raster import IGNORE_INDEX, Scene, Window
from reliefseg.tiles import SceneArrays
from reliefseg.tiles.loading import read_scene

BATCH = 4
"""Windows computed together, everywhere: what comes out depends on it in rounding."""


class ScenePredictor:
    """A network with all it takes to run it on whole scenes, by the plan that `predict` has for scenes on disk."""

    def __init__(
        self,
        spec: ModelSpec,
        network: Generator,
        device: torch.device | str = "cpu",
        *,
        precision: torch.dtype = torch.float32,
    ):
        self.spec, self.device, self.precision = spec, torch.device(device), precision
        self.network = network
        self.engine: Engine = TorchEngine(spec, network, device, precision)

    def read(self, scene: Scene, depth: Path | None, *, with_labels: bool = False) -> SceneArrays:
        """The scene's bands as the model wants them."""
        return read_scene(
            scene,
            bands=self.spec.bands,
            depth=depth,
            with_labels=with_labels,
            reference_gsd=self.spec.reference_gsd,
        )

    def plan(self, height: int, width: int, relative_gsd: float) -> Plan:
        """How a scene of this size is computed."""
        scale = self.spec.working_scale * relative_gsd
        return Plan.of(height, width, scale, window=self.spec.window, margin=self.spec.margin, batch=BATCH)

    def class_ids(self, arrays: SceneArrays) -> UInt8[np.ndarray, "h w"]:
        """The most probable class of every pixel; 255 where the scene is not valid. Block by block, to save memory."""
        height, width = arrays.valid.shape
        best = np.empty((height, width), np.uint8)
        with self.blocks(arrays) as blocks:
            for window in block_windows(height, width):
                best[window.slices] = most_probable(blocks.probabilities(window))
        best[~arrays.valid] = IGNORE_INDEX
        return best

    def probabilities(self, arrays: SceneArrays) -> Float32[np.ndarray, "classes h w"]:
        """Class probabilities on the scene's own grid; where it is valid they sum to one, within 1e-4."""
        with self.blocks(arrays) as blocks:
            return blocks.probabilities(Window(0, 0, *arrays.valid.shape))

    @contextmanager
    def blocks(self, arrays: SceneArrays) -> Iterator[Blocks]:
        """The scene's blocks, computed while they are asked for."""
        height, width = arrays.valid.shape
        plan = self.plan(height, width, arrays.relative_gsd)
        store = MemoryStore()
        job = Job(plan, ArraySource(arrays), self.engine, self.spec.normalisation)
        workers = Workers(job, plan.pieces, store.keep)
        with workers.running():
            yield Blocks(plan, store, len(self.spec.classes), workers.wait, self.spec.temperature)
