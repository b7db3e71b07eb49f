"""Line charts and reliability diagrams as inline SVG: no script, no picture file, for light and dark pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor, isfinite, log10
from typing import NamedTuple

from markupsafe import Markup, escape

_WIDTH, _HEIGHT = 560, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 46, 34
_MOST_POINTS = 160
_FEW = 0.01
"""Bars of a smaller share of the pixels are faint."""


class Series(NamedTuple):
    """One line of a chart: its name, steps (ascending) and values; nan and None values are left out."""

    name: str
    steps: Sequence[float]
    values: Sequence[float | None]
    color: str | None = None


class ConfidenceBin(NamedTuple):
    """Pixels whose class has a probability between `low` and `high`: their mean probability (`confidence`), how many
    of them are right, and their share of all pixels; fractions."""

    low: float
    high: float
    confidence: float
    right: float
    share: float


def percent(value: float) -> str:
    """A fraction as whole percent."""
    return f"{100 * value:.0f} %"


def plain(value: float) -> str:
    """A number in as few digits as a tick needs."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def line_chart(
    title: str,
    series: Sequence[Series],
    tick: Callable[[float], str] = plain,
    limits: tuple[float, float] | None = None,
    unit: str = "steps",
) -> Markup:
    """Lines over steps (or another `unit`) as an SVG element; empty where no series has a finite value.

    Long series are averaged in equal runs of points. `limits` fixes the vertical axis (values outside are drawn
    at its edge); without it, it spans the values.
    """
    drawn = [line for line in (_thinned(s) for s in series) if line.steps]
    if not drawn:
        return Markup("")
    across = _span([x for s in drawn for x in s.steps])
    up = limits or _span([y for s in drawn for y in s.values if y is not None])
    parts = [_axes(across, up, tick, unit), *(_line(s, i, across, up, tick, unit) for i, s in enumerate(drawn))]
    label = f"{title}: " + "; ".join(f"{s.name} ends at {tick(s.values[-1] or 0.0)}" for s in drawn)
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(_WIDTH, _HEIGHT, label)
    return head + _legend(title, drawn) + Markup("").join(parts) + Markup("</svg>")


def reliability_chart(title: str, bars: Sequence[ConfidenceBin]) -> Markup:
    """How often a map is right over how sure it is, as an SVG element: bars that should end on the diagonal."""
    across, up = (0.0, 100.0), (0.0, 1.0)
    parts = [_axes(across, up, percent, "% sure"), *(_bar(bar, across, up) for bar in bars)]
    diagonal = Markup('<path class="line ideal" d="M{} {}L{} {}"/>').format(
        _LEFT, _HEIGHT - _BOTTOM, _WIDTH - _RIGHT, _TOP
    )
    told = "; ".join(f"{_sure_text(bar)}, {percent(bar.right)} right" for bar in bars)
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">')
    legend = Markup('<text class="title" x="0" y="13">{}</text><text x="0" y="29">{}</text>').format(
        title, "bars: share right, faint where few pixels are; line: as often as it says"
    )
    head = head.format(_WIDTH, _HEIGHT, f"{title}: {told}")
    return head + legend + Markup("").join(parts) + diagonal + Markup("</svg>")


def _bar(bar: ConfidenceBin, across: tuple[float, float], up: tuple[float, float]) -> Markup:
    left, right = (round(_x(100 * end, across), 1) for end in (bar.low, bar.high))
    top = round(_y(bar.right, up), 1)
    told = (
        f"{_sure_text(bar)}, {100 * bar.confidence:.1f} % on average: {100 * bar.right:.1f} % right; "
        f"{100 * bar.share:.2g} % of the pixels"
    )
    opacity = 0.2 if bar.share < _FEW else 0.6
    rect = Markup('<rect x="{}" y="{}" width="{}" height="{}" style="fill:var(--line-0);opacity:{}"/>').format(
        left, top, round(right - left, 1), round(_HEIGHT - _BOTTOM - top, 1), opacity
    )
    return Markup("<g>{}<title>{}</title></g>").format(rect, told)


def _sure_text(bar: ConfidenceBin) -> str:
    return f"{100 * bar.low:.0f} to {100 * bar.high:.0f} % sure"


def _thinned(series: Series) -> Series:
    """The series without gaps, averaged in equal runs if it has too many points to draw."""
    pairs = zip(series.steps, series.values, strict=True)
    points = [(x, y) for x, y in pairs if y is not None and isfinite(y)]
    run = max(1, ceil(len(points) / _MOST_POINTS))
    runs = [points[i : i + run] for i in range(0, len(points), run)]
    steps = [sum(x for x, _ in r) / len(r) for r in runs]
    return Series(series.name, steps, [sum(y for _, y in r) / len(r) for r in runs], series.color)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest value, a little apart where they are equal."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1), low + 0.5 * (abs(low) or 1))


def ticks(span: tuple[float, float], about: int) -> list[float]:
    """Round numbers inside a span, about so many."""
    raw = (span[1] - span[0]) / about
    power = 10.0 ** floor(log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = ceil(span[0] / step - 1e-9), floor(span[1] / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _x(value: float, span: tuple[float, float]) -> float:
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * (value - span[0]) / (span[1] - span[0])


def _y(value: float, span: tuple[float, float]) -> float:
    share = min(max((value - span[0]) / (span[1] - span[0]), 0.0), 1.0)
    return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share


def _axes(across: tuple[float, float], up: tuple[float, float], tick: Callable[[float], str], unit: str) -> Markup:
    """Grid lines with their numbers."""
    parts = []
    for value in ticks(up, 5):
        y = round(_y(value, up), 1)
        parts.append(
            Markup('<line class="rule" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(_LEFT, _WIDTH - _RIGHT, y, y)
            + Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(_LEFT - 7, y + 4, tick(value))
        )
    for value in ticks(across, 5):
        x = round(_x(value, across), 1)
        parts.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(x, _HEIGHT - 14, plain(value)))
    caption = Markup('<text class="unit" x="{}" y="{}" text-anchor="end">{}</text>')
    return Markup("").join(parts) + caption.format(_WIDTH - _RIGHT, _HEIGHT - 1, unit)


def _line(
    series: Series,
    index: int,
    across: tuple[float, float],
    up: tuple[float, float],
    tick: Callable[[float], str],
    unit: str,
) -> Markup:
    """The line, and a dot for each point where there are few."""
    points = [
        (round(_x(x, across), 1), round(_y(y, up), 1), x, y)
        for x, y in zip(series.steps, series.values, strict=True)
        if y is not None
    ]
    path = "M" + "L".join(f"{px} {py}" for px, py, _, _ in points)
    halo = Markup('<path class="line halo" d="{}"/>').format(path) if series.color else Markup("")
    line = halo + Markup('<path class="line" style="stroke:{}" d="{}"/>').format(_paint(series, index), path)
    dots = [
        Markup('<circle style="fill:{}" cx="{}" cy="{}" r="3"><title>{}</title></circle>').format(
            _paint(series, index), px, py, f"{series.name}: {tick(y)} at {x:,.0f} {unit}"
        )
        for px, py, x, y in (points if len(points) <= 30 else [])
    ]
    return line + Markup("").join(dots)


def _legend(title: str, series: Sequence[Series]) -> Markup:
    """The title, and what each line is if there are several (or one of another name)."""
    text = Markup('<text class="title" x="0" y="13">{}</text>').format(title)
    if len(series) == 1:
        return text
    col = 0
    for index, one in enumerate(series):
        text += Markup('<rect x="{}" y="20" width="10" height="10" rx="2" style="fill:{}"/>').format(
            col, _paint(one, index)
        )
        text += Markup('<text x="{}" y="29">{}</text>').format(col + 14, escape(one.name))
        col += 26 + round(6.4 * len(one.name))
    return text


def _paint(series: Series, index: int) -> str:
    """The series' own colour, or one of the page's."""
    return series.color or f"var(--line-{index % 7})"
