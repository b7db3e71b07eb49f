"""A part of a labelled scene kept for validation, where a data set has no scenes for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from reliefseg.raster import IGNORE_INDEX, Window
from reliefseg.tiles import SceneArrays


def split_off_block(arrays: SceneArrays, margin: float, classes: int) -> tuple[SceneArrays, SceneArrays]:
    """One quarter of a scene kept for validation, and the rest for training.

    The quarter is the one, of those with labels, whose class shares are nearest the whole scene's; labels within
    `margin` pixels of it are used by neither.
    """
    height, width = arrays.labels.shape
    half_h, half_w = height // 2, width // 2
    quarters = [Window(r, c, half_h, half_w) for r in (0, height - half_h) for c in (0, width - half_w)]
    whole = _class_shares(arrays.labels, classes)
    shares = [_class_shares(arrays.labels[q.slices], classes) for q in quarters]
    distances = [np.abs(one - whole).sum() if one.any() else np.inf for one in shares]
    block = quarters[int(np.argmin(distances))]
    near = block.expanded(int(np.ceil(margin))).clipped(height, width)
    kept = arrays.labels.copy()
    kept[near.slices] = IGNORE_INDEX
    held = np.full_like(arrays.labels, IGNORE_INDEX)
    held[block.slices] = arrays.labels[block.slices]
    return replace(arrays, labels=kept), replace(arrays, labels=held)


def _class_shares(labels: UInt8[np.ndarray, "h w"], classes: int) -> np.ndarray:
    counts = np.bincount(labels.ravel(), minlength=256)[:classes]
    return counts / max(1, counts.sum())
