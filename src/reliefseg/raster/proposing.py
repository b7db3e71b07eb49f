"""Proposed splits: by scene, drawn from a seed, scenes of the same ground together."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import numpy as np

from reliefseg.raster.footprints import is_placed, shared_ground
from reliefseg.raster.grid import Grid

SEED = 0
SHARE = 0.2
"""Share of the labelled scenes that go to validation, and as many to test."""


class ProposedSplits(NamedTuple):
    """Scenes of each split, and scenes in none because they show ground of a scene in another split."""

    splits: dict[str, list[str]]
    left_out: list[str]


def propose_splits(grids: Mapping[str, Grid], labelled: Collection[str]) -> ProposedSplits:
    """Labelled scenes drawn into pixel_labelled, test and validation; the others are unlabelled.

    From two places with labels on there is a test scene, from three on a validation scene. Scenes that overlap
    count as one place. Scenes without labels that overlap labelled ones are left out.
    """
    places = _places(grids)
    with_labels = [[n for n in place if n in labelled] for place in places]
    drawn = [p for p in with_labels if p]
    order = np.random.default_rng(SEED).permutation(len(drawn)).tolist()
    part = max(1, round(SHARE * len(drawn)))
    tests = order[:part] if len(drawn) >= 2 else []
    validations = order[part : 2 * part] if len(drawn) >= 3 else []
    splits: dict[str, list[str]] = {"pixel_labelled": [], "unlabelled": [], "validation": [], "test": []}
    for number, names in enumerate(drawn):
        split = "test" if number in tests else "validation" if number in validations else "pixel_labelled"
        splits[split] += names
    alone = [n for place in places if not any(n in labelled for n in place) for n in place]
    splits["unlabelled"] = alone
    left_out = sorted(set(grids) - {n for names in splits.values() for n in names})
    return ProposedSplits({split: sorted(names) for split, names in splits.items() if names}, left_out)


def _places(grids: Mapping[str, Grid]) -> list[list[str]]:
    """Scenes grouped so that no two groups show the same ground; scenes that lie nowhere stand alone."""
    placed = sorted(name for name, grid in grids.items() if is_placed(grid))
    group = {name: name for name in grids}
    for a, b in shared_ground([grids[n] for n in placed]):
        if group[placed[a]] != group[placed[b]]:
            old, new = group[placed[b]], group[placed[a]]
            group = {name: new if of == old else of for name, of in group.items()}
    return [sorted(n for n in grids if group[n] == of) for of in sorted(set(group.values()))]
