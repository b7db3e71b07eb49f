"""Where classes meet: labels with borders taken out, and how well outlines fit."""

from __future__ import annotations

from math import isqrt
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from reliefseg.evaluation.confusion import check_maps, shares
from reliefseg.raster.classes import IGNORE_INDEX

BORDER_RADIUS = 3
"""Pixels: the disc that erodes borders, and how far outlines may lie apart (dx² + dy² ≤ radius²)."""

_BITS = 8
_Flags = TypeVar("_Flags", bound=np.ndarray)


class BoundaryCounts(NamedTuple):
    """Outline pixels by class, to be added over scenes.

    `shown`: those of the map; `fitting`: of them, those near an outline of the same class in the truth;
    `true`: those of the truth; `found`: of them, those near an outline of the same class in the map.
    """

    shown: Int64[np.ndarray, " classes"]
    fitting: Int64[np.ndarray, " classes"]
    true: Int64[np.ndarray, " classes"]
    found: Int64[np.ndarray, " classes"]


def eroded_labels(labels: UInt8[np.ndarray, "height width"]) -> UInt8[np.ndarray, "height width"]:
    """Labels with every pixel near a border ignored; what the ISPRS calls eroded boundaries.

    A border lies between two pixels that share a side and differ in label, ignored ones included; both are
    border pixels. The scene's edge is no border. Ignored is what lies within dx² + dy² ≤ 9 of a border pixel.

    Source: Rottensteiner et al., ISPRS Annals I-3 (2012), for eroding by a disc of 3 px; the rest is ours.
    """
    near = _grown(_differs_from_neighbour(labels, np.ones(labels.shape, bool)), BORDER_RADIUS)
    return np.where(near, np.uint8(IGNORE_INDEX), labels)


def count_boundaries(
    truth: UInt8[np.ndarray, "height width"],
    predicted: UInt8[np.ndarray, "_rows _cols"],
    classes: int,
    tolerance: int = BORDER_RADIUS,
) -> BoundaryCounts:
    """Outline pixels of a map and of its truth by class, and how many of them fit within `tolerance` pixels.

    An outline pixel of class c has that class and shares a side with a pixel of another; both must be valid,
    which for map and truth alike means that the truth there is not IGNORE_INDEX. So neither the scene's edge
    nor that of ignored areas makes an outline. It fits where the other map has an outline pixel of the same
    class within dx² + dy² ≤ tolerance². InputError: as `confusion_matrix`.
    """
    check_maps(truth, predicted, classes)
    valid = truth != IGNORE_INDEX
    shown, true = _outlines(predicted, valid), _outlines(truth, valid)
    return BoundaryCounts(
        _per_class(shown, classes),
        _per_class(_near_same_class(shown, true, classes, tolerance), classes),
        _per_class(true, classes),
        _per_class(_near_same_class(true, shown, classes, tolerance), classes),
    )


def add_boundaries(counts: list[BoundaryCounts], classes: int) -> BoundaryCounts:
    """The counts of several scenes together; zeros for none."""
    table = np.array(counts, dtype=np.int64).reshape(-1, 4, classes).sum(axis=0)
    return BoundaryCounts(*table)


def boundary_f1(counts: BoundaryCounts) -> list[float | None]:
    """F1 by class of boundary precision (fitting / shown) and recall (found / true).

    None where the truth has no outline of the class; 0 where the map has none or none fits. Over several
    scenes the counts are pooled, where the source averages over images.

    Source: Csurka, Larlus and Perronnin, What is a good evaluation measure for semantic segmentation?,
    BMVC 2013, there with a tolerance of 0.75 % of the image's diagonal.
    """
    precision, recall = shares(counts.fitting, counts.shown), shares(counts.found, counts.true)
    together = precision + recall
    f1 = np.divide(2 * precision * recall, together, out=np.zeros_like(together), where=together > 0)
    return [float(one) if pixels else None for one, pixels in zip(f1, counts.true, strict=True)]


def _differs_from_neighbour(
    labels: UInt8[np.ndarray, "height width"], valid: Bool[np.ndarray, "height width"]
) -> Bool[np.ndarray, "height width"]:
    """Valid pixels that share a side with a valid pixel of another label."""
    found = np.zeros(labels.shape, bool)
    for axis in (0, 1):
        one, other, marks = (np.moveaxis(array, axis, 0) for array in (labels, valid, found))
        differ = (one[1:] != one[:-1]) & other[1:] & other[:-1]
        marks[1:] |= differ
        marks[:-1] |= differ
    return found


def _outlines(
    labels: UInt8[np.ndarray, "height width"], valid: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width"]:
    """The class of outline pixels, IGNORE_INDEX elsewhere."""
    return np.where(_differs_from_neighbour(labels, valid), labels, np.uint8(IGNORE_INDEX))


def _near_same_class(
    outlines: UInt8[np.ndarray, "height width"],
    others: UInt8[np.ndarray, "height width"],
    classes: int,
    tolerance: int,
) -> UInt8[np.ndarray, "height width"]:
    """The outline pixels that have one of the other map of the same class nearby.

    Eight classes are grown at once, one a bit.
    """
    near = np.full_like(outlines, IGNORE_INDEX)
    for first in range(0, classes, _BITS):
        bit_of = np.zeros(256, np.uint8)
        last = min(first + _BITS, classes)
        bit_of[first:last] = 1 << np.arange(last - first)
        hit = bit_of[outlines] & _grown(bit_of[others], tolerance) != 0
        near[hit] = outlines[hit]
    return near


def _grown(flags: _Flags, radius: int) -> _Flags:
    """Flags (booleans or bits) set wherever one is set within a disc; nothing comes from beyond the edge."""
    grown = flags.copy()
    for rows in range(-radius, radius + 1):
        reach = isqrt(radius**2 - rows**2)
        for cols in range(-reach, reach + 1):
            grown[_shifted(rows), _shifted(cols)] |= flags[_shifted(-rows), _shifted(-cols)]
    return grown


def _shifted(by: int) -> slice:
    """The part of an axis that is still on the map after moving it by some pixels."""
    return slice(by, None) if by >= 0 else slice(None, by)


def _per_class(outlines: UInt8[np.ndarray, "height width"], classes: int) -> Int64[np.ndarray, " _classes"]:
    return np.bincount(outlines.ravel(), minlength=256)[:classes].astype(np.int64)
