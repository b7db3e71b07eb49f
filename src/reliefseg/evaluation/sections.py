"""The report's tables, figures and charts as plain values that its template only has to lay out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from reliefseg.evaluation.advice import ORIGINAL_FIGURES, weakest_class
from reliefseg.evaluation.runfiles import RunFiles, SplitFiles

_HEX = re.compile(r"#[0-9A-Fa-f]{6}")
_ORIGINAL_MEANING = {
    "mean_class_agreement": "share of pixels where map and truth agree on “is this class”, mean over classes",
    "tile_iou": "overlap per square and class, counted as 1 where both are empty",
    "map_accuracy": "share of pixels with the right class (the empty map: the first class everywhere)",
}


class Figure(NamedTuple):
    """One of the three figures at the top: its name, value as text, share for the bar, one plain sentence."""

    name: str
    value: str
    share: float
    meaning: str


class Swatch(NamedTuple):
    """A class and the colour it is drawn with, as `#RRGGBB`."""

    name: str
    color: str


def share_text(value: float | None) -> str:
    """A fraction as percent with one decimal; a dash where it is undefined."""
    return "–" if value is None else f"{100 * value:.1f}"


def swatches(run: RunFiles) -> list[Swatch]:
    """The classes with their colours, as the data set states them."""
    return [Swatch(str(one.get("name", "?")), _hex(one.get("color"))) for one in run.data.get("classes", [])]


def scene_count(split: SplitFiles) -> int:
    """On how many scenes the split's figures rest."""
    return len(split.metrics.get("scenes") or split.per_scene)


def three_figures(split: SplitFiles) -> list[Figure]:
    """Mean IoU, overall accuracy and boundary F1, each with what it means and on how many scenes."""
    where = _where(split)
    accuracy = split.metrics.get("overall_accuracy")
    right = (
        "" if accuracy is None else f"Of 100 labelled pixels, about {100 * accuracy:.0f} get the right class, {where}."
    )
    return [
        _figure("Mean IoU", split.metrics.get("mean_iou"), _mean_iou_sentence(split, where)),
        _figure("Overall accuracy", accuracy, right),
        _figure(
            "Boundary F1",
            split.metrics.get("boundary_f1"),
            f"How well outlines fit: the share of borders that map and truth both have within 3 px, {where}.",
        ),
    ]


def class_rows(split: SplitFiles) -> list[dict[str, Any]]:
    """A row a class: IoU, F1, eroded IoU, and its share of the truth."""
    shares = _truth_shares(split)
    columns = {
        "iou": split.by_class("iou"),
        "f1": split.by_class("f1"),
        "eroded_iou": split.by_class("iou", "eroded"),
    }
    return [
        {"name": name, "share": shares.get(name), **{key: values[name] for key, values in columns.items()}}
        for name in split.classes
    ]


def mean_row(split: SplitFiles) -> dict[str, Any]:
    """The means under the table of classes."""
    eroded = split.metrics.get("eroded") or {}
    return {
        "iou": split.metrics.get("mean_iou"),
        "f1": split.metrics.get("mean_f1"),
        "eroded_iou": eroded.get("mean_iou"),
    }


def scene_rows(split: SplitFiles) -> list[dict[str, Any]]:
    """A row a scene, the worst first, scenes without a defined mean IoU last."""
    rows = [
        {
            "name": name,
            "mean_iou": one.get("mean_iou"),
            "mean_f1": one.get("mean_f1"),
            "overall_accuracy": one.get("overall_accuracy"),
            "boundary_f1": one.get("boundary_f1"),
            "eroded_iou": (one.get("eroded") or {}).get("mean_iou"),
        }
        for name, one in split.per_scene.items()
    ]
    return sorted(rows, key=lambda row: (row["mean_iou"] is None, row["mean_iou"] or 0.0))


def confusion_rows(split: SplitFiles) -> list[dict[str, Any]]:
    """The confusion matrix by true class: shares of its pixels given to each class, and its pixels."""
    rows = []
    for name, counts in zip(split.classes, split.metrics.get("confusion") or [], strict=False):
        total = sum(counts)
        shares = [count / total if total else None for count in counts]
        rows.append({"name": name, "total": total, "shares": shares, "counts": counts})
    return rows


def original_rows(split: SplitFiles) -> list[dict[str, Any]]:
    """The original's three figures beside what an empty map scores; none if they were not measured."""
    original = split.metrics.get("original") or {}
    trivial = original.get("trivial") or {}
    return [
        {
            "name": key.replace("_", " ").replace("iou", "IoU"),
            "meaning": _ORIGINAL_MEANING[key],
            "ours": original.get(key),
            "trivial": trivial.get(key),
        }
        for key in ORIGINAL_FIGURES
        if key in original
    ]


def split_rows(run: RunFiles) -> list[dict[str, Any]]:
    """A row a split: how many scenes, how large, and which."""
    return [
        {
            "name": name,
            "scenes": scenes,
            "megapixels": sum(one.get("megapixels") or 0.0 for one in scenes),
        }
        for name, scenes in (run.data.get("splits") or {}).items()
    ]


def setting_groups(run: RunFiles) -> dict[str, dict[str, str]]:
    """The resolved settings by section, nested keys joined by dots."""
    groups: dict[str, dict[str, str]] = {}
    for key, value in run.parsed_settings.items():
        if isinstance(value, Mapping):
            groups[key] = _flat(value)
        else:
            groups.setdefault("general", {})[key] = _setting(value)
    return groups


def accuracy_of_all(split: SplitFiles) -> float | None:
    """Overall accuracy with ignored pixels counted as wrong; None where it is the same, no pixel being ignored."""
    figure = split.metrics.get("overall_accuracy_ignored_wrong")
    return None if figure == split.metrics.get("overall_accuracy") else figure


def absent_classes(split: SplitFiles) -> list[str]:
    """Classes that do not occur in the split's truth and so count in no mean."""
    return [name for name, share in _truth_shares(split).items() if share == 0.0]


def _where(split: SplitFiles) -> str:
    """On which scenes a figure was measured, in words."""
    count = scene_count(split)
    scenes = "1 scene" if count == 1 else f"{count} scenes"
    return f"on {scenes} that training never read" if split.unseen else f"on {scenes} of split {split.name}"


def _mean_iou_sentence(split: SplitFiles, where: str) -> str:
    sentence = f"How far map and truth overlap, averaged over classes, {where}."
    weakest = weakest_class(split)
    return sentence + (f" Weakest: {weakest.name}, {100 * weakest.iou:.1f}\u00a0%." if weakest else "")


def _figure(name: str, value: float | None, meaning: str) -> Figure:
    if value is None:
        missing = "the truth has no border between classes" if name == "Boundary F1" else "no pixel of the truth counts"
        return Figure(name, "–", 0.0, f"Not defined here: {missing}.")
    return Figure(name, f"{100 * value:.1f}", min(max(value, 0.0), 1.0), meaning)


def _truth_shares(split: SplitFiles) -> dict[str, float]:
    """Each class's share of the truth's pixels; empty without a confusion matrix."""
    totals = [sum(row) for row in split.metrics.get("confusion") or []]
    return {name: t / (sum(totals) or 1) for name, t in zip(split.classes, totals, strict=False)}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _setting(value)
    return flat


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(_setting(one) for one in value) if isinstance(value, list) else str(value)


def _hex(color: Any) -> str:
    """A colour as `#RRGGBB`; grey for anything else."""
    return color if isinstance(color, str) and _HEX.fullmatch(color) else "#888888"
