"""What a run and its map cost, as rows of the report: time, speed, steps, tiles and labels seen."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from reliefseg.evaluation.runfiles import RunFiles, SplitFiles

_COSTS = {"steps": "steps", "tiles seen": "tiles_seen", "labels": "labels", "device": "device"}


def time_rows(run: RunFiles) -> list[dict[str, Any]]:
    """A row a part of the work, the slowest first, with its share of the time measured."""
    timings = run.timings()
    total = sum(timings.values()) or 1.0
    return [{"part": p, "time": duration(s), "share": s / total} for p, s in timings.items()]


def speeds(run: RunFiles) -> dict[str, str]:
    """Median tiles a second by phase, as the log has them."""
    found = {}
    for phase in ("pretrain", "train"):
        rates = [one["images_per_second"] for one in run.lines(phase, "step") if one.get("images_per_second")]
        if rates:
            found[phase] = f"{median(rates):.3g} tiles a second"
    return found


def duration(seconds: float) -> str:
    """Seconds as a person would say them."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def cost_rows(split: SplitFiles) -> dict[str, str]:
    """What the map cost, as the metrics say it: steps, tiles and labels seen, time, device."""
    metrics = split.metrics
    rows = {name: _counted(metrics[key]) for name, key in _COSTS.items() if key in metrics}
    if isinstance(metrics.get("seconds"), int | float):
        rows["time, evaluation not counted"] = duration(metrics["seconds"])
    return rows


def _counted(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key.replace('_', ' ')}: {_counted(one)}" for key, one in value.items())
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}" if isinstance(value, float) else str(value)
