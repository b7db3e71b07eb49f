"""How well heights are seen: figures of the depth network on scenes whose heights are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.stats import rankdata

from reliefseg.depth.disguise import normalised
from reliefseg.depth.heights import WORKING_GSD, HeightNetwork, metres
from reliefseg.depth.pool import FittingScene, grid_tiles
from reliefseg.errors import InputError

HIGH_M = 2.5
"""What stands higher is taken for a building or a tree."""
BATCH = 4
"""Tiles looked at together."""


class HeightScores(NamedTuple):
    """Means over scenes: correlation of seen and true heights, AUC of "higher than 2.5 m" (None: nothing is)."""

    correlation: float
    auc: float | None

    def in_words(self) -> str:
        """Both, as a person reads them."""
        told = "not defined" if self.auc is None else f"{self.auc:.3f}"
        return f"correlation {self.correlation:.3f}, AUC above {HIGH_M} m {told}"


@torch.inference_mode()
def score_heights(network: HeightNetwork, scenes: Sequence[FittingScene], tile: int) -> HeightScores:
    """Looks at scenes at the working gsd, as they are, in tiles beside each other."""
    figures = []
    for scene in scenes:
        tiles = grid_tiles(scene, tile, WORKING_GSD)
        thumbnails = tiles.thumbnails.flatten(2)
        photos = normalised(tiles.photos, thumbnails.mean(dim=2), thumbnails.std(dim=2))
        seen = torch.cat([metres(network(part).fused[:, 0]) for part in photos.split(BATCH)])
        known = tiles.known.numpy()
        if known.any():
            figures.append(_figures(seen.numpy()[known], tiles.metres.numpy()[known]))
    if not figures:
        raise InputError("depth fit: where the network is scored no height is known; name validation scenes that have")
    correlations, areas = zip(*figures, strict=True)
    defined = [area for area in areas if not np.isnan(area)]
    return HeightScores(float(np.mean(correlations)), float(np.mean(defined)) if defined else None)


def area_under_curve(score: Float[np.ndarray, " n"], positive: Bool[np.ndarray, " n"]) -> float:
    """Chance that a positive has a higher score than a negative, ties half; nan where one kind is missing.

    Source: Hanley & McNeil, Radiology 143 (1982): the rank sum of Mann and Whitney.
    """
    n = int(positive.sum())
    if n in (0, len(positive)):
        return float("nan")
    ranks = rankdata(score)[positive].sum()
    return float((ranks - n * (n + 1) / 2) / (n * (len(positive) - n)))


def _figures(seen: Float[np.ndarray, " n"], true: Float[np.ndarray, " n"]) -> tuple[float, float]:
    flat = seen.std() == 0 or true.std() == 0
    correlation = 0.0 if flat else float(np.corrcoef(seen, true)[0, 1])
    return correlation, area_under_curve(seen, true > HIGH_M)
