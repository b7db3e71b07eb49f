"""The report's words on calibration: whether the map's probabilities say how often it is right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reliefseg.evaluation.charts import ConfidenceBin, reliability_chart
from reliefseg.evaluation.runfiles import RunFiles, SplitFiles

_AS_STATED = 0.02
"""Share right and stated probability that lie no further apart are called the same."""


def calibration_section(run: RunFiles, split: SplitFiles) -> dict[str, Any] | None:
    """A reliability diagram and plain sentences; None where the split was evaluated without it."""
    calibration = split.metrics.get("calibration") or {}
    error, bars = calibration.get("expected_calibration_error"), _bars(calibration.get("bins") or [])
    if error is None or not bars:
        return None
    return {
        "chart": reliability_chart("How often it is right when it is so sure", bars),
        "sentences": [
            _example(bars),
            f"On average, what it says and how often it is right lie {100 * error:.1f} points apart (expected "
            "calibration error; 0 is best).",
            _temperature_sentence(calibration.get("temperature", 1.0), _fitted_here(run, split)),
        ],
    }


def _bars(bins: Sequence[Mapping[str, Any]]) -> list[ConfidenceBin]:
    """The bins that have pixels."""
    total = sum(one["pixels"] for one in bins)
    return [
        ConfidenceBin(i / len(bins), (i + 1) / len(bins), one["confidence"], one["accuracy"], one["pixels"] / total)
        for i, one in enumerate(bins)
        if one["pixels"]
    ]


def _example(bars: Sequence[ConfidenceBin]) -> str:
    """The bar that adds most to the calibration error, in words."""
    bar = max(bars, key=lambda one: one.share * abs(one.right - one.confidence))
    gap = bar.right - bar.confidence
    verdict = "as it says" if abs(gap) <= _AS_STATED else "more than it says" if gap > 0 else "it is too sure there"
    return (
        f"Of the pixels that the model is {100 * bar.low:.0f} to {100 * bar.high:.0f} % sure of, "
        f"{100 * bar.right:.0f} % are right: {verdict}."
    )


def _fitted_here(run: RunFiles, split: SplitFiles) -> bool:
    blocks = run.parsed_settings.get("validation") or {}
    return split.name == "validation" and not blocks.get("blocks")


def _temperature_sentence(temperature: float, here: bool) -> str:
    if temperature == 1:
        return "No temperature was fitted, so these are the network's own probabilities."
    effect = "less sure" if temperature > 1 else "surer"
    flattered = " It was fitted on these very scenes, which flatters this diagram a little." if here else ""
    return (
        f"A temperature of {temperature:.3g}, fitted on what validates, makes all probabilities {effect}; it changes "
        f"no class.{flattered}"
    )
