"""Blocks: finished rectangles of a scene's result, in the order they are written."""

from __future__ import annotations

from math import log
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

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
    corners = [(row, col) for row in range(0, height, BLOCK) for col in range(0, width, BLOCK)]
    return [Window(row, col, BLOCK, BLOCK).clipped(height, width) for row, col in corners]


def finished(
    window: Window, probabilities: Float32[Tensor, "classes h w"], valid: Bool[np.ndarray, "h w"]
) -> Block:
    """Probabilities, which sum to one, as a block: the most probable class (the first of equals) and entropy."""
    classes = len(probabilities)
    entropy = torch.special.entr(probabilities).sum(dim=0) / log(max(2, classes))
    return Block(
        window,
        _where_valid(probabilities.argmax(dim=0), valid),
        _where_valid(_in_units(probabilities), valid),
        _where_valid(_in_units(entropy), valid),
    )


def _in_units(values: Float32[Tensor, "..."]) -> Float32[Tensor, "..."]:
    return (values * UNIT).round_().clamp_(0, UNIT)


def _where_valid(values: Tensor, valid: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "..."]:
    stored = values.to(torch.uint8).numpy()
    stored[..., ~valid] = NODATA
    return stored
