"""A part of a labelled scene kept for validation, where a data set has no scenes for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import UInt8

from reliefseg.raster import IGNORE_INDEX, Window
from reliefseg.tiles import SceneArrays


def split_off_block(arrays: SceneArrays, margin: float, classes: int) -> tuple[SceneArrays, SceneArrays]:
    """What training sees of a scene's labels, and the quarter of them kept for validation.

    The labelled rectangle is quartered. Of the quarters with labels that leave training at least half as many as any
    of them would, the one is kept whose class shares are nearest the whole scene's; labels within `margin` pixels of it
    are used by neither. Where no quarter leaves any, training has them all, and the scene validates nothing.
    """
    height, width = arrays.labels.shape
    labelled = arrays.labels < classes
    nothing = np.full_like(arrays.labels, IGNORE_INDEX)
    choices = []
    for quarter in _quarters(labelled):
        near = quarter.expanded(int(np.ceil(margin))).clipped(height, width)
        left = int(labelled.sum() - labelled[near.slices].sum())
        if left and labelled[quarter.slices].any():
            choices.append((quarter, near, left))
    if not choices:
        return arrays, replace(arrays, labels=nothing)
    enough = max(left for *_, left in choices) / 2
    whole = _class_shares(arrays.labels, classes)
    quarter, near, _ = min(
        (choice for choice in choices if choice[2] >= enough),
        key=lambda choice: float(np.abs(_class_shares(arrays.labels[choice[0].slices], classes) - whole).sum()),
    )
    kept, held = arrays.labels.copy(), nothing
    kept[near.slices] = IGNORE_INDEX
    held[quarter.slices] = arrays.labels[quarter.slices]
    return replace(arrays, labels=kept), replace(arrays, labels=held)


def _quarters(labelled: np.ndarray) -> list[Window]:
    """Those of the smallest rectangle that holds all labels."""
    rows, cols = np.flatnonzero(labelled.any(axis=1)), np.flatnonzero(labelled.any(axis=0))
    if not len(rows):
        return []
    row, col = int(rows[0]), int(cols[0])
    height, width = int(rows[-1]) + 1 - row, int(cols[-1]) + 1 - col
    half_h, half_w = height // 2, width // 2
    corners = [(r, c) for r in (row, row + height - half_h) for c in (col, col + width - half_w)]
    return [Window(r, c, half_h, half_w) for r, c in corners] if half_h and half_w else []


def _class_shares(labels: UInt8[np.ndarray, "h w"], classes: int) -> np.ndarray:
    counts = np.bincount(labels.ravel(), minlength=256)[:classes]
    return counts / max(1, counts.sum())
