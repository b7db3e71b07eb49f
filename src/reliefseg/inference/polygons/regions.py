"""Connected regions of a class map that comes in blocks: their parts block by block, joined over block borders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Int64, Shaped, UInt8
from scipy.ndimage import label
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reliefseg.inference.blocks import NODATA, Block
from reliefseg.raster import Grid, Window

OUTSIDE = -1
"""Number of no region: beyond the scene's edge, and where it is not valid."""


class Frontier:
    """What the blocks above and to the left have along the border of the next block; blocks come row by row."""

    def __init__(self, width: int, outside: int, dtype: type[np.generic]):
        self._above = np.full(width, outside, dtype)
        self._beside = np.empty(0, dtype)
        self._outside = outside

    def framed(self, window: Window, values: Shaped[np.ndarray, "h w"]) -> Shaped[np.ndarray, "h+1 w+1"]:
        """The values of a window with the row above it and the column to its left."""
        cols = window.slices[1]
        framed = np.full((window.height + 1, window.width + 1), self._outside, self._above.dtype)
        framed[1:, 1:] = values
        framed[0, 1:] = self._above[cols]
        framed[1:, 0] = self._beside if window.col else self._outside
        self._above[cols], self._beside = values[-1], values[:, -1].copy()
        return framed


class Parts(NamedTuple):
    """The regions of each block on its own, numbered on from block to block in reading order.

    `first` is a part's first pixel in the scene's reading order, `blocks` the number of each block's first part;
    `pairs` are neighbours of different class with the `lengths` of the border between them, in pixels. Parts of
    one class on both sides of a block border are in `links`.
    """

    class_ids: UInt8[np.ndarray, " parts"]
    pixels: Int64[np.ndarray, " parts"]
    first: Int64[np.ndarray, " parts"]
    blocks: list[int]
    links: Int64[np.ndarray, "links 2"]
    pairs: Int64[np.ndarray, "pairs 2"]
    lengths: Int64[np.ndarray, " pairs"]


def label_parts(class_ids: UInt8[np.ndarray, "h w"]) -> Int32[np.ndarray, "h w"]:
    """Numbers the regions of equal class, neighbours by their sides, from 0 in reading order."""
    height, width = class_ids.shape
    woven = np.zeros((2 * height - 1, 2 * width - 1), bool)  # pixels, and between them whether they are joined
    woven[::2, ::2] = True
    woven[::2, 1::2] = class_ids[:, 1:] == class_ids[:, :-1]
    woven[1::2, ::2] = class_ids[1:] == class_ids[:-1]
    return label(woven, output=np.int32)[0][::2, ::2] - 1


def survey_parts(blocks: Iterable[Block], grid: Grid) -> Parts:
    """All parts of a scene and how they lie to one another."""
    labels = Frontier(grid.width, OUTSIDE, np.int32)
    classes = Frontier(grid.width, NODATA, np.uint8)
    starts, tables, links, borders = [0], [], [], []
    for block in blocks:
        parts = label_parts(block.class_ids)
        tables.append(_table(parts, block, grid.width))
        parts += starts[-1]
        pairs, same = _neighbours(labels.framed(block.window, parts), classes.framed(block.window, block.class_ids))
        links.append(np.unique(pairs[same]))
        borders.append(np.unique(pairs[~same], return_counts=True))
        starts.append(starts[-1] + len(tables[-1][0]))
    class_ids, pixels, first = (np.concatenate(columns) for columns in zip(*tables, strict=True))
    codes, lengths = total_by_code(*(np.concatenate(columns) for columns in zip(*borders, strict=True)))
    return Parts(class_ids, pixels, first, starts[:-1], unpaired(np.concatenate(links)), unpaired(codes), lengths)


def joined(links: Int64[np.ndarray, "links 2"], count: int) -> Int64[np.ndarray, " count"]:
    """The number of the group that each of `count` things belongs to, given links between them."""
    graph = coo_array((np.ones(len(links), np.int8), (links[:, 0], links[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def paired(one: Int64[np.ndarray, " n"], other: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """A code for each unordered pair of numbers below 2³¹."""
    return np.minimum(one, other) << 32 | np.maximum(one, other)


def unpaired(codes: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, "n 2"]:
    """The pairs that `paired` made codes of, the lower number first."""
    return np.column_stack([codes >> 32, codes & 0xFFFFFFFF])


def total_by_code(
    codes: Int64[np.ndarray, " n"], lengths: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " m"], Int64[np.ndarray, " m"]]:
    """Every code once, with the sum of its lengths."""
    once, where = np.unique(codes, return_inverse=True)
    totals = np.zeros(len(once), np.int64)
    np.add.at(totals, where, lengths)
    return once, totals


def _table(
    parts: Int32[np.ndarray, "h w"], block: Block, width: int
) -> tuple[UInt8[np.ndarray, " n"], Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Class, pixels and first pixel of every part of a block."""
    flat, window = parts.ravel(), block.window
    pixels = np.bincount(flat).astype(np.int64)
    first = np.empty(len(pixels), np.int64)
    first[flat[::-1]] = np.arange(flat.size)[::-1]  # the last one set stays: the first in reading order
    class_ids = block.class_ids.ravel()[first]
    rows, cols = np.divmod(first, window.width)
    return class_ids, pixels, (window.row + rows) * width + window.col + cols


def _neighbours(
    parts: Int32[np.ndarray, "h w"], class_ids: UInt8[np.ndarray, "h w"]
) -> tuple[Int64[np.ndarray, " pairs"], np.ndarray]:
    """Codes of the different parts on both sides of every pixel's upper and left side; whether of one class."""
    codes, same = [], []
    for rows, cols in ((slice(None, -1), slice(1, None)), (slice(1, None), slice(None, -1))):
        one, other = parts[rows, cols], parts[1:, 1:]
        here = (one != other) & (one != OUTSIDE)
        both = class_ids[rows, cols][here], class_ids[1:, 1:][here]
        valid = (both[0] != NODATA) & (both[1] != NODATA)
        codes.append(paired(one[here].astype(np.int64), other[here].astype(np.int64))[valid])
        same.append((both[0] == both[1])[valid])
    return np.concatenate(codes), np.concatenate(same)
