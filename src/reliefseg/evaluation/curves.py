"""The report's curves: what the log says of a run, over its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from reliefseg.evaluation.charts import Series, line_chart, percent
from reliefseg.evaluation.runfiles import RunFiles
from reliefseg.evaluation.sections import swatches

_LOSS_PARTS = {
    "fused map": "fused",
    "side outputs": "sides",
    "L1": "l1",
    "adversarial": "adversarial",
    "discriminator": "discriminator",
    "teacher": "taught",
    "tile labels": "shown",
}
"""What the log calls the parts of the loss, by the names the chart gives them."""


def training_charts(run: RunFiles) -> list[Markup]:
    """Curves of validation, losses and discriminator; those without data are left out."""
    steps, checks = run.lines("train", "step"), run.lines("train", "validation")
    means = [
        _series(n, checks, k)
        for n, k in (("mean IoU", "mean_iou"), ("mean F1", "mean_f1"), ("accuracy", "overall_accuracy"))
    ]
    accuracies = [_series(n, steps, f"accuracy_{n}") for n in ("real", "fake")]
    charts = [
        line_chart("Validation scenes", means, percent, (0.0, 1.0)),
        line_chart("Validation IoU by class", _class_series(run, checks, "iou"), percent, (0.0, 1.0)),
        line_chart("Training loss", [_series("loss", steps, "loss")]),
        line_chart("Parts of the loss", [_series(name, steps, key) for name, key in _LOSS_PARTS.items()]),
        line_chart("Discriminator: patches it tells correctly", accuracies, percent, (0.0, 1.0)),
    ]
    return [chart for chart in charts if chart]


def pretraining_charts(run: RunFiles) -> list[Markup]:
    """Curves of the pretraining on tile labels; none if there was no pretraining."""
    steps, checks = run.lines("pretrain", "step"), run.lines("pretrain", "validation")
    charts = [
        line_chart(
            "Held-out tiles: mean average precision",
            [_series("mAP", checks, "mean_average_precision")],
            percent,
            (0.0, 1.0),
        ),
        line_chart("Held-out tiles: F1 by class", _class_series(run, checks, "f1"), percent, (0.0, 1.0)),
        line_chart("Pretraining loss", [_series("loss", steps, "loss")]),
    ]
    return [chart for chart in charts if chart]


def best_check(run: RunFiles) -> Mapping[str, Any] | None:
    """The validation whose checkpoint was kept; None without validation."""
    return next((line for line in reversed(run.lines("train", "validation")) if line.get("best")), None)


def _series(name: str, lines: Sequence[Mapping[str, Any]], key: str) -> Series:
    """A scalar of log lines over steps, where they have it."""
    having = [line for line in lines if line.get(key) is not None]
    return Series(name, [line["step"] for line in having], [line[key] for line in having])


def _class_series(run: RunFiles, lines: Sequence[Mapping[str, Any]], key: str) -> list[Series]:
    """A figure by class over steps, in the classes' colours."""
    colors = {one.name: one.color for one in swatches(run)}
    having = [line for line in lines if isinstance(line.get(key), Mapping)]
    names = list(dict.fromkeys(name for line in having for name in line[key]))
    return [
        Series(
            name,
            [line["step"] for line in having],
            [line[key].get(name) for line in having],
            colors.get(name),
        )
        for name in names
    ]
