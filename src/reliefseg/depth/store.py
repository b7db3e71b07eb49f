"""What windows show, on disk instead of in memory: a scene may be as large as it likes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32

Plane = Float32[np.ndarray, "side side"]


class PlaneStore:
    """Square planes of one side, one after the other in a file; what an interrupted call put there is there."""

    def __init__(self, file: Path, side: int):
        self.side = side
        self._bytes = 4 * side * side
        self._file = file.open("a+b")
        self._count = file.stat().st_size // self._bytes
        self._file.truncate(self._count * self._bytes)  # the last one may be cut short

    def __del__(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def fill(self, count: int, look: Callable[[int], Plane], step: Callable[[], None]) -> None:
        """Puts what `look` sees behind what is there, up to `count` planes; `step` is called for each of them all."""
        for index in range(count):
            if index >= len(self):
                self._append(look(index))
            step()

    def __getitem__(self, index: int) -> Plane:
        if not 0 <= index < self._count:
            raise IndexError(index)
        self._file.seek(index * self._bytes)
        return np.frombuffer(self._file.read(self._bytes), np.float32).reshape(self.side, self.side)

    def _append(self, plane: Plane) -> None:
        if plane.shape != (self.side, self.side):
            raise ValueError(f"plane of {plane.shape}: expected a side of {self.side}")
        self._file.write(np.ascontiguousarray(plane, np.float32).data)
        self._count += 1
