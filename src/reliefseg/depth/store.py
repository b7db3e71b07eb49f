"""What windows show, on disk instead of in memory: a scene may be as large as it likes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from jaxtyping import Float32


class PlaneStore:
    """Square planes of one side, one after the other, in a file without a name that nothing can leave behind."""

    def __init__(self, folder: Path, side: int):
        self.side = side
        self._bytes = 4 * side * side
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - closed with the store
        self._count = 0

    def __del__(self) -> None:
        self._file.close()

    def __len__(self) -> int:
        return self._count

    def append(self, plane: Float32[np.ndarray, "side side"]) -> None:
        """Puts a plane behind the others."""
        if plane.shape != (self.side, self.side):
            raise ValueError(f"plane of {plane.shape}: expected a side of {self.side}")
        self._file.seek(self._count * self._bytes)
        self._file.write(np.ascontiguousarray(plane, np.float32).data)
        self._count += 1

    def __getitem__(self, index: int) -> Float32[np.ndarray, "side side"]:
        if not 0 <= index < self._count:
            raise IndexError(index)
        self._file.seek(index * self._bytes)
        return np.frombuffer(self._file.read(self._bytes), np.float32).reshape(self.side, self.side)
