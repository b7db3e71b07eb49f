"""Scenes as training reads them: kept in memory where there is room for all, else read again whenever wanted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from reliefseg.config import Settings
from reliefseg.hardware import free_memory
from reliefseg.raster import IGNORE_INDEX, Scene
from reliefseg.tiles import Normalisation, SceneArrays, SceneBank
from reliefseg.tiles.flat import Outline, storage_dtype
from reliefseg.tiles.loading import read_scene, relative_gsd
from reliefseg.tiles.tiers import SHARE, Tier, bank_key, lay_in
from reliefseg.workflow.saying import Tick

BESIDE_BANDS = 6
"""Bytes a pixel that a scene in memory takes beside its bands: validity, label, depth."""


@dataclass(frozen=True)
class SceneReader:
    """Reads scenes with the chosen bands, their depth rasters and, where the scene is named, labels."""

    bands: tuple[str, ...]
    depth: Mapping[str, Path]
    labelled: frozenset[str]
    reference_gsd: float | None
    kept: dict[str, SceneArrays] | None = field(default_factory=dict)
    """What was read stays here; None: nothing stays."""

    def __call__(self, scene: Scene) -> SceneArrays:
        """The scene, as it is kept or anew."""
        if self.kept is None:
            return self._read(scene)
        if scene.name not in self.kept:
            self.kept[scene.name] = self._read(scene)
        return self.kept[scene.name]

    def _read(self, scene: Scene) -> SceneArrays:
        depth, labelled = self.depth.get(scene.name), scene.name in self.labelled
        return read_scene(scene, bands=self.bands, depth=depth, with_labels=labelled, reference_gsd=self.reference_gsd)

    def outline(self, scenes: Sequence[Scene]) -> Outline:
        """What headers say of how these scenes will be stored."""
        sizes = tuple((s.grid.height, s.grid.width) for s in scenes)
        gsd = tuple(relative_gsd(s, self.reference_gsd) for s in scenes)
        return Outline(sizes, len(self.bands), bool(self.depth), storage_dtype({s.dtype for s in scenes}), gsd)


def have_room(outline: Outline, processes: int) -> bool:
    """Whether scenes so outlined may all be kept in memory as they were read, in each process of this machine."""
    needed = outline.nbytes + outline.pixels * BESIDE_BANDS
    return needed <= SHARE * free_memory(torch.device("cpu")) / processes


@dataclass(frozen=True)
class Looked:
    """What was found when all scenes were gone through once: digests by name, and names of those without any label.

    `labels` is the digest of all labels that were read.
    """

    normalisation: Normalisation
    digests: dict[str, str]
    unlabelled: list[str]
    labels: str


def look_through(read: SceneReader, trained_on: Sequence[Scene], others: Sequence[Scene], tick: Tick) -> Looked:
    """Goes through all scenes; the normalisation is that of `trained_on` alone.

    Scenes that are kept need no digest: they are never looked for on the disk.
    """
    digests: dict[str, str] = {}
    unlabelled: list[str] = []
    labels = hashlib.blake2b(digest_size=8)

    def seen(scenes: Sequence[Scene]) -> Iterator[SceneArrays]:
        for scene in scenes:
            arrays = read(scene)
            digests[scene.name] = arrays.digest if read.kept is None else ""
            if (arrays.labels == IGNORE_INDEX).all():
                unlabelled.append(scene.name)
            else:
                labels.update(scene.name.encode())
                labels.update(np.ascontiguousarray(arrays.labels).data)
            tick(len(digests), len(trained_on) + len(others))
            yield arrays

    normalisation = Normalisation.of(seen(trained_on))
    for _ in seen(others):
        pass
    return Looked(normalisation, digests, unlabelled, labels.hexdigest())


def ready(make: Callable[[], SceneArrays], read: SceneReader) -> Callable[[], SceneArrays]:
    """A scene for later: made at once where scenes are kept, else whenever it is wanted."""
    if read.kept is None:
        return make
    arrays = make()
    return lambda: arrays


@dataclass(frozen=True)
class BankMaker:
    """Lays scenes into banks, all on one tier; those on the disk go into `folder`."""

    looked: Looked
    classes: int
    settings: Settings
    device: torch.device
    tier: Tier
    folder: Path
    outline: Callable[[Sequence[Scene]], Outline]

    def make(self, role: str, scenes: Sequence[Scene], read: Callable[[Scene], SceneArrays]) -> SceneBank:
        """A bank of these scenes, read one at a time; `role` names it on the disk."""
        tiles, normalisation = self.settings.tiles, self.looked.normalisation
        digests = [self.looked.digests[s.name] for s in scenes]
        key = bank_key(digests, normalisation, self.settings.validation.blocks, tiles.box_side)
        lay = lay_in(self.tier, self.folder, role, key)
        arrays = (read(s) for s in scenes)
        return SceneBank(arrays, self.classes, normalisation, tiles, self.device, self.outline(scenes), lay)
