"""Finished pieces: as files in a work folder, or in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, UInt16
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from reliefseg.errors import InputError
from reliefseg.inference.computing import Computed
from reliefseg.inference.plan import Piece
from reliefseg.raster import Window, whole_file


@runtime_checkable
class Store(Protocol):
    """Where finished pieces are."""

    def probabilities(self, piece: Piece, part: Window) -> UInt16[np.ndarray, "classes rows cols"] | None:
        """What a piece keeps of a part of its area (on the working grid); None where it shows nothing valid."""

    def valid(self, piece: Piece, part: Window) -> Bool[np.ndarray, "h w"]:
        """Where a part of its core (in pixels of the scene) is valid."""


class MemoryStore:
    """Pieces in memory."""

    def __init__(self) -> None:
        self._pieces: dict[int, Computed] = {}

    def keep(self, piece: Piece, computed: Computed) -> None:
        """Keeps a piece."""
        self._pieces[piece.number] = computed

    def probabilities(self, piece: Piece, part: Window) -> UInt16[np.ndarray, "classes rows cols"] | None:
        """See `Store`."""
        found = self._pieces[piece.number].probabilities
        return None if found is None else found[(slice(None), *_within(part, piece.area))]

    def valid(self, piece: Piece, part: Window) -> Bool[np.ndarray, "h w"]:
        """See `Store`."""
        return self._pieces[piece.number].valid[_within(part, piece.core)]


class FolderStore:
    """One file a piece, there only when whole; read by parts, so that memory stays small."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, number: int) -> Path:
        """The file of a piece."""
        return self.folder / f"piece_{number:06d}.safetensors"

    def has(self, piece: Piece) -> bool:
        """Whether a piece is finished."""
        return self.path(piece.number).exists()

    def keep(self, piece: Piece, computed: Computed) -> None:
        """Writes a piece, whole or not at all."""
        self.put(piece.number, packed(computed))

    def put(self, number: int, content: bytes) -> None:
        """Writes a packed piece, whole or not at all."""
        with whole_file(self.path(number)) as part:
            part.write_bytes(content)

    def windows(self, piece: Piece) -> int:
        """How many windows were computed for a piece."""
        with self._opened(piece) as file:
            return int(file.metadata()["windows"])

    def probabilities(self, piece: Piece, part: Window) -> UInt16[np.ndarray, "classes rows cols"] | None:
        """See `Store`."""
        rows, cols = _within(part, piece.area)
        with self._opened(piece) as file:
            if "probabilities" not in file.keys():  # noqa: SIM118 - a file, not a dict
                return None
            return file.get_slice("probabilities")[:, rows, cols]

    def valid(self, piece: Piece, part: Window) -> Bool[np.ndarray, "h w"]:
        """See `Store`."""
        rows, cols = _within(part, piece.core)
        with self._opened(piece) as file:
            if "valid" not in file.keys():  # noqa: SIM118
                return np.full((part.height, part.width), file.metadata()["all_valid"] == "yes")
            bits = file.get_slice("valid")[rows]
        return np.unpackbits(bits, axis=1, count=piece.core.width)[:, cols].astype(bool)

    def _opened(self, piece: Piece) -> safe_open:
        path = self.path(piece.number)
        try:
            return safe_open(path, "np")
        except (OSError, SafetensorError) as error:
            fault = f"{path}: a finished piece cannot be read ({error}); delete it, predict makes it again"
            raise InputError(fault) from error


def packed(computed: Computed) -> bytes:
    """A piece as the content of a safetensors file."""
    tensors = {} if computed.probabilities is None else {"probabilities": computed.probabilities}
    if computed.valid.any() != computed.valid.all():
        tensors["valid"] = np.packbits(computed.valid, axis=1)
    told = {"windows": str(computed.windows), "all_valid": "yes" if computed.valid.all() else "no"}
    return save(tensors, metadata=told)


def _within(part: Window, of: Window) -> tuple[slice, slice]:
    return part.shifted(-of.row, -of.col).slices
