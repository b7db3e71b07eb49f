"""From the scores of many runs to what may be said of each ingredient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reliefseg.evaluation.comparison import (
    DRAWS,
    FEWEST_SCENES,
    FEWEST_SEEDS,
    Difference,
    compare,
    counts_of,
    figure_names,
    holm,
    scenes_showing,
    verdict,
)

Pair = tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
"""Metrics of runs with an ingredient and without it, one a seed."""


def answered(questions: Sequence[Sequence[Pair]]) -> list[dict[str, dict[str, Any]]]:
    """By question and figure: the difference, its interval and p, p after Holm's correction over the questions, on how
    many scenes it rests, and the verdict."""
    counts = [[(counts_of(one), counts_of(other)) for one, other in pairs] for pairs in questions]
    if not counts:
        return []
    first, classes = counts[0][0][0], questions[0][0][0][0]["classes"]
    seeds = len(first)
    scenes = dict(zip(figure_names(classes), scenes_showing(first).tolist(), strict=True))
    compared = [compare(pairs, classes) for pairs in counts]
    adjusted = {figure: holm([one[figure].p for one in compared]) for figure in scenes}
    return [
        {figure: _answer(one[figure], adjusted[figure][i], scenes[figure], seeds) for figure in scenes}
        for i, one in enumerate(compared)
    ]


def _answer(difference: Difference, adjusted: float, scenes: int, seeds: int) -> dict[str, Any]:
    return {
        **difference.to_json(),
        "p_holm": None if adjusted != adjusted else adjusted,
        "scenes": scenes,
        "verdict": verdict(difference, adjusted, scenes, seeds),
    }


def notes_on_evidence(metrics: Mapping[str, Any], seeds: int) -> list[str]:
    """What a reader must know before believing a verdict."""
    scenes, missing = int(scenes_showing(counts_of([metrics]))[0]), metrics["classes_without_truth"]
    notes = [
        f"Intervals hold 95 % of {DRAWS:,} draws in which other scenes and other seeds came along, widened for few of "
        "either; of one scene there is none, and of one seed it leaves out what another would change. A verdict needs "
        "an interval clear of 0 and p below 0.05 after Holm's correction over the rows.",
        f"All of this is measured on {_counted(scenes, 'scene')} of split {metrics['split']} and speaks of scenes like "
        "those alone; scenes of one place say nothing of another place.",
    ]
    few = [_counted(n, what) for n, what, least in (
        (scenes, "scene", FEWEST_SCENES), (seeds, "seed", FEWEST_SEEDS)
    ) if n < least]  # fmt: skip
    if few:
        notes.append(
            f"With {' and '.join(few)} nothing is called evidence: it takes at least {FEWEST_SCENES} scenes and "
            f"{FEWEST_SEEDS} seeds."
        )
    if missing:
        notes.append(f"Not in the truth of split {metrics['split']}, so in no mean: {', '.join(missing)}.")
    if metrics["split"] == "test":
        notes.append("The test split was read for this; write date and reason down, and change nothing after it.")
    return notes


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"
