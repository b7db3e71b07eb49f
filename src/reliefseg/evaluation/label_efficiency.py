"""What labels are worth: accuracy over labelled scenes, and how many of those the tile labels stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple


class Equivalent(NamedTuple):
    """How many labelled scenes reach a score: so many, or fewer (more) than the fewest (most) that were tried."""

    scenes: float
    bound: Literal["about", "fewer than", "more than"]

    def __str__(self) -> str:
        return f"{self.bound} {_in_digits(self.scenes)}"


def equivalent(curve: Mapping[int, float], score: float) -> Equivalent:
    """The fewest labelled scenes that reach `score`, from scores by their number; ValueError without any.

    Between measured numbers the curve is a straight line; where it falls, more labels are taken to be no worse.
    """
    if not curve:
        raise ValueError("a curve without points reaches nothing")
    numbers = sorted(curve)
    if score < curve[numbers[0]]:
        return Equivalent(numbers[0], "fewer than")
    reached, best = numbers[0], curve[numbers[0]]
    for n in numbers:
        if curve[n] >= score:
            rise = curve[n] - best
            return Equivalent(n if rise <= 0 else reached + (n - reached) * (score - best) / rise, "about")
        if curve[n] >= best:
            reached, best = n, curve[n]
    return Equivalent(numbers[-1], "more than")


def worth(curve: Mapping[int, float], labelled: int, score: float) -> str:
    """What tile labels add to `labelled` scenes with pixel labels, given the score with both, in words."""
    found = equivalent(curve, score)
    if found.bound == "fewer than":
        return "nothing: even the fewest scenes that were tried score higher without them"
    more = found.scenes - labelled
    if found.bound == "more than":
        if more <= 0:
            return "not known: no larger number of scenes with pixel labels was tried"
        number = _in_digits(more)
        return f"more than {number} further scenes with pixel labels: no number that was tried reaches that score"
    return f"about {_in_digits(more)} further scenes with pixel labels" if more > 0 else "nothing"


def _in_digits(scenes: float) -> str:
    """Whole scenes from ten on, below them tenths."""
    return f"{scenes:,.0f}" if scenes >= 10 else f"{scenes:.2g}"
