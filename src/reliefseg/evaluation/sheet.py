"""A page of pixels that pictures are pasted on and words are written on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reliefseg.raster.classes import Color
from reliefseg.raster.files import whole_file

Picture = UInt8[np.ndarray, "height width 3"]

PANELS_KEY = "reliefseg-panels"
"""PNG text: JSON of the panels' boxes in pixels, `{"prediction": [row, col, height, width], …}`."""

LINE = 24
"""Height of a line of words in pixels, at scale 1."""

INK = "#20262b"

DPI = 100
"""Pixels an inch: what the size of letters is counted by."""


@dataclass
class Sheet:
    """A white page in pixels that pictures are pasted on and words written on.

    `scale` enlarges the words; `boxes` are the panels by name: row, col, height, width.
    """

    height: int
    width: int
    scale: float = 1.0
    boxes: dict[str, tuple[int, int, int, int]] = field(default_factory=dict)
    words: list[tuple[int, int, str, dict[str, Any]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.canvas = np.full((self.height, self.width, 3), 255, np.uint8)

    def paste(self, row: int, col: int, picture: Picture) -> None:
        """Puts a picture down, its upper left corner at a pixel."""
        height, width = picture.shape[:2]
        self.canvas[row : row + height, col : col + width] = picture

    def write(self, row: int, col: int, text: str, **style: Any) -> None:
        """Words centred on a row of pixels, starting at a column."""
        self.words.append((row, col, text, style))

    def save(self, path: Path) -> None:
        """Writes the page as a PNG that says where its panels lie (`boxes`)."""
        told = PngInfo()
        told.add_text(PANELS_KEY, json.dumps(self.boxes))
        page, words = Image.fromarray(self.canvas), self._drawn_words()
        page.paste(words, mask=words)
        with whole_file(path) as temporary:
            page.save(temporary, "PNG", pnginfo=told, dpi=(DPI, DPI), compress_level=1)

    def _drawn_words(self) -> Image.Image:
        """All words on a page of glass. matplotlib draws them, for it has letters of many languages."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # here: commands that draw nothing need not load it
        from matplotlib.figure import Figure

        figure = Figure(figsize=(self.width / DPI, self.height / DPI), dpi=DPI)
        figure.patch.set_visible(False)
        canvas = FigureCanvasAgg(figure)
        for row, col, text, style in self.words:
            style = {"va": "center", "ha": "left", "fontsize": 10 * self.scale, "color": INK, **style}
            figure.text(col / self.width, 1 - row / self.height, text, parse_math=False, **style)
        canvas.draw()
        return Image.fromarray(np.asarray(canvas.buffer_rgba()))


def legend_lines(entries: Sequence[tuple[str, Color]], width: int, scale: float) -> list[list[tuple[int, str, Color]]]:
    """The entries broken into lines no wider than `width` pixels, each with its column."""
    lines: list[list[tuple[int, str, Color]]] = [[]]
    col = 0
    for text, color in entries:
        wide = round((42 + 8.5 * len(text)) * scale)
        if lines[-1] and col + wide > width:
            lines.append([])
            col = 0
        lines[-1].append((col, text, color))
        col += wide
    return lines


def write_legend(sheet: Sheet, row: int, left: int, lines: Sequence[Sequence[tuple[int, str, Color]]]) -> None:
    """Swatches and words, line by line, from a row of pixels down."""
    high, side = round(LINE * sheet.scale), round(14 * sheet.scale)
    for number, line in enumerate(lines):
        middle = row + number * high + high // 2
        for col, text, color in line:
            sheet.paste(middle - side // 2, left + col, swatch(color, side, side))
            sheet.write(middle, left + col + round(1.5 * side), text)


def swatch(color: Color, height: int, width: int) -> Picture:
    """A rectangle of one colour."""
    return np.tile(np.array(color, np.uint8), (height, width, 1))
