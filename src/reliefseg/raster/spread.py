"""Overlapping windows along one direction, and the weights that blend them without a seam."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True)
class Spread:
    """Windows of one size along `extent` pixels, spread evenly, neighbours overlapping by `overlap` or more.

    All lie inside the extent; one shorter than a window gets a single one, which reaches over both ends equally.
    """

    extent: int
    window: int
    overlap: int

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First pixel of every window."""
        if self.extent <= self.window:
            return ((self.extent - self.window) // 2,)
        count = -(-(self.extent - self.overlap) // (self.window - self.overlap))
        return tuple(int(place) for place in np.linspace(0, self.extent - self.window, count))

    def touching(self, first: int, count: int) -> list[int]:
        """Numbers of the windows that have some of these pixels."""
        return [i for i, start in enumerate(self.starts) if start < first + count and start + self.window > first]

    @cached_property
    def weights(self) -> Float64[np.ndarray, "windows window"]:
        """Weights of each window's pixels; over all windows they sum to one, where one is alone it has 1.

        They fall smoothly to nearly 0 towards the window's ends, over `overlap` pixels. Source: overlap-tile,
        Ronneberger et al. 2015, fig. 2; the ramp is a squared sine.
        """
        ramp = self._ramp()
        total = np.zeros(self.starts[-1] - self.starts[0] + self.window)
        for start in self.starts:
            total[start - self.starts[0] :][: self.window] += ramp
        return np.stack([ramp / total[start - self.starts[0] :][: self.window] for start in self.starts])

    def _ramp(self) -> Float64[np.ndarray, " window"]:
        to_end = np.minimum(np.arange(self.window), np.arange(self.window)[::-1]) + 0.5
        return np.sin(np.clip(to_end / max(1, self.overlap), 0, 1) * np.pi / 2) ** 2
