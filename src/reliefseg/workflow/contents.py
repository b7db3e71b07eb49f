"""What scenes hold and how it is meant, in short: whether figures and runs of an earlier call still stand."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from reliefseg.raster import SPLITS, Dataset, Scene
from reliefseg.raster.files import hash_file
from reliefseg.raster.fingerprints import fingerprint
from reliefseg.workflow.saying import Sayer

LEARNT_FROM = tuple(split for split in SPLITS if split != "test")


class Contents(NamedTuple):
    """SHA-256 over what scenes hold and how it is meant: of those that are learnt from, and of those that score."""

    learnt: str
    scored: str


def contents_of(dataset: Dataset, split: str, say: Sayer) -> Contents:
    """What all scenes hold that are learnt from or score, the classes' ids and colours, and the tile labels."""
    learnt = {name for one in LEARNT_FROM for name in dataset.splits.get(one, ())}
    scored = set(dataset.splits[split])
    held = _held_by(dataset, learnt | scored, say)
    rule = dataset.tile_rule
    tiles = "" if rule is None or rule.file is None else hash_file(dataset.root / rule.file)

    def digest_of(names: set[str]) -> str:
        return _digest(dataset.classes, tiles, [(name, held[name]) for name in sorted(names)])

    return Contents(digest_of(learnt), digest_of(scored))


def scored_contents(dataset: Dataset, split: str, say: Sayer) -> str:
    """What the scenes of a split hold, in their order, and the classes' ids and colours."""
    names = dataset.splits[split]
    held = _held_by(dataset, set(names), say)
    return _digest(dataset.classes, [(name, held[name]) for name in names])


def _held_by(dataset: Dataset, names: set[str], say: Sayer) -> dict[str, str]:
    held: dict[str, str] = {}
    with say.progress("looking for changed files") as tick:
        for name in sorted(names):
            held[name] = _of_scene(dataset.scenes[name])
            tick(len(held), len(names))
    return held


def _of_scene(scene: Scene) -> str:
    files = scene.files
    bytes_ = fingerprint(filter(None, (files.image, files.labels, files.heights, files.ground)))
    return _digest(bytes_, scene.grid.gsd, files.heights_are, files.class_column, files.unlabelled_is)


def _digest(*facts: object) -> str:
    return hashlib.sha256(repr(facts).encode()).hexdigest()
