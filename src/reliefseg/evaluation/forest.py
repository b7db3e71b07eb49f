"""Differences with their intervals as inline SVG, a row each: a forest plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from reliefseg.evaluation.charts import ticks

_WIDTH, _LABEL, _RIGHT = 1000, 440, 20
_ROW, _TOP, _BOTTOM = 30, 14, 46


class Bar(NamedTuple):
    """A row: what is compared, the difference and its interval (fractions; None: no interval), and the verdict."""

    label: str
    estimate: float
    low: float | None
    high: float | None
    verdict: str


def forest_chart(title: str, bars: Sequence[Bar]) -> Markup:
    """The rows under each other over points of difference, with a line at 0; empty without rows."""
    if not bars:
        return Markup("")
    span = _span(bars)
    height = _TOP + _ROW * len(bars) + _BOTTOM
    parts = [_axis(span, height), *(_bar(bar, i, span) for i, bar in enumerate(bars))]
    head = Markup('<svg class="chart forest" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    told = "; ".join(f"{bar.label}: {100 * bar.estimate:+.1f}, {bar.verdict}" for bar in bars)
    return head.format(_WIDTH, height, f"{title}: {told}") + Markup("").join(parts) + Markup("</svg>")


def _span(bars: Sequence[Bar]) -> tuple[float, float]:
    values = [100 * v for bar in bars for v in (bar.estimate, bar.low, bar.high) if v is not None]
    low, high = min(0.0, *values), max(0.0, *values)
    room = 0.06 * (high - low) or 1.0
    return low - room, high + room


def _x(points: float, span: tuple[float, float]) -> float:
    return round(_LABEL + (_WIDTH - _LABEL - _RIGHT) * (points - span[0]) / (span[1] - span[0]), 1)


def _axis(span: tuple[float, float], height: int) -> Markup:
    parts = []
    for value in ticks(span, 6):
        x, kind = _x(value, span), "zero" if value == 0 else "rule"
        parts.append(
            Markup('<line class="{}" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(kind, x, x, _TOP, height - _BOTTOM)
            + Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(
                x, height - 26, f"{value:+g}" if value else "0"
            )
        )
    caption = Markup(
        '<text class="unit" x="{}" y="{}" text-anchor="end">points of mean IoU; right of 0 it helps</text>'
    )
    return Markup("").join(parts) + caption.format(_WIDTH - _RIGHT, height - 6)


def _bar(bar: Bar, index: int, span: tuple[float, float]) -> Markup:
    y = _TOP + _ROW * index + _ROW // 2
    kind = "clear" if bar.verdict != "no evidence" else "unclear"
    row = Markup('<g class="{}"><text class="name" x="0" y="{}">{}</text>').format(kind, y + 4, bar.label)
    if bar.low is not None and bar.high is not None:
        line = Markup('<line class="interval" x1="{}" x2="{}" y1="{}" y2="{}"/>')
        row += line.format(_x(100 * bar.low, span), _x(100 * bar.high, span), y, y)
    told = f"{bar.label}: {100 * bar.estimate:+.1f} points, {bar.verdict}"
    dot = Markup('<circle cx="{}" cy="{}" r="5"><title>{}</title></circle></g>')
    return row + dot.format(_x(100 * bar.estimate, span), y, told)
