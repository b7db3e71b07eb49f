"""Confusion matrices of class maps, and the figures that follow from one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from reliefseg.errors import InputError
from reliefseg.raster.classes import IGNORE_INDEX

Scores = dict[str, Any]
"""`iou` and `f1` by class name, `mean_iou`, `mean_f1`, `overall_accuracy`: fractions, None if undefined."""


def confusion_matrix(
    truth: UInt8[np.ndarray, "height width"], predicted: UInt8[np.ndarray, "_rows _cols"], classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """How many pixels of each true class (rows) a map gives to each class (columns).

    Pixels whose truth is IGNORE_INDEX count nowhere, whatever the map says there. Matrices of several scenes
    may be added. InputError: maps of different size, or ids that are no class where the truth is one.
    """
    check_maps(truth, predicted, classes)
    valid = truth != IGNORE_INDEX
    pairs = truth[valid].astype(np.intp) * classes + predicted[valid]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes).astype(np.int64)


def check_maps(truth: UInt8[np.ndarray, "_h _w"], predicted: UInt8[np.ndarray, "_rows _cols"], classes: int) -> None:
    """InputError unless both maps have one size, and hold classes 0 … classes−1 wherever the truth counts."""
    if truth.shape != predicted.shape:
        raise InputError(
            f"class map: {_size(predicted)} px, but its truth has {_size(truth)}; predict on the scene's own grid"
        )
    valid = truth != IGNORE_INDEX
    faults = [_stray(truth[valid], classes, "truth"), _stray(predicted[valid], classes, "class map")]
    if any(faults):
        raise InputError(fault for fault in faults if fault)


def scores_from_confusion(confusion: Int64[np.ndarray, "classes classes"], names: Sequence[str]) -> Scores:
    """IoU, F1, their means and overall accuracy, fractions, from a matrix with true classes in rows.

    A class that does not occur in the truth has no IoU and no F1 (None) and counts in no mean, even where the
    map shows it: what it took is missing from the classes it was taken from. Without labels all is None.
    """
    both, true, shown = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    occurs = true > 0
    iou = by_class(names, shares(both, true + shown - both), occurs)
    f1 = by_class(names, shares(2 * both, true + shown), occurs)
    return {
        "iou": iou,
        "f1": f1,
        "mean_iou": mean_of(iou.values()),
        "mean_f1": mean_of(f1.values()),
        "overall_accuracy": float(both.sum() / true.sum()) if true.any() else None,
    }


def classes_without_truth(confusion: Int64[np.ndarray, "classes classes"], names: Sequence[str]) -> list[str]:
    """Names of the classes that no pixel of the truth has: the ones left out of means."""
    return [name for name, pixels in zip(names, confusion.sum(axis=1), strict=True) if pixels == 0]


def shares(
    parts: Int64[np.ndarray, "*shape"], wholes: Int64[np.ndarray, "*shape"], undefined: float = 0.0
) -> Float64[np.ndarray, "*shape"]:
    """Parts over wholes, and `undefined` where the whole is nothing."""
    return np.where(wholes > 0, parts / np.maximum(wholes, 1), undefined)


def by_class(
    names: Sequence[str], values: Float64[np.ndarray, " classes"], defined: Bool[np.ndarray, " classes"]
) -> dict[str, float | None]:
    """Values by class name as plain numbers, None where not defined."""
    rows = zip(names, values, defined, strict=True)
    return {name: float(value) if known else None for name, value, known in rows}


def mean_of(values: Iterable[float | None]) -> float | None:
    """The mean of the defined values; None if there is none."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None


def _stray(ids: UInt8[np.ndarray, " pixels"], classes: int, what: str) -> str | None:
    if ids.max(initial=0) < classes:
        return None
    found, counts = np.unique(ids[ids >= classes], return_counts=True)
    listed = ", ".join(f"{one} ({count:,})" for one, count in zip(found, counts, strict=True))
    return (
        f"{what}: {counts.sum():,} px have ids of no class: {listed}; "
        f"expected 0 … {classes - 1} wherever the truth has a label"
    )


def _size(labels: UInt8[np.ndarray, "_h _w"]) -> str:
    return " × ".join(str(length) for length in labels.shape)
