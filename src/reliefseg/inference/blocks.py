"""Blocks: finished rectangles of a scene's result, in the order they are written."""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from reliefseg.raster import IGNORE_INDEX, Window

BLOCK = 1024
"""Side of a block, pixels of the scene; the last ones of a row or column are smaller."""
UNIT = 254
"""Probability or uncertainty 1 as it is stored."""
NODATA = IGNORE_INDEX
"""Stored where the scene is not valid: in class ids, probabilities and uncertainty alike."""


class Block(NamedTuple):
    """What is known of the pixels of `window` (pixels of the scene); NODATA everywhere where they are not valid.

    `class_ids` 0 … n−1; `probabilities` in units of 1 / UNIT; `uncertainty`, likewise, is the entropy of the
    probabilities over its largest value, log n: 0 where one class is certain, 1 where all are as likely.
    """

    window: Window
    class_ids: UInt8[np.ndarray, "h w"]
    probabilities: UInt8[np.ndarray, "classes h w"]
    uncertainty: UInt8[np.ndarray, "h w"]


def block_windows(height: int, width: int) -> list[Window]:
    """The blocks of a scene of this size, row by row."""
    return Window(0, 0, height, width).blocks(BLOCK)


def finished(
    window: Window, probabilities: Float32[np.ndarray, "classes h w"], valid: Bool[np.ndarray, "h w"]
) -> Block:
    """Probabilities, which sum to one, as a block: the most probable class (the first of equals) and the entropy."""
    planes = (most_probable(probabilities), in_units(probabilities), in_units(entropy(probabilities)))
    if not valid.all():
        for plane in planes:
            plane[..., ~valid] = NODATA
    return Block(window, *planes)


def most_probable(probabilities: Float32[np.ndarray, "classes h w"]) -> UInt8[np.ndarray, "h w"]:
    """The class with the largest probability; the first of equals."""
    best, ids = probabilities[0].copy(), np.zeros(probabilities.shape[1:], np.uint8)
    for k, plane in enumerate(probabilities[1:], 1):
        np.copyto(ids, np.uint8(k), where=plane > best)
        np.maximum(best, plane, out=best)
    return ids


def entropy(probabilities: Float32[np.ndarray, "classes h w"]) -> Float32[np.ndarray, "h w"]:
    """Entropy over its largest value, in [0, 1]."""
    total = np.zeros(probabilities.shape[1:], np.float32)
    for plane in probabilities:
        total -= plane * np.log(np.maximum(plane, 1e-12))
    return total / np.float32(log(max(2, len(probabilities))))


def in_units(values: Float32[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Fractions in steps of 1 / UNIT."""
    units = np.clip(values, 0, 1)
    units *= np.float32(UNIT)
    units += np.float32(0.5)
    return units.astype(np.uint8)
