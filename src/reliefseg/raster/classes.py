"""Which classes there are: names, colours, ids in files. Networks see 0 … n−1 in this order."""

from __future__ import annotations

from dataclasses import dataclass

IGNORE_INDEX = 255
"""Label that no loss and no metric counts."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class ClassSpec:
    """One class: its name, the colour it is drawn with, its id in label files (None: they hold colours)."""

    name: str
    color: Color
    id: int | None = None


@dataclass(frozen=True)
class ClassTable:
    """All classes of a data set in the order networks see them, and what label files call "ignored"."""

    classes: tuple[ClassSpec, ...]
    ignore_colors: tuple[Color, ...] = ()
    ignore_ids: tuple[int, ...] = ()
    colors_stated: bool = True
    """False where classes have ids only: their colours are ours and mean nothing in label files."""

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names in order."""
        return tuple(c.name for c in self.classes)

    @property
    def colors(self) -> tuple[Color, ...]:
        """Colours in order."""
        return tuple(c.color for c in self.classes)

    @property
    def ids(self) -> tuple[int, ...] | None:
        """Ids in label files, in order; None where the classes are known by colour."""
        ids = tuple(c.id for c in self.classes if c.id is not None)
        return ids if len(ids) == len(self.classes) else None


PALETTE: tuple[Color, ...] = (
    (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180),
    (70, 240, 240), (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255),
    (170, 110, 40), (255, 250, 200), (128, 0, 0), (170, 255, 195), (128, 128, 0), (255, 215, 180),
    (0, 0, 128), (128, 128, 128),
)  # fmt: skip
"""Colours for classes that have none. Source: S. Trubetskoy, list of 20 simple, distinct colors (2017)."""


def palette_color(index: int) -> Color:
    """A colour of its own for class number `index`, also beyond the palette's end."""
    if index < len(PALETTE):
        return PALETTE[index]
    return (37 * index + 11) % 256, (91 * index + 73) % 256, (151 * index + 29) % 256


def parse_color(text: str) -> Color:
    """`#RRGGBB` as three numbers 0 … 255; a `ValueError` for anything else."""
    digits = text.removeprefix("#")
    if len(text) != 7 or len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise ValueError(f"{text!r} is no colour; expected #RRGGBB, for example #3C1098")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def color_text(color: Color) -> str:
    """`#RRGGBB` in capitals."""
    return "#{:02X}{:02X}{:02X}".format(*color)
