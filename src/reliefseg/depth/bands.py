"""What a depth network sees of a scene: three bands, 8 bits, no nodata."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Shaped, UInt8

from reliefseg.depth.source import blocks_of
from reliefseg.errors import InputError
from reliefseg.raster import Scene, Window

PREFERRED = (("red", "green", "blue"), ("nir", "red", "green"))
"""Bands shown as red, green, blue where a scene has them, by name, the first that fits."""
STRETCH_PERCENTILES = (1.0, 99.0)
"""Bands that are not 8-bit: these percentiles of the scene's valid pixels become 0 and 255."""
SAMPLE = 1_000_000
"""Percentiles are taken over about so many pixels of a scene, evenly spread."""


@dataclass(frozen=True)
class Photo:
    """A scene as an ordinary photograph.

    `low` and `high` are what 0 and 255 stand for, `fill` is the scene's median colour, shown where nothing was
    measured, `mean` and `deviation` are of what was measured, as shown (0 … 255); each has one number a band.
    """

    scene: Scene
    bands: tuple[int, int, int]
    low: Float64[np.ndarray, " 3"]
    high: Float64[np.ndarray, " 3"]
    fill: UInt8[np.ndarray, " 3"]
    mean: Float64[np.ndarray, " 3"]
    deviation: Float64[np.ndarray, " 3"]

    def read(self, window: Window) -> UInt8[np.ndarray, "height width 3"]:
        """The photograph in a window, which may reach over the scene's edge: mirrored there."""
        inner = window.clipped(self.scene.grid.height, self.scene.grid.width)
        data, valid = self.scene.read(inner)
        shown = stretched(data[list(self.bands)], self.low, self.high)
        shown[~valid] = self.fill
        top, left = inner.row - window.row, inner.col - window.col
        bottom, right = window.height - inner.height - top, window.width - inner.width - left
        return np.pad(shown, ((top, bottom), (left, right), (0, 0)), mode="reflect")


def photo_bands(names: Sequence[str]) -> tuple[int, int, int]:
    """Which bands to show as red, green and blue: by name, else the first three; what is missing repeats the last."""
    lowered = [name.lower() for name in names]
    for triple in PREFERRED:
        if set(triple) <= set(lowered):
            first, second, third = (lowered.index(name) for name in triple)
            return first, second, third
    last = len(names) - 1
    return 0, min(1, last), min(2, last)


def survey_photo(scene: Scene) -> Photo:
    """Reads the whole scene once, block by block, for its stretch and median colour.

    8-bit bands are shown as they are; others are stretched between percentiles, each band on its own, so that also
    16 bits with a maximum of 300 fill the range. A scene without a valid pixel or of one colour is an `InputError`.
    """
    bands = photo_bands(scene.bands)
    samples = _sampled(scene, bands)
    if samples.pixels.size == 0:
        raise InputError(
            f"scene {scene.name}: no valid pixel, all of {scene.image} is nodata or transparent; "
            f"take the scene out or correct its nodata value"
        )
    if (samples.low == samples.high).all():
        raise InputError(
            f"scene {scene.name}: every valid pixel of {scene.image} has the same colour "
            f"({', '.join(f'{v:g}' for v in samples.low)}); depth cannot be seen in it; take the scene out"
        )
    low, high = _range(scene, samples)
    shown = stretched(samples.pixels, low, high)
    fill = np.median(shown, axis=0).astype(np.uint8)
    return Photo(scene, bands, low, high, fill, shown.mean(axis=0), shown.std(axis=0))


def stretched(
    data: Shaped[np.ndarray, "3 ..."], low: Float64[np.ndarray, " 3"], high: Float64[np.ndarray, " 3"]
) -> UInt8[np.ndarray, "... 3"]:
    """Three bands as 8 bits, bands last: `low` becomes 0, `high` 255; a band without a range is mid-grey."""
    if data.dtype == np.uint8 and (low == 0).all() and (high == 255).all():
        return np.moveaxis(data, 0, -1).copy()
    span = high - low
    last = np.moveaxis(data, 0, -1).astype(np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        share = (last - low.astype(np.float32)) / np.where(span > 0, span, 1).astype(np.float32)
        share = np.where(span > 0, np.clip(share, 0, 1), 0.5)
    return np.rint(np.nan_to_num(share) * 255).astype(np.uint8)


class _Samples(NamedTuple):
    """Valid pixels of a scene, evenly spread, and the exact least and greatest value of every band."""

    pixels: Shaped[np.ndarray, "3 pixels"]
    low: Float64[np.ndarray, " 3"]
    high: Float64[np.ndarray, " 3"]


def _sampled(scene: Scene, bands: tuple[int, int, int]) -> _Samples:
    step = max(1, ceil(sqrt(scene.grid.height * scene.grid.width / SAMPLE)))
    pixels, low, high = [], np.full(3, np.inf), np.full(3, -np.inf)
    for window in blocks_of(scene):
        data, valid = scene.read(window)
        data = data[list(bands)]
        pixels.append(_thinned(data, valid, step))
        if valid.any():
            low = np.minimum(low, data.min(axis=(1, 2), where=valid, initial=_greatest(data.dtype)))
            high = np.maximum(high, data.max(axis=(1, 2), where=valid, initial=_least(data.dtype)))
    return _Samples(np.concatenate(pixels, axis=1), low, high)


def _thinned(
    data: Shaped[np.ndarray, "3 height width"], valid: Bool[np.ndarray, "height width"], step: int
) -> Shaped[np.ndarray, "3 pixels"]:
    """Every `step`-th valid pixel, so that few valid pixels are not missed by a coarse grid."""
    return data[:, valid][:, :: step * step].copy()  # a view would keep the whole block in memory


def _range(scene: Scene, samples: _Samples) -> tuple[Float64[np.ndarray, " 3"], Float64[np.ndarray, " 3"]]:
    if scene.dtype == np.uint8:
        return np.zeros(3), np.full(3, 255.0)
    low, high = np.percentile(samples.pixels.astype(np.float64), STRETCH_PERCENTILES, axis=1)
    flat = low == high  # nearly all pixels alike: what differs lies outside the percentiles
    return np.where(flat, samples.low, low), np.where(flat, samples.high, high)


def _least(dtype: np.dtype) -> float:
    return np.iinfo(dtype).min if dtype.kind in "ui" else -np.inf


def _greatest(dtype: np.dtype) -> float:
    return np.iinfo(dtype).max if dtype.kind in "ui" else np.inf
