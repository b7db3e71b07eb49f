"""Pictures inside a page: panels taken out of PNGs, reduced, as data URIs within a budget of bytes."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from reliefseg.errors import InputError
from reliefseg.evaluation.sheet import PANELS_KEY

BUDGET = 6_500_000
"""Characters that all pictures of a page may take together."""

_SCALES = (1.0, 0.8, 0.62, 0.48, 0.37, 0.28, 0.2, 0.12)


class Wanted(NamedTuple):
    """A picture a page asks for: which file, which panel of it (None: all of it), at most how wide (pixels)."""

    path: Path
    panel: str | None
    width: int


class Embedded(NamedTuple):
    """A picture as it stands in the page: data URI and size in pixels."""

    uri: str
    width: int
    height: int


def panel_names(path: Path) -> list[str]:
    """Which panels a picture says it has, in the order shown; none for a PNG from elsewhere.

    Raises InputError if the file cannot be read as a picture.
    """
    return list(_boxes(_opened(path)))


def embed_all(wanted: Mapping[str, Wanted], budget: int = BUDGET) -> dict[str, Embedded]:
    """All pictures as data URIs of together at most `budget` characters, made smaller until they fit.

    Each file is read once. At the smallest of the steps they are kept whatever they take.
    """
    parts = _parts(wanted)
    embedded: dict[str, Embedded] = {}
    for scale in _SCALES:
        embedded = {key: _encoded(_reduced(part, max(48, round(part.width * scale)))) for key, part in parts.items()}
        if sum(len(one.uri) for one in embedded.values()) <= budget:
            break
    return embedded


def _parts(wanted: Mapping[str, Wanted]) -> dict[str, Image.Image]:
    """The wanted pictures at their full width, each file read once."""
    by_path: dict[Path, list[str]] = {}
    for key, want in wanted.items():
        by_path.setdefault(want.path, []).append(key)
    parts: dict[str, Image.Image] = {}
    for path, keys in by_path.items():
        picture = _opened(path)
        boxes, page = _boxes(picture), picture.convert("RGB")
        for key in keys:
            row, col, height, width = boxes.get(wanted[key].panel or "", (0, 0, page.height, page.width))
            parts[key] = _reduced(page.crop((col, row, col + width, row + height)), wanted[key].width)
    return {key: parts[key] for key in wanted}


def _encoded(picture: Image.Image) -> Embedded:
    """The picture as PNG where it has few colours, which keeps maps exact, else as JPEG."""
    buffer = io.BytesIO()
    kind = "png" if _has_few_colors(picture) else "jpeg"
    if kind == "png":
        picture.convert("P", palette=Image.Palette.ADAPTIVE, dither=Image.Dither.NONE).save(buffer, "PNG")
    else:
        picture.save(buffer, "JPEG", quality=84, subsampling=0, optimize=True)
    return Embedded(f"data:image/{kind};base64,{b64encode(buffer.getvalue()).decode()}", *picture.size)


def _opened(path: Path) -> Image.Image:
    """The picture, read in full."""
    try:
        picture = Image.open(path)
        picture.load()
    except (OSError, UnidentifiedImageError) as error:
        raise InputError(
            f"{path}: not a whole picture ({error}); expected a PNG written by an evaluation. Evaluate again."
        ) from error
    return picture


def _boxes(picture: Image.Image) -> dict[str, tuple[int, int, int, int]]:
    """The panels' boxes (row, col, height, width) that the picture says it has."""
    text = picture.info.get(PANELS_KEY)
    return {name: tuple(box) for name, box in json.loads(text).items()} if text else {}


def _reduced(picture: Image.Image, width: int) -> Image.Image:
    """The picture no wider than `width`; maps of few colours stay in their own colours."""
    if picture.width <= width:
        return picture
    size = (width, max(1, round(picture.height * width / picture.width)))
    method = Image.Resampling.NEAREST if _has_few_colors(picture) else Image.Resampling.LANCZOS
    return picture.resize(size, method)


def _has_few_colors(picture: Image.Image) -> bool:
    return picture.getcolors(64) is not None
