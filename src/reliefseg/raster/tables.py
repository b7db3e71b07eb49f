"""Plain tables and numbers for a terminal."""

from __future__ import annotations

from collections.abc import Sequence


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns side by side: flush right where they hold numbers, else left; empty without rows."""
    if not rows:
        return ""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [_is_numeric(column[1:]) for column in columns]
    lines = [header, ["─" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True)).rstrip()
        for line in lines
    )


def percent(share: float | None) -> str:
    """`12.3 %`; a dash where the share is undefined; what is not quite nothing or everything never reads so."""
    if share is None:
        return "–"
    if 0 < share < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= share < 1:
        return "99.9 %"
    return f"{100 * share:.1f} %"


def count_of(number: int, thing: str) -> str:
    """`1 scene`, `3 scenes`, `12,000 scenes`."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _is_numeric(cells: Sequence[str]) -> bool:
    starts = [cell[0] for cell in cells if cell]
    return any(c.isdigit() for c in starts) and all(c.isdigit() or c in "–<" for c in starts)
