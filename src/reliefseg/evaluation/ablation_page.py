"""Ablations and curves over labels as HTML files that explain themselves, made from their JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reliefseg.evaluation import costs, sections
from reliefseg.evaluation.charts import Series, line_chart, percent
from reliefseg.evaluation.comparison import FIGURES
from reliefseg.evaluation.confusion import mean_of
from reliefseg.evaluation.forest import Bar, forest_chart
from reliefseg.evaluation.report import page_template
from reliefseg.raster.files import write_text

NAMES = {"mean_iou": "Mean IoU", "mean_f1": "Mean F1", "overall_accuracy": "Accuracy", "boundary_f1": "Boundary F1"}
"""The figures as people read them."""
LABEL_KINDS = ("pixel labels alone", "with tile labels")
"""The two curves over labelled scenes."""


def write_ablation_page(path: Path, found: Mapping[str, Any]) -> None:
    """Writes the page whole or not at all; it needs nothing beside it and no network."""
    write_text(path, render_ablation(found))


def render_ablation(found: Mapping[str, Any]) -> str:
    """The page's HTML."""
    parts = [("At equal steps", found["questions"]), ("At equal time", found.get("equal_time", []))]
    return page_template("ablation.html").render(
        found=found,
        summary=summary(found["questions"]),
        names=NAMES,
        label_of=label_of,
        points=points,
        p_value=p_value,
        parts=[
            {"title": title, "rows": rows, "chart": forest_chart(title, bars_of(rows))} for title, rows in parts if rows
        ],
        ways=_ways(found["ways"]),
    )


def write_labels_page(path: Path, found: Mapping[str, Any]) -> None:
    """The same for what `labels.json` holds."""
    write_text(path, render_labels(found))


def render_labels(found: Mapping[str, Any]) -> str:
    """The page's HTML."""
    numbers = [point["labelled"] for point in found["points"]]
    curves = [
        Series(kind, numbers, [mean_of(point[kind]["mean_iou"]) if point[kind] else None for point in found["points"]])
        for kind in LABEL_KINDS
    ]
    chart = line_chart("Mean IoU", curves, percent, unit="pixel-labelled scenes")
    alone, both = LABEL_KINDS
    return page_template("labels.html").render(
        found=found, charts=[chart] if chart else [], alone=alone, both=both, points=points, mean=mean_of
    )


def label_of(question: Mapping[str, Any]) -> str:
    """What a question compares, in words."""
    title, richer, plainer = (str(question[key]) for key in ("title", "with", "without"))
    if {richer, plainer} == {"on", "off"}:
        return title
    return f"{richer}, not {plainer}" if richer == title else f"{title}: {richer}, not {plainer}"


def summary(questions: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence a verdict, what is sure first and with its interval."""
    told = []
    for said in ("helps", "hurts", "no evidence"):
        rows = [one for one in questions if one["differences"]["mean_iou"]["verdict"] == said]
        sure = [f"{label_of(one)} ({points(one['differences']['mean_iou'])})" for one in rows]
        if rows:
            listed = "; ".join(sure if said != "no evidence" else [label_of(one) for one in rows])
            told.append(f"{said.capitalize()}: {listed}.")
    return told


def points(difference: Mapping[str, Any]) -> str:
    """A difference with its interval, in points of a hundred."""
    if difference["estimate"] is None:
        return "–"
    if difference["low"] is None:
        return f"{100 * difference['estimate']:+.1f}"
    ends = " … ".join(f"{100 * difference[key]:+.1f}" for key in ("low", "high"))
    return f"{100 * difference['estimate']:+.1f} [{ends}]"


def p_value(p: float | None) -> str:
    """A p-value in as many digits as mean something."""
    return "–" if p is None else f"{p:.2g}" if p >= 0.001 else "< 0.001"


def bars_of(questions: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """The mean IoU of each question for the chart."""
    rows = [(label_of(one), one["differences"]["mean_iou"]) for one in questions]
    return [
        Bar(label, row["estimate"], row["low"], row["high"], row["verdict"])
        for label, row in rows
        if row["estimate"] is not None
    ]


def _ways(ways: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each way's scores, averaged over seeds, with the mean IoU of each, steps and time."""
    return [
        {
            "name": name,
            "scores": {figure: mean_of(one[figure]) for figure in FIGURES},
            "by_seed": [sections.share_text(value) for value in one["mean_iou"]],
            "steps": one["steps"][0]["train"],
            "time": costs.duration(mean_of(one["seconds"]) or 0.0),
        }
        for name, one in ways.items()
    ]
