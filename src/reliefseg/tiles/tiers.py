"""Where all scenes lie while a run learns: on the device, in the machine's memory, or in a mapped file on the disk.

Tiles drawn from any of them are the same bits: pixels are gathered where they lie, and computed with on the device.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import shutil
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path

import numpy as np
import torch

from reliefseg.errors import InputError, is_full_disk
from reliefseg.hardware import free_memory
from reliefseg.raster.files import locked, probe_folder, whole_folder
from reliefseg.tiles.arrays import Normalisation, SceneArrays
from reliefseg.tiles.flat import FlatScenes, Lay, Outline, in_memory, stored_bands, stored_labels, torch_dtype
from reliefseg.tiles.settings import Wanted

SHARE = 0.4
"""Of what is free, scenes take no more than this: the rest is for learning."""
FORMAT = 2
"""Counted up when the same key would no longer mean the same bytes."""
BANDS, LABELS = "bands", "labels"
"""Files of a bank on the disk: bare pixels without a header."""
HOST = torch.device("cpu")


class Tier(StrEnum):
    """Where scenes lie; on the CPU its device's memory is the machine's."""

    DEVICE = "device"
    MEMORY = "memory"
    DISK = "disk"


PLACES = {
    Tier.DEVICE: "the device's memory",
    Tier.MEMORY: "the machine's memory",
    Tier.DISK: "a mapped file in the cache",
}
"""In words."""


def choose_tier(wanted: Wanted, nbytes: int, device: torch.device, processes: int = 1) -> Tier:
    """`auto`: the fastest that has room for so many bytes; `processes` of a machine share its memory.

    InputError where another is wanted than the disk and cannot hold them at all.
    """
    free = {Tier.DEVICE: free_memory(device), Tier.MEMORY: free_memory(HOST) // processes}
    if device.type == "cpu":
        free[Tier.DEVICE] = free[Tier.MEMORY]
    if wanted == "auto":
        return next((tier for tier, room in free.items() if nbytes <= SHARE * room), Tier.DISK)
    tier = Tier(wanted)
    if nbytes > free.get(tier, nbytes):
        raise InputError(
            f"setting tiles.bank: scenes take {nbytes / 1e9:.1f} GB, {free[tier] / 1e9:.1f} GB are free in "
            f"{PLACES[tier]}; take auto, or disk"
        )
    return tier


def lay_in(tier: Tier, folder: Path, role: str, key: str) -> Lay:
    """How scenes are laid there; folder, role and key name the files of those on the disk."""
    return {Tier.DEVICE: in_memory, Tier.MEMORY: in_host_memory, Tier.DISK: on_disk(folder, role, key)}[tier]


def in_host_memory(
    scenes: Iterable[SceneArrays], outline: Outline, normalisation: Normalisation, device: torch.device
) -> FlatScenes:
    """Scenes laid into the machine's memory; tiles are computed on the device."""
    return in_memory(scenes, outline, normalisation, HOST).computed_on(device)


def on_disk(folder: Path, role: str, key: str) -> Lay:
    """Lays scenes into files `folder/<role>-<key>/`, or finds them there, and maps these.

    Only pages that tiles touch are read, and memory for them is taken back when it is needed elsewhere. An older bank
    of the same role gives way. InputError where the disk has no room.
    """

    def lay(
        scenes: Iterable[SceneArrays], outline: Outline, normalisation: Normalisation, device: torch.device
    ) -> FlatScenes:
        final = folder / f"{role}-{key}"
        probe_folder(folder)
        with locked(folder / ".lock"):  # one process writes; the others wait and find it
            if not _is_whole(final, outline):
                _write(final, scenes, outline, normalisation)
            for other in (*folder.glob(f"{role}-*"), *folder.glob(f".{role}-*.partial")):
                if other != final:
                    shutil.rmtree(other)
            return _mapped(final, outline, device)  # from now on it may be removed: what is mapped stays

    return lay


def bank_key(digests: Sequence[str], normalisation: Normalisation, *more: object) -> str:
    """Equal for equal scenes stored in the same way; `more` is what was done to scenes after they were digested."""
    parts = json.dumps([FORMAT, list(digests), normalisation.mean, [str(m) for m in more]])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _sizes(outline: Outline) -> dict[str, int]:
    return {BANDS: outline.nbytes - outline.pixels, LABELS: outline.pixels}


def _is_whole(folder: Path, outline: Outline) -> bool:
    sizes = _sizes(outline)
    return all((folder / name).is_file() and (folder / name).stat().st_size == n for name, n in sizes.items())


def _write(final: Path, scenes: Iterable[SceneArrays], outline: Outline, normalisation: Normalisation) -> None:
    """One scene at a time, whole or not at all."""
    try:
        with whole_folder(final) as aside, (aside / BANDS).open("wb") as bands, (aside / LABELS).open("wb") as labels:
            for scene in scenes:
                bands.write(stored_bands(scene, outline, normalisation).data)
                labels.write(stored_labels(scene).data)
    except OSError as error:
        if not is_full_disk(error):
            raise
        raise InputError(
            f"{final}: the training scenes do not fit into memory, and their {outline.nbytes / 1e9:.1f} GB not on this "
            "disk either; make room, or choose another place with --cache"
        ) from None


def _mapped(folder: Path, outline: Outline, device: torch.device) -> FlatScenes:
    pixels = _map(folder / BANDS)
    pixels.madvise(mmap.MADV_RANDOM)  # rows of a tile lie far apart: reading ahead would read what nobody wants
    bands = np.frombuffer(pixels, outline.dtype).reshape(outline.pixels, outline.bands)
    labels = np.frombuffer(_map(folder / LABELS), np.uint8)
    kind = torch_dtype(outline.dtype)
    return FlatScenes.of(torch.from_numpy(bands).view(kind), torch.from_numpy(labels), outline, device)


def _map(path: Path) -> mmap.mmap:
    """The file, read page by page as they are touched; private, so that nothing can write to it."""
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
