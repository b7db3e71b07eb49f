"""How a scene's file is laid out, and what reading it by pieces costs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np
import rasterio
from rasterio.io import DatasetReader

from reliefseg.inference.plan import Piece, Plan
from reliefseg.inference.sampling import read_window
from reliefseg.inference.source import Pixels, Read, Source
from reliefseg.raster import Window
from reliefseg.raster.opening import is_data, opened

MB = 2**20
USUAL_CACHE = 256 * MB
"""What GDAL may keep of decoded blocks …"""
LARGEST_CACHE = 768 * MB
"""… and what it may where a file's blocks are larger than pieces."""
OFTEN = 2.0
"""A file that has to be decoded more often is better copied first."""
COARSE = 64
"""Strips are counted in bundles of at least so many rows."""


class Layout(NamedTuple):
    """The blocks that a raster file can only be decoded by: pixels, and bytes a pixel over all bands.

    Strips are blocks as wide as the scene.
    """

    height: int
    width: int
    pixel_bytes: int

    @classmethod
    def of(cls, image: Path) -> Layout:
        """From the file's header; a mosaic (VRT) is as its first part."""
        with opened(image) as dataset:
            if dataset.driver == "VRT" and (parts := [f for f in dataset.files if Path(f) != image and is_data(f)]):
                return cls.of(Path(parts[0]))
            return cls._of(dataset)

    @classmethod
    def _of(cls, dataset: DatasetReader) -> Layout:
        heights, widths = zip(*dataset.block_shapes, strict=True)
        return cls(max(heights), max(widths), sum(np.dtype(d).itemsize for d in dataset.dtypes))

    def in_order(self, pieces: Iterable[Piece]) -> list[Piece]:
        """Pieces block by block, then in their own order: row by row unless blocks are larger than pieces."""
        return sorted(pieces, key=lambda p: (p.core.row // self.height, p.core.col // self.width, p.number))

    def suits(self, plan: Plan) -> bool:
        """Whether blocks are no larger than what the scene's first piece reads."""
        read = read_window(plan, plan.pieces[0])
        return self.height <= read.height and self.width <= read.width

    def times_decoded(self, plan: Plan, cache: int) -> float:
        """How often a block is decoded, on average, with so many bytes to keep decoded ones in."""
        height = self.height * -(-COARSE // self.height)
        room = max(1, cache // (height * min(self.width, plan.width) * self.pixel_bytes))
        kept: OrderedDict[tuple[int, int], None] = OrderedDict()
        seen, decoded = set(), 0
        for piece in self.in_order(plan.pieces):
            for block in _touched(read_window(plan, piece), height, self.width):
                decoded += block not in kept
                kept[block] = None
                kept.move_to_end(block)
                seen.add(block)
                if len(kept) > room:
                    kept.popitem(last=False)
        return decoded / len(seen)

    def cache(self, plan: Plan) -> int:
        """The cache that lets every block be decoded once, or the usual one where there is none.

        Twice what readers in strict order would need: threads are not in strict order.
        """
        sizes = range(USUAL_CACHE, LARGEST_CACHE + 1, USUAL_CACHE)
        return next((size for size in sizes if self.times_decoded(plan, size // 2) < OFTEN), USUAL_CACHE)

    def advice(self, image: Path, plan: Plan) -> str | None:
        """What to do about a file that has to be decoded many times; None where it does not."""
        times = 1.0 if self.suits(plan) else self.times_decoded(plan, self.cache(plan) // 2)
        if times < OFTEN:
            return None
        return (
            f"{image} can only be decoded by {self.height} × {self.width} px (height × width), each about {times:.0f} "
            "times; much faster from a copy: gdal_translate -of COG -co COMPRESS=DEFLATE -co BIGTIFF=IF_SAFER "
            f"{image} {image.with_name(image.stem + '_cog.tif')}"
        )

    @contextmanager
    def reading(self, source: Source, plan: Plan) -> Iterator[Source]:
        """The source for threads that read pieces in order: one handle for all where blocks are larger than pieces."""
        if self.suits(plan):
            yield source
            return
        cache = self.cache(plan)
        with rasterio.Env(GDAL_CACHEMAX=cache) if cache > USUAL_CACHE else nullcontext(), source.opened() as read:
            yield InTurns(read, Lock())


@dataclass(frozen=True)
class InTurns:
    """A source whose threads take turns with one handle, so that a block decoded for one serves all."""

    read: Read
    lock: Lock

    def opened(self) -> nullcontext[Read]:
        """For one thread; the handle stays open."""
        return nullcontext(self._read)

    def _read(self, window: Window) -> Pixels:
        with self.lock:
            return self.read(window)


def _touched(window: Window, height: int, width: int) -> Iterator[tuple[int, int]]:
    rows = range(window.row // height, -(-(window.row + window.height) // height))
    return product(rows, range(window.col // width, -(-(window.col + window.width) // width)))
