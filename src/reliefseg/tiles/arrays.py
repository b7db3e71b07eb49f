"""A scene in memory, and the mean and deviation of bands over many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Shaped, UInt8

ROWS = 1024
"""Moments are taken of so many rows at a time, so that no whole scene is copied as float64."""


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

    @property
    def digest(self) -> str:
        """Of all of it: equal for equal scenes only."""
        found = hashlib.blake2b(f"{self.bands.dtype} {self.bands.shape} {self.relative_gsd}".encode(), digest_size=16)
        for part in (self.bands, self.valid, self.labels, self.depth):
            found.update(b"none" if part is None else np.ascontiguousarray(part).data)
        return found.hexdigest()


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of every band over the training splits' valid pixels: image in file units, then depth."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, scenes: Iterable[SceneArrays]) -> Normalisation:
        """Over all valid pixels of these scenes; a constant band has deviation 1."""
        sums = [_moments(scene) for scene in scenes]
        count, first, second = (np.sum([s[i] for s in sums], axis=0) for i in range(3))
        mean = first / np.maximum(count, 1)
        deviation = np.sqrt(np.maximum(second / np.maximum(count, 1) - mean**2, 0))
        deviation = np.where(deviation <= 1e-6 * np.abs(mean), 1.0, deviation)
        return cls(tuple(mean.tolist()), tuple(deviation.tolist()))


def _moments(scene: SceneArrays) -> Float64[np.ndarray, "3 bands"]:
    """How many valid pixels each band has, their sum and the sum of their squares; some rows at a time."""
    planes = [*scene.bands, *([] if scene.depth is None else [scene.depth])]
    found = np.zeros((3, len(planes)))
    for first in range(0, len(scene.valid), ROWS):
        rows = slice(first, first + ROWS)
        for moments, plane in zip(found.T, planes, strict=True):
            known = plane[rows][scene.valid[rows]].astype(np.float64)
            known = known[np.isfinite(known)]  # of depth a valid pixel may have none
            moments += (len(known), known.sum(), (known**2).sum())
    return found
