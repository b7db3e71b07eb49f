"""Scenes with known heights in memory, and the tiles that the depth network learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float16, Float32, UInt8
from torch import Tensor

TILE_GSD = (0.12, 1.6)
"""Finest and coarsest gsd of a tile, metres a pixel."""
USUAL_GSD = (0.16, 0.42)
"""Half of the tiles have a gsd in here, where prediction looks at scenes whose gsd is known."""
GRID = 3
"""Most tiles a side that a scene is scored on."""
THUMBNAIL = 32
"""Pixels a side of a scene's thumbnail, from which its mean and deviation are taken."""


@dataclass(frozen=True)
class FittingScene:
    """A scene whose heights are known. `triples` are the bands that may be shown as red, green and blue."""

    bands: UInt8[np.ndarray, "bands height width"]
    metres: Float16[np.ndarray, "height width"]
    gsd: float
    triples: tuple[tuple[int, int, int], ...]

    @property
    def thumbnail(self) -> UInt8[np.ndarray, "bands rows cols"]:
        """Pixels of the scene, evenly spread."""
        rows, cols = (np.linspace(0, extent - 1, THUMBNAIL).astype(int) for extent in self.metres.shape)
        return self.bands[:, rows[:, None], cols]


class Tiles(NamedTuple):
    """A batch. Photographs are 0 … 1; `thumbnails` are pixels of the same scenes in the same bands."""

    photos: Float32[Tensor, "n 3 h w"]
    thumbnails: Float32[Tensor, "n 3 rows cols"]
    metres: Float32[Tensor, "n h w"]
    known: Bool[Tensor, "n h w"]


def draw_tiles(scenes: Sequence[FittingScene], size: int, count: int, rng: np.random.Generator) -> Tiles:
    """`count` tiles of `size` pixels from random scenes, places, gsds and bands, turned and flipped."""
    return _stacked([_draw(scenes[int(rng.integers(len(scenes)))], size, rng) for _ in range(count)])


def grid_tiles(scene: FittingScene, size: int, gsd: float) -> Tiles:
    """At most 3 × 3 tiles beside each other from a scene's corner, at one gsd, its first bands."""
    box = min(round(size * gsd / scene.gsd), *scene.metres.shape)
    rows, cols = (range(0, extent - box + 1, box)[:GRID] for extent in scene.metres.shape)
    return _stacked([_cut(scene, scene.triples[0], row, col, box, size) for row in rows for col in cols])


class _Tile(NamedTuple):
    photo: Float[Tensor, "3 h w"]
    thumbnail: Float[Tensor, "3 rows cols"]
    metres: Float[Tensor, "h w"]
    known: Bool[Tensor, "h w"]


def _stacked(tiles: list[_Tile]) -> Tiles:
    return Tiles(*(torch.stack(planes) for planes in zip(*tiles, strict=True)))


def _draw(scene: FittingScene, size: int, rng: np.random.Generator) -> _Tile:
    finest, coarsest = USUAL_GSD if rng.random() < 0.5 else TILE_GSD
    gsd = exp(rng.uniform(log(finest), log(coarsest)))
    height, width = scene.metres.shape
    box = min(round(size * max(gsd / scene.gsd, 0.6)), height, width)
    row, col = (int(rng.integers(extent - box + 1)) for extent in (height, width))
    tile = _cut(scene, scene.triples[rng.integers(len(scene.triples))], row, col, box, size)
    turns, flip = int(rng.integers(4)), rng.random() < 0.5

    def turned(plane: Tensor) -> Tensor:
        plane = torch.rot90(plane, turns, (-2, -1))
        return plane.flip(-1) if flip else plane

    return tile._replace(photo=turned(tile.photo), metres=turned(tile.metres), known=turned(tile.known))


def _cut(scene: FittingScene, bands: tuple[int, int, int], row: int, col: int, box: int, size: int) -> _Tile:
    """A box of the scene resampled to a tile, each pixel the mean over its area."""
    place = slice(row, row + box), slice(col, col + box)
    photo = torch.from_numpy(scene.bands[(list(bands), *place)]).float() / 255
    heights = torch.from_numpy(scene.metres[place].astype(np.float32))[None]
    known = heights.isfinite()
    planes = resampled(torch.cat([photo, heights.nan_to_num(), known.float()]), size)
    thumbnail = torch.from_numpy(scene.thumbnail[list(bands)]).float() / 255
    return _Tile(planes[:3], thumbnail, planes[3], planes[4] > 0.99)


def resampled(planes: Float[Tensor, "n h w"], size: int) -> Float[Tensor, "n size size"]:
    """Square planes at another size; smaller, each pixel is a mean over its area."""
    if planes.shape[-1] == size:
        return planes
    return F.interpolate(planes[None], (size, size), mode="bilinear", align_corners=False, antialias=True)[0]
