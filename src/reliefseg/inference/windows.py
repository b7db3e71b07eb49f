"""Windows along one direction of the working grid, and the weights they are blended with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from jaxtyping import Float32

from reliefseg.raster.spread import Spread

OVERLAP = 8
"""What windows keep overlaps by at least an eighth of it."""


@dataclass(frozen=True)
class Axis:
    """Windows of one size along `extent` network pixels, spread evenly.

    What they keep, the window less `margin` at either end, covers the extent exactly; the outermost windows reach
    over the edge by their margin, all of them where the extent is shorter than what a window keeps.
    """

    extent: int
    window: int
    margin: int

    def __post_init__(self) -> None:
        if self.keep <= 0:
            most = (self.window - 1) // 2
            raise ValueError(f"margin {self.margin} leaves nothing of a window of {self.window}; at most {most}")

    @property
    def keep(self) -> int:
        """What is kept of a window."""
        return self.window - 2 * self.margin

    @property
    def overlap(self) -> int:
        """What neighbouring kept parts share at least; weights rise over so many pixels."""
        return self.keep // OVERLAP

    @cached_property
    def _spread(self) -> Spread:
        return Spread(self.extent, self.keep, self.overlap)

    @property
    def kept(self) -> tuple[int, ...]:
        """First pixel of every window's kept part."""
        return self._spread.starts

    def reach(self, first: int, last: int) -> tuple[int, int]:
        """Pixels to which windows `first` … `last` − 1 contribute, inside the extent."""
        return max(0, self.kept[first]), min(self.extent, self.kept[last - 1] + self.keep)

    def cut(self, index: int) -> int:
        """The middle of what window `index` shares with the one before; the extent's ends for the outermost."""
        if index in (0, len(self.kept)):
            return 0 if index == 0 else self.extent
        return (self.kept[index - 1] + self.keep + self.kept[index]) // 2

    def groups(self, side: int) -> list[tuple[int, int]]:
        """Neighbouring windows in groups that are about `side` pixels long, as first and last + 1."""
        count = max(1, round(self.extent / max(side, self.keep)))
        bounds = np.linspace(0, len(self.kept), min(count, len(self.kept)) + 1).astype(int).tolist()
        return list(pairwise(bounds))

    @cached_property
    def weights(self) -> Float32[np.ndarray, "windows keep"]:
        """Weights of each window's kept pixels; over all windows they sum to one."""
        return self._spread.weights.astype(np.float32)
