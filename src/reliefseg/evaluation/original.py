"""The three figures of the original system, under names that say what they are, and what an empty map scores.

They are kept for comparison with its README only: an empty map scores high on all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from reliefseg.evaluation.confusion import by_class, confusion_matrix, mean_of, shares

SQUARE = 200
"""Pixels a side of the squares, the original's tile size."""


class SquareCounts(NamedTuple):
    """Valid pixels of each square by class: in the truth, in the map, and in both at once."""

    true: Int64[np.ndarray, "squares classes"]
    shown: Int64[np.ndarray, "squares classes"]
    both: Int64[np.ndarray, "squares classes"]


def count_squares(
    truth: UInt8[np.ndarray, "height width"], predicted: UInt8[np.ndarray, "_rows _cols"], classes: int
) -> SquareCounts:
    """The counts of a scene's 200 px squares from its top-left corner, the last ones smaller.

    Squares without a valid pixel are left out: nothing is defined there. InputError: as `confusion_matrix`.
    """
    confusions = [confusion_matrix(truth[one], predicted[one], classes) for one in _squares(truth.shape)]
    stack = np.array(confusions, dtype=np.int64).reshape(-1, classes, classes)
    stack = stack[stack.any(axis=(1, 2))]
    return SquareCounts(stack.sum(axis=2), stack.sum(axis=1), np.diagonal(stack, axis1=1, axis2=2))


def join_squares(counts: list[SquareCounts], classes: int) -> SquareCounts:
    """The squares of several scenes, in order."""
    none = np.zeros((0, classes), np.int64)
    parts = zip(SquareCounts(none, none, none), *counts, strict=True)
    return SquareCounts(*(np.concatenate(part) for part in parts))


def original_figures(counts: SquareCounts, names: Sequence[str]) -> dict[str, Any]:
    """`class_agreement` by class, `mean_class_agreement`, `tile_iou`, `map_accuracy`; fractions.

    Agreement: share of a square's pixels where map and truth agree on "is class c", mean over squares (what
    the original calls IoU). Tile IoU: TP / (TP + FP + FN) in a square, 1 where both are empty, mean over
    squares, then classes (what it calls F1). Map accuracy: share of all pixels with the right class ("Binary
    ACC"). Means over classes are over those that occur in the truth. None where no pixel is valid.
    """
    union = counts.true + counts.shown - counts.both
    agreement = _pixels(counts)[:, None] - union + counts.both
    return _figures(counts, names, agreement, shares(counts.both, union, undefined=1.0), counts.both.sum())


def trivial_figures(counts: SquareCounts, names: Sequence[str]) -> dict[str, Any]:
    """As `original_figures`, for a map that shows nothing; `map_accuracy` is that of class 0 everywhere."""
    agreement = _pixels(counts)[:, None] - counts.true
    return _figures(counts, names, agreement, (counts.true == 0).astype(np.float64), counts.true[:, 0].sum())


def _figures(
    counts: SquareCounts,
    names: Sequence[str],
    agreeing: Int64[np.ndarray, "squares classes"],
    ious: Float64[np.ndarray, "squares classes"],
    right: np.int64,
) -> dict[str, Any]:
    """The figures from agreeing pixels and IoU by square and class, and from the number of right pixels."""
    pixels = _pixels(counts)
    occurs, known = counts.true.sum(axis=0) > 0, np.full(len(names), pixels.size > 0)
    agreement = _mean_over_squares(agreeing / pixels[:, None])
    return {
        "class_agreement": by_class(names, agreement, known),
        "mean_class_agreement": mean_of(by_class(names, agreement, occurs).values()),
        "tile_iou": mean_of(by_class(names, _mean_over_squares(ious), occurs).values()),
        "map_accuracy": float(right / pixels.sum()) if pixels.size else None,
    }


def _squares(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    for row in range(0, shape[0], SQUARE):
        for col in range(0, shape[1], SQUARE):
            yield slice(row, row + SQUARE), slice(col, col + SQUARE)


def _pixels(counts: SquareCounts) -> Int64[np.ndarray, " squares"]:
    """Valid pixels of each square."""
    return counts.true.sum(axis=1)


def _mean_over_squares(values: Float64[np.ndarray, "squares classes"]) -> Float64[np.ndarray, " classes"]:
    return values.sum(axis=0) / max(1, len(values))
