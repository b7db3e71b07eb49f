"""Tile-labelled windows, and the batches that are drawn of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from reliefseg.tiles import Boxes, SceneBank, Stream, jittered, turned, uniforms


@dataclass(frozen=True)
class LabelledTiles:
    """Windows in a bank's scenes and the classes each shows.

    The bank's labels say where scenes have pixels, no more: 255 where they have none.
    """

    bank: SceneBank
    boxes: Boxes
    shown: Bool[np.ndarray, "tiles classes"]

    def __len__(self) -> int:
        return len(self.boxes)

    def part(self, chosen: Bool[np.ndarray, " tiles"]) -> LabelledTiles:
        """Some of the windows, in the same bank."""
        return LabelledTiles(self.bank, self.boxes[chosen], self.shown[chosen])


def labelled_batch(
    tiles: LabelledTiles, seed: int, step: int, count: int, first: int = 0, batch: int | None = None
) -> tuple[Tensor, Tensor]:
    """Tiles first … first + count − 1 of a step's batch and what they show.

    The order is drawn anew each epoch; windows are whole, turned, recoloured. All is pure in (seed, step, index).
    """
    chosen, boxes = drawn(tiles, seed, step, count, first, batch or count)
    bands = tiles.bank.tiles(boxes, tiles.bank.settings.size)
    bands = jittered(bands, tiles.bank.settings.jitter, tiles.bank.image_bands, seed, step, first)
    return bands, shown_by(tiles, chosen).float()


def drawn(tiles: LabelledTiles, seed: int, step: int, count: int, first: int, batch: int) -> tuple[np.ndarray, Boxes]:
    """Which tiles of `tiles` these are, and where they lie, turned where tiles are turned."""
    chosen = _tile_order(len(tiles), seed, step, batch)[: first + count]
    boxes = tiles.boxes[chosen]
    if tiles.bank.settings.turns:
        boxes = turned(boxes, seed, step)
    return chosen[first:], boxes[first:]


def shown_by(tiles: LabelledTiles, chosen: np.ndarray) -> Bool[Tensor, "n classes"]:
    """What these tiles show."""
    return torch.from_numpy(tiles.shown[chosen]).to(tiles.bank.device)


def _tile_order(tiles: int, seed: int, step: int, batch: int) -> np.ndarray:
    places = np.arange(step * batch, (step + 1) * batch)
    orders = {e: np.argsort(uniforms(seed, Stream.TILE_ORDER, int(e), tiles, 1)[:, 0]) for e in set(places // tiles)}
    return np.array([orders[p // tiles][p % tiles] for p in places])
