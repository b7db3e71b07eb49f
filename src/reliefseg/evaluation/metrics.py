"""All figures of a split, counted scene by scene: what `metrics.json` holds of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

from reliefseg.errors import InputError
from reliefseg.evaluation.borders import (
    BoundaryCounts,
    add_boundaries,
    boundary_f1,
    count_boundaries,
    eroded_labels,
)
from reliefseg.evaluation.confusion import (
    classes_without_truth,
    confusion_matrix,
    mean_of,
    scores_from_confusion,
)
from reliefseg.evaluation.original import (
    SquareCounts,
    count_squares,
    join_squares,
    original_figures,
    trivial_figures,
)
from reliefseg.raster.classes import IGNORE_INDEX, ClassTable


class SceneCounts(NamedTuple):
    """What one scene adds to a split's figures."""

    confusion: Int64[np.ndarray, "classes classes"]
    eroded: Int64[np.ndarray, "classes classes"]
    boundaries: BoundaryCounts
    squares: SquareCounts
    ignored: int
    """Pixels the map gives a class to, and the truth none."""


class SplitEvaluation:
    """The figures of a split from pooled counts; scenes may be added in any order."""

    def __init__(self, classes: ClassTable):
        self.classes = classes
        self.scenes: dict[str, SceneCounts] = {}

    def add(
        self,
        scene: str,
        truth: UInt8[np.ndarray, "height width"],
        predicted: UInt8[np.ndarray, "_rows _cols"],
    ) -> None:
        """Counts one scene: class ids 0 … n−1, IGNORE_INDEX in the truth where nothing is to be counted.

        InputError: a scene added twice, maps of different size, ids of no class.
        """
        if scene in self.scenes:
            raise InputError(f"scene {scene}: was counted already; a scene counts once")
        try:
            self.scenes[scene] = count_scene(truth, predicted, len(self.classes))
        except InputError as error:
            raise InputError(f"scene {scene}: {offence}" for offence in error.offences) from None

    def to_metrics(self) -> dict[str, Any]:
        """The figures as `metrics.json` holds them, ready for JSON: fractions, None where undefined.

        `confusion` is pooled over the scenes, rows true; means are over the classes that occur in the truth,
        the others are in `classes_without_truth`. `per_scene` has the same for each scene alone, means over
        the classes of its own truth, and the counts of outline pixels by class that `boundary_f1` comes from.
        `overall_accuracy_ignored_wrong` counts every mapped pixel whose truth is ignored as wrong: what others report
        of the ISPRS scenes "with clutter in the denominator".
        """
        counts = dict(sorted(self.scenes.items()))
        pooled, names = _pooled(list(counts.values()), len(self.classes)), self.classes.names
        return {
            "scenes": list(counts),
            "classes": list(names),
            "classes_without_truth": classes_without_truth(pooled.confusion, names),
            **_block(pooled, names),
            "original": {
                **original_figures(pooled.squares, names),
                "trivial": trivial_figures(pooled.squares, names),
            },
            "per_scene": {scene: {**_block(one, names), "outlines": _outlines(one)} for scene, one in counts.items()},
        }


def count_scene(
    truth: UInt8[np.ndarray, "_h _w"], predicted: UInt8[np.ndarray, "_rows _cols"], classes: int
) -> SceneCounts:
    """Everything the figures need from one scene; InputError as `confusion_matrix`."""
    return SceneCounts(
        confusion_matrix(truth, predicted, classes),
        confusion_matrix(eroded_labels(truth), predicted, classes),
        count_boundaries(truth, predicted, classes),
        count_squares(truth, predicted, classes),
        int(((truth == IGNORE_INDEX) & (predicted != IGNORE_INDEX)).sum()),
    )


def _pooled(scenes: list[SceneCounts], classes: int) -> SceneCounts:
    """The counts of all scenes together."""
    empty = np.zeros((classes, classes), np.int64)
    return SceneCounts(
        sum((one.confusion for one in scenes), empty),
        sum((one.eroded for one in scenes), empty),
        add_boundaries([one.boundaries for one in scenes], classes),
        join_squares([one.squares for one in scenes], classes),
        sum(one.ignored for one in scenes),
    )


def _accuracy_of_all(counts: SceneCounts) -> float | None:
    mapped = int(counts.confusion.sum()) + counts.ignored
    return float(np.trace(counts.confusion) / mapped) if counts.confusion.any() else None


def _outlines(counts: SceneCounts) -> dict[str, list[int]]:
    """`BoundaryCounts` as plain numbers: runs are compared by them."""
    return {name: pixels.tolist() for name, pixels in counts.boundaries._asdict().items()}


def _block(counts: SceneCounts, names: tuple[str, ...]) -> dict[str, Any]:
    """Confusion matrix and figures, the same under `eroded`.

    Eroded truth has no outlines left, so `boundary_f1` is undefined there by its definition.
    """
    return {
        "confusion": counts.confusion.tolist(),
        **scores_from_confusion(counts.confusion, names),
        "overall_accuracy_ignored_wrong": _accuracy_of_all(counts),
        "boundary_f1": mean_of(boundary_f1(counts.boundaries)),
        "eroded": {
            "confusion": counts.eroded.tolist(),
            **scores_from_confusion(counts.eroded, names),
            "boundary_f1": None,
        },
    }
