"""Blocks of a scene put together from finished pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from reliefseg.inference.blocks import Block, block_windows, finished
from reliefseg.inference.computing import STEPS
from reliefseg.inference.plan import Plan
from reliefseg.inference.sampling import support, upsampled
from reliefseg.inference.store import Store
from reliefseg.inference.temperature import tempered
from reliefseg.raster import Window


@dataclass(frozen=True)
class Blocks:
    """The blocks of a scene, row by row, as often as they are asked for; `wait` holds until a piece is finished.

    Pieces know nothing of the model's temperature; it is applied to what they blend to.
    """

    plan: Plan
    store: Store
    classes: int
    wait: Callable[[int], None]
    temperature: float

    def __iter__(self) -> Iterator[Block]:
        for window in block_windows(self.plan.height, self.plan.width):
            probabilities = self.probabilities(window)
            yield finished(window, probabilities, self.valid(window))

    def probabilities(self, window: Window) -> Float32[np.ndarray, "classes h w"]:
        """Class probabilities of a window of the scene; they sum to one where it is valid."""
        part = support(self.plan, window)
        total = np.zeros((self.classes, part.height, part.width), np.float32)
        for piece in self.plan.contributing(part):
            self.wait(piece.number)
            common = piece.area.shared(part)
            found = self.store.probabilities(piece, common)
            if found is not None:
                total[(slice(None), *common.shifted(-part.row, -part.col).slices)] += found
        total /= np.float32(STEPS)
        return tempered(upsampled(total, part, self.plan, window), self.temperature)

    def valid(self, window: Window) -> Bool[np.ndarray, "h w"]:
        """Where a window of the scene is valid."""
        valid = np.empty((window.height, window.width), bool)
        for piece in self.plan.answering(window):
            self.wait(piece.number)
            common = piece.core.shared(window)
            valid[common.shifted(-window.row, -window.col).slices] = self.store.valid(piece, common)
        return valid
