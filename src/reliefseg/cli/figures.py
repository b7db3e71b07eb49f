"""Figures as a table for the terminal."""

from __future__ import annotations

from typing import Any


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
