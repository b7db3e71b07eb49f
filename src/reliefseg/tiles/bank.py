"""The bank: all scenes as compact tensors on the device, from which a batch of tiles is a few tensor operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Shaped, UInt8
from torch import Tensor

from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles.boxes import Boxes, BoxLayout, draw_boxes
from reliefseg.tiles.jitter import jittered
from reliefseg.tiles.sampling import FlatScenes, oversampling, sample_bands, sample_labels
from reliefseg.tiles.settings import TileSettings


class TileBatch(NamedTuple):
    """What networks see: normalised bands, and class ids (255: ignored)."""

    bands: Float[Tensor, "n bands h w"]
    labels: UInt8[Tensor, "n h w"]


@dataclass(frozen=True)
class SceneArrays:
    """One scene in memory: image bands as in the file, validity, labels (all 255 without), depth in [0, 1] if used.

    `relative_gsd` is the scene's gsd over the reference gsd (1 where either is unknown).
    """

    bands: Shaped[np.ndarray, "bands h w"]
    valid: Bool[np.ndarray, "h w"]
    labels: UInt8[np.ndarray, "h w"]
    depth: Float32[np.ndarray, "h w"] | None = None
    relative_gsd: float = 1.0


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of every band over the training splits' valid pixels: image in file units, then depth."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, scenes: Sequence[SceneArrays]) -> Normalisation:
        """Over all valid pixels of these scenes; a constant band has deviation 1."""
        sums = [_moments(scene) for scene in scenes]
        count, first, second = (np.sum([s[i] for s in sums], axis=0) for i in range(3))
        mean = first / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(second / np.maximum(count, 1) - mean**2, 0))
        deviation = np.where(deviation < 1e-6 * np.maximum(1, np.abs(mean)), 1.0, deviation)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()))


def _moments(scene: SceneArrays) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    planes = [b[scene.valid].astype(np.float64) for b in scene.bands]
    if scene.depth is not None:
        planes.append(scene.depth[scene.valid & np.isfinite(scene.depth)].astype(np.float64))
    return (
        np.array([len(p) for p in planes], dtype=np.float64),
        np.array([p.sum() for p in planes]),
        np.array([(p**2).sum() for p in planes]),
    )


class SceneBank:
    """Scenes as flat tensors (bytes where files have bytes, class ids in one byte) and how tiles are cut from them.

    Pixels that are not valid hold every band's mean, so that networks see 0 there.
    """

    def __init__(
        self,
        scenes: Sequence[SceneArrays],
        classes: int,
        normalisation: Normalisation,
        settings: TileSettings,
        device: torch.device | str = "cpu",
    ):
        self.settings, self.device = settings, torch.device(device)
        self.image_bands = len(scenes[0].bands)
        self.scenes = _flattened(scenes, normalisation, self.device)
        self.layout = BoxLayout([s.labels for s in scenes], classes, [s.relative_gsd for s in scenes])
        self._depth_unit = _depth_unit(_storage_dtype(scenes))
        unit = np.ones(len(normalisation.mean))
        unit[self.image_bands :] = self._depth_unit
        self._mean = _per_band(np.array(normalisation.mean) * unit, self.device)
        self._scale = _per_band(1 / (np.array(normalisation.std) * unit), self.device)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels and labels."""
        tensors = (self.scenes.bands, self.scenes.labels)
        return sum(t.numel() * t.element_size() for t in tensors)

    def tiles(self, boxes: Boxes, size: int, *, oversample: int = 1) -> Float[Tensor, "n bands size size"]:
        """Normalised bands of these boxes, `size` network pixels a side."""
        sampled = sample_bands(self.scenes, boxes, size, oversample)
        return (sampled - self._mean) * self._scale

    def random_tiles(self, seed: int, step: int, count: int, first: int = 0) -> TileBatch:
        """Tiles first … first + count − 1 of a step: random boxes, turned, recoloured; pure in (seed, step, index)."""
        boxes = draw_boxes(self.layout, self.settings, seed, step, first + count)[first:]
        size = self.settings.size
        largest = self.settings.box_side * self.settings.box_factor[1] / self.layout.relative_gsd.min()
        bands = self.tiles(boxes, size, oversample=oversampling(largest / size))
        bands = jittered(bands, self.settings.jitter, self.image_bands, seed, step, first)
        return TileBatch(bands, sample_labels(self.scenes, boxes, size))


def _per_band(values: np.ndarray, device: torch.device) -> Float32[Tensor, "bands 1 1"]:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None]


def _storage_dtype(scenes: Sequence[SceneArrays]) -> np.dtype:
    found = {s.bands.dtype for s in scenes}
    if found == {np.dtype(np.uint8)}:
        return np.dtype(np.uint8)
    if found <= {np.dtype(np.uint8), np.dtype(np.uint16)}:
        return np.dtype(np.uint16)
    return np.dtype(np.float32)


def _depth_unit(dtype: np.dtype) -> float:
    """What depth 1 is stored as."""
    return {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}.get(dtype, 1.0)


def _flattened(scenes: Sequence[SceneArrays], normalisation: Normalisation, device: torch.device) -> FlatScenes:
    dtype = _storage_dtype(scenes)
    sizes = np.array([s.labels.shape for s in scenes], dtype=np.int64)
    start = np.concatenate([[0], np.cumsum(sizes.prod(axis=1))])
    bands = np.empty((int(start[-1]), len(normalisation.mean)), dtype=dtype)
    labels = np.empty(int(start[-1]), dtype=np.uint8)
    for scene, first, last in zip(scenes, start, start[1:], strict=False):
        bands[first:last] = _pixels(scene, normalisation, dtype)
        labels[first:last] = np.where(scene.valid, scene.labels, IGNORE_INDEX).ravel()
    stored = bands.view(np.int16) if dtype == np.uint16 else bands
    place = (torch.from_numpy(x.copy()).to(device) for x in (start[:-1], sizes[:, 0], sizes[:, 1]))
    return FlatScenes(torch.from_numpy(stored).to(device), torch.from_numpy(labels).to(device), *place)


def _pixels(scene: SceneArrays, normalisation: Normalisation, dtype: np.dtype) -> Shaped[np.ndarray, "pixels bands"]:
    planes = [np.where(scene.valid, b, m) for b, m in zip(scene.bands, normalisation.mean, strict=False)]
    if scene.depth is not None:
        known = scene.valid & np.isfinite(scene.depth)
        planes.append(np.where(known, scene.depth, normalisation.mean[-1]) * _depth_unit(dtype))
    stacked = np.stack([p.ravel() for p in planes], axis=1)
    return np.rint(stacked).astype(dtype) if dtype.kind == "u" else stacked.astype(dtype)
