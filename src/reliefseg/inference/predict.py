"""Prediction of whole scenes: windows at the model's working scale, blended, brought back to the scene's grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float32, UInt8
from torch import Tensor

from reliefseg.export import ModelSpec
from reliefseg.hardware import placed
from reliefseg.inference.windows import blending_weights, windows
from reliefseg.networks import U2Net
from reliefseg.raster import IGNORE_INDEX, Scene
from reliefseg.tiles import Boxes, SceneArrays, SceneBank, TileSettings, oversampling
from reliefseg.tiles.loading import read_scene


class ScenePredictor:
    """A network with all it takes to run it on whole scenes."""

    def __init__(
        self,
        spec: ModelSpec,
        network: U2Net,
        device: torch.device | str = "cpu",
        *,
        batch: int = 4,
        precision: torch.dtype = torch.float32,
    ):
        self.spec, self.batch, self.device, self.precision = spec, batch, torch.device(device), precision
        self.network = placed(network, self.device).eval()

    def read(self, scene: Scene, depth: Path | None, *, with_labels: bool = False) -> SceneArrays:
        """The scene's bands as the model wants them."""
        return read_scene(
            scene,
            bands=self.spec.bands,
            depth=depth,
            with_labels=with_labels,
            reference_gsd=self.spec.reference_gsd,
        )

    def class_ids(
        self, arrays: SceneArrays, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> UInt8[np.ndarray, "h w"]:
        """The most probable class of every pixel; 255 where the scene is not valid."""
        return self.most_probable(self.probabilities(arrays, progress), arrays)

    @staticmethod
    def most_probable(
        probabilities: Float32[np.ndarray, "classes h w"], arrays: SceneArrays
    ) -> UInt8[np.ndarray, "h w"]:
        """Probabilities made into class ids; 255 where the scene is not valid."""
        best = probabilities.argmax(axis=0).astype(np.uint8)
        best[~arrays.valid] = IGNORE_INDEX
        return best

    def probabilities(
        self, arrays: SceneArrays, progress: Callable[[int, int], None] = lambda done, of: None
    ) -> Float32[np.ndarray, "classes h w"]:
        """Class probabilities on the scene's own grid; they sum to one."""
        height, width = arrays.valid.shape
        scale = self.spec.working_scale * arrays.relative_gsd
        rows, cols = max(1, round(height * scale)), max(1, round(width * scale))
        at_scale = self._blended(arrays, rows, cols, progress)
        if (rows, cols) == (height, width):
            return at_scale.numpy()
        resized = F.interpolate(at_scale[None], (height, width), mode="bilinear", align_corners=False)[0]
        return (resized / resized.sum(dim=0)).numpy()

    def _blended(
        self, arrays: SceneArrays, rows: int, cols: int, progress: Callable[[int, int], None]
    ) -> Float32[Tensor, "classes rows cols"]:
        window, margin = self.spec.window, self.spec.margin
        height, width = arrays.valid.shape
        places = windows(rows, cols, window, margin)
        down, across = height / rows, width / cols
        boxes = Boxes.of_windows([0] * len(places), places)
        boxes = Boxes(
            boxes.scene, boxes.top * down, boxes.left * across, boxes.height * down, boxes.width * across,
            boxes.flip_rows, boxes.flip_cols, boxes.transpose,
        )  # fmt: skip
        classes = len(self.spec.classes)
        bank = SceneBank([arrays], classes, self.spec.normalisation, TileSettings(size=window), self.device)
        weights = torch.from_numpy(blending_weights(window, margin))
        total, weight = torch.zeros(classes, rows, cols), torch.zeros(rows, cols)
        for first in range(0, len(places), self.batch):
            some = slice(first, first + self.batch)
            tiles = bank.tiles(boxes[some], window, oversample=oversampling(max(down, across)))
            for place, found in zip(places[some], self._tile_probabilities(tiles), strict=True):
                inside = place.clipped(rows, cols)
                part = inside.shifted(-place.row, -place.col).slices
                total[(slice(None), *inside.slices)] += found[(slice(None), *part)] * weights[part]
                weight[inside.slices] += weights[part]
            progress(min(first + self.batch, len(places)), len(places))
        return total / weight

    @torch.inference_mode()
    def _tile_probabilities(self, tiles: Tensor) -> Float32[Tensor, "n classes window window"]:
        reduced = self.precision != torch.float32
        with torch.autocast(self.device.type, dtype=self.precision if reduced else None, enabled=reduced):
            logits = self.network.fused(tiles)
        logits = logits.float()
        if self.spec.loss == "softmax":
            return logits.softmax(dim=1).cpu()
        independent = logits.sigmoid()
        return (independent / independent.sum(dim=1, keepdim=True).clamp(min=1e-12)).cpu()
