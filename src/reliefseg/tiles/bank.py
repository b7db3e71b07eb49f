"""The bank: all scenes as compact tensors, from which a batch of tiles is a few tensor operations on the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor

from reliefseg.tiles.arrays import Normalisation, SceneArrays
from reliefseg.tiles.boxes import Boxes, BoxLayout, draw_boxes
from reliefseg.tiles.flat import FlatScenes, Lay, Outline, in_memory
from reliefseg.tiles.jitter import jittered
from reliefseg.tiles.sampling import oversampling_of, sample_bands, sample_labels
from reliefseg.tiles.settings import TileSettings


class TileBatch(NamedTuple):
    """What networks see: normalised bands, and class ids (255: ignored)."""

    bands: Float[Tensor, "n bands h w"]
    labels: UInt8[Tensor, "n h w"]


class SceneBank:
    """Scenes as flat tensors (bytes where files have bytes, class ids in one byte) and how tiles are cut from them.

    Pixels that are not valid hold every band's mean, rounded where bands are whole numbers, so that networks see
    (nearly) 0 there. Scenes that are not all in memory are given as an iterable with their `outline`; `lay` lays them
    where they stay (`tiers` has three ways).
    """

    def __init__(
        self,
        scenes: Iterable[SceneArrays],
        classes: int,
        normalisation: Normalisation,
        settings: TileSettings,
        device: torch.device | str = "cpu",
        outline: Outline | None = None,
        lay: Lay = in_memory,
    ):
        self.settings, self.device = settings, torch.device(device)
        if outline is None:
            scenes = list(scenes)
            outline = Outline.of(scenes)
        self.image_bands, self.nbytes = outline.image_bands, outline.nbytes
        self.scenes = lay(scenes, outline, normalisation, self.device)
        self.layout = BoxLayout(_labels_of(self.scenes, outline), classes, outline.relative_gsd)
        unit = np.ones(outline.bands)
        unit[outline.image_bands :] = outline.depth_unit
        self._mean = _per_band(np.array(normalisation.mean) * unit, self.device)
        self._scale = _per_band(1 / (np.array(normalisation.std) * unit), self.device)

    def tiles(self, boxes: Boxes, size: int) -> Float[Tensor, "n bands size size"]:
        """Normalised bands of these boxes, `size` network pixels a side.

        A box that is shrunk by more than 2, in height or width, is averaged; a tile does not depend on the others.
        """
        points = oversampling_of(boxes, size)
        shape = (len(boxes), len(self._mean), size, size)
        found = torch.empty(shape, device=self.device, memory_format=torch.channels_last)
        for n in np.unique(points):
            mine = np.flatnonzero(points == n)
            found[torch.from_numpy(mine).to(self.device)] = sample_bands(self.scenes, boxes[mine], size, int(n))
        return (found - self._mean) * self._scale

    def labels(self, boxes: Boxes, size: int) -> UInt8[Tensor, "n size size"]:
        """Class ids of these boxes, nearest, on the grid of `tiles`; 255 where they are ignored or not valid."""
        return sample_labels(self.scenes, boxes, size)

    def random_tiles(self, seed: int, step: int, count: int, first: int = 0) -> TileBatch:
        """Tiles first … first + count − 1 of a step: random boxes, turned, recoloured; pure in (seed, step, index)."""
        boxes = draw_boxes(self.layout, self.settings, seed, step, first + count)[first:]
        size = self.settings.size
        bands = jittered(self.tiles(boxes, size), self.settings.jitter, self.image_bands, seed, step, first)
        return TileBatch(bands, self.labels(boxes, size))


def _labels_of(scenes: FlatScenes, outline: Outline) -> Iterator[UInt8[np.ndarray, "_ _"]]:
    for part, size in zip(outline.parts(), outline.sizes, strict=True):
        yield scenes.labels[part].cpu().numpy().reshape(size)


def _per_band(values: np.ndarray, device: torch.device) -> Float32[Tensor, "bands 1 1"]:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]
