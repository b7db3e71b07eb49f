"""Many scenes as flat tensors: bytes where files have bytes, class ids in one byte, nothing padded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int64, Shaped, UInt8
from torch import Tensor

from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles.arrays import Normalisation, SceneArrays

DEPTH_STEPS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
"""In so many steps depth is stored beside bands of these types; beside others as it is."""


@dataclass(frozen=True)
class Outline:
    """What must be known of scenes to lay their pixels one after the other, before any of them is read.

    `sizes` are height and width; `dtype` is what bands are stored as, depth included; see `SceneArrays.relative_gsd`.
    """

    sizes: tuple[tuple[int, int], ...]
    image_bands: int
    depth: bool
    dtype: np.dtype
    relative_gsd: tuple[float, ...]

    @classmethod
    def of(cls, scenes: Sequence[SceneArrays]) -> Outline:
        """That of scenes in memory."""
        first = scenes[0]
        dtype = storage_dtype({s.bands.dtype for s in scenes})
        sizes = tuple((s.labels.shape[0], s.labels.shape[1]) for s in scenes)
        gsd = tuple(s.relative_gsd for s in scenes)
        return cls(sizes, len(first.bands), first.depth is not None, dtype, gsd)

    @property
    def bands(self) -> int:
        """Image bands, and depth."""
        return self.image_bands + self.depth

    @property
    def pixels(self) -> int:
        """Of all scenes."""
        return sum(height * width for height, width in self.sizes)

    @property
    def nbytes(self) -> int:
        """Bytes of all pixels and labels."""
        return self.pixels * (self.bands * self.dtype.itemsize + 1)

    @property
    def depth_unit(self) -> float:
        """What depth 1 is stored as."""
        return float(DEPTH_STEPS.get(self.dtype, 1))

    def parts(self) -> Iterator[slice]:
        """Where each scene's pixels lie among all."""
        ends = np.cumsum([height * width for height, width in self.sizes]).tolist()
        return map(slice, [0, *ends], ends)


def storage_dtype(found: set[np.dtype]) -> np.dtype:
    """The smallest type that holds scenes of these types: bytes, 16 bits, or float32 for all else."""
    if found == {np.dtype(np.uint8)}:
        return np.dtype(np.uint8)
    if found <= {np.dtype(np.uint8), np.dtype(np.uint16)}:
        return np.dtype(np.uint16)
    return np.dtype(np.float32)


@dataclass(frozen=True)
class FlatScenes:
    """Pixels of many scenes, row-major, one after the other; nothing is padded.

    `bands` and `labels` lie where there is room for them; what is drawn from them is computed on `device`.
    """

    bands: Shaped[Tensor, "pixels bands"]
    labels: UInt8[Tensor, " pixels"]
    start: Int64[Tensor, " scenes"]
    height: Int64[Tensor, " scenes"]
    width: Int64[Tensor, " scenes"]
    device: torch.device

    @classmethod
    def of(cls, bands: Tensor, labels: Tensor, outline: Outline, device: torch.device) -> FlatScenes:
        """Pixels laid out as outlined."""
        starts = [part.start for part in outline.parts()]
        heights, widths = zip(*outline.sizes, strict=True)
        start, height, width = (torch.tensor(values, device=bands.device) for values in (starts, heights, widths))
        return cls(bands, labels, start, height, width, device)

    def computed_on(self, device: torch.device) -> FlatScenes:
        """The same pixels, where they are; what is drawn is computed on this device."""
        return replace(self, device=device)


def in_memory(
    scenes: Iterable[SceneArrays], outline: Outline, normalisation: Normalisation, device: torch.device
) -> FlatScenes:
    """Scenes laid, one at a time, into the memory of the device."""
    kind = torch_dtype(outline.dtype)
    bands = torch.empty((outline.pixels, outline.bands), dtype=kind, device=device)
    labels = torch.empty(outline.pixels, dtype=torch.uint8, device=device)
    for scene, part in zip(scenes, outline.parts(), strict=True):
        bands[part] = torch.from_numpy(stored_bands(scene, outline, normalisation)).view(kind).to(device)
        labels[part] = torch.from_numpy(stored_labels(scene)).to(device)
    return FlatScenes.of(bands, labels, outline, device)


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """What torch keeps such values as: int16 holds the bits of 16-bit files, which are unsigned."""
    return {1: torch.uint8, 2: torch.int16, 4: torch.float32}[dtype.itemsize]


def stored_labels(scene: SceneArrays) -> UInt8[np.ndarray, " pixels"]:
    """Class ids row by row; what is not valid is ignored."""
    return np.where(scene.valid, scene.labels, np.uint8(IGNORE_INDEX)).ravel()


def stored_bands(
    scene: SceneArrays, outline: Outline, normalisation: Normalisation
) -> Shaped[np.ndarray, "pixels bands"]:
    """Bands pixel by pixel; what is not valid holds every band's mean."""
    found = np.empty((scene.valid.size, outline.bands), outline.dtype)
    rounded = np.rint if outline.dtype.kind == "u" else np.asarray
    for column, plane, mean in zip(found.T, scene.bands, normalisation.mean, strict=False):
        column[:] = rounded(mean)
        column[scene.valid.ravel()] = plane[scene.valid]
    if scene.depth is not None:
        known = scene.valid & np.isfinite(scene.depth)
        found[:, -1] = rounded(normalisation.mean[-1] * outline.depth_unit)
        found[known.ravel(), -1] = rounded(scene.depth[known] * outline.depth_unit)
    return found


Lay = Callable[[Iterable[SceneArrays], Outline, Normalisation, torch.device], FlatScenes]
"""Lays scenes, in their order, where they stay; goes through them once at most. The device computes tiles."""
