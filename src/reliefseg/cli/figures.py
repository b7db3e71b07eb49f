"""Figures as tables for the terminal, and the verbs that make them by many runs: ablate."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from reliefseg import workflow
from reliefseg.cli.common import (
    Assign,
    Cache,
    Config,
    DataSet,
    Json,
    Quiet,
    Teller,
    result,
)
from reliefseg.config import load_settings
from reliefseg.errors import InputError
from reliefseg.evaluation.ablation_page import LABEL_KINDS, label_of, p_value, points

AblationOut = Annotated[Path, typer.Option("-o", "--out", help="Folder for the runs and the tables.")]
AblationPreset = Annotated[
    str, typer.Option("--preset", help="The recommended settings: those that each row changes in one thing.")
]


def ablate(
    dataset: DataSet,
    out: AblationOut,
    rows: Annotated[
        str,
        typer.Option(
            "--rows",
            help="Ingredients, of depth,pretraining,lessons,adversarial,sides,boxes,network,init (u2net-relief alone), "
            "or some of their rows, as depth-none. [default: all]",
        ),
    ] = "",
    full: Annotated[bool, typer.Option("--full", help="All combinations, not one change at a time.")] = False,
    seeds: Annotated[str, typer.Option("--seeds", help="Seeds of the runs.")] = "0,1,2",
    split: Annotated[str, typer.Option("--split", help="Which scenes score: validation; test once, at last.")] = (
        "validation"
    ),
    equal: Annotated[Literal["steps", "time"], typer.Option("--equal", help="time: also at equal time.")] = "steps",
    labels: Annotated[
        str | None, typer.Option("--labels", help="Instead: accuracy over labelled scenes, as 1,2,3,5,10,all.")
    ] = None,
    preset: AblationPreset = "ablation",
    config: Config = None,
    assign: Assign = None,
    cache: Cache = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Which ingredients help on these scenes, and how sure that is; the same command goes on after an interruption."""
    teller = Teller(quiet)
    if labels is not None and (rows or full or equal != "steps"):
        raise InputError("--labels asks another question than --rows, --full and --equal; give it alone")
    settings = load_settings(preset, config, assign or [])
    data = workflow.checked_dataset(dataset, cache, teller)
    if labels is not None:
        curve = workflow.LabelCurve(scene_numbers(labels), numbers(seeds, "--seeds"), split)
        found = workflow.label_curve(data, out, settings, curve, say=teller)
        result(as_json, found, f"{labels_table(found)}\nreport: {out / 'labels.html'}")
        return
    design = workflow.full_grid if full else workflow.one_at_a_time
    asked = workflow.Ablation(numbers(seeds, "--seeds"), words(rows), design, split, equal)
    found = workflow.ablate(data, out, settings, asked, say=teller)
    result(as_json, found, f"{ablation_table(found)}\nreport: {out / 'ablation.html'}")


def words(text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(dict.fromkeys(part for part in re.split(r"[\s,]+", text) if part))


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Whole numbers between commas."""
    parts = words(text)
    if not parts or not all(part.isdecimal() for part in parts):
        raise InputError(f"{option} {text!r}: expected whole numbers with commas between them, for example 0,1,2")
    return tuple(dict.fromkeys(int(part) for part in parts))


def scene_numbers(text: str) -> tuple[int | None, ...]:
    """Numbers of scenes; None stands for all."""
    counts = [word for word in words(text) if word != "all"]
    every = (None,) if "all" in words(text) else ()
    return (*numbers(",".join(counts), "--labels"), *every) if counts or not every else every


def ablation_table(found: dict[str, Any]) -> str:
    """A line a question, then what to know before believing it."""
    parts = [("at equal steps", found["questions"]), ("at equal time", found.get("equal_time", []))]
    lines = []
    for title, rows in parts:
        if rows:
            lines.append(f"{found['data_set']}, {title}: points of mean IoU with the ingredient minus without it")
            lines += _aligned([_ablation_row(row) for row in rows])
    return "\n".join([*lines, *found["notes"]])


def _ablation_row(question: dict[str, Any]) -> list[str]:
    one = question["differences"]["mean_iou"]
    return [f"  {label_of(question)}", points(one), f"p {p_value(one['p_holm'])}", one["verdict"]]


def labels_table(found: dict[str, Any]) -> str:
    """A line a number of labelled scenes, then what tile labels are worth."""
    head = ["  labelled scenes", *LABEL_KINDS, "difference", ""]
    rows = [[f"  {point['labelled']}", *_kinds(point), *_gain(point)] for point in found["points"]]
    lines = [f"{found['data_set']}: mean IoU over seeds, percent", *_aligned([head, *rows])]
    for point in found["points"]:
        if point["worth"]:
            lines.append(f"with {point['labelled']}: {point['tile_labels']:,} tile labels are worth {point['worth']}")
    return "\n".join([*lines, *found["notes"]])


def _kinds(point: dict[str, Any]) -> list[str]:
    return [" / ".join(_percent(one) for one in point[kind]["mean_iou"]) if point[kind] else "" for kind in LABEL_KINDS]


def _gain(point: dict[str, Any]) -> list[str]:
    gain = (point["differences"] or {}).get("mean_iou")
    return ["", ""] if gain is None else [points(gain), gain["verdict"]]


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def metrics_table(metrics: dict[str, Any]) -> str:
    """A split's figures, one line a class."""
    head = f"{metrics['split']}: {len(metrics['scenes'])} scenes, mean IoU {_percent(metrics['mean_iou'])}, "
    head += f"mean F1 {_percent(metrics['mean_f1'])}, overall accuracy {_percent(metrics['overall_accuracy'])}"
    width = max(len(name) for name in metrics["classes"])
    rows = [
        f"  {name:<{width}}  IoU {_percent(metrics['iou'][name])}  F1 {_percent(metrics['f1'][name])}"
        for name in metrics["classes"]
    ]
    return "\n".join([head, *rows])


def _percent(share: float | None) -> str:
    return "  –  " if share is None else f"{100 * share:5.1f}"
