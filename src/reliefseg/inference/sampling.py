"""From a scene's pixels to what networks see: normalised bands on the working grid.

The numbers are those that `SceneBank.tiles` gives in training (`tests/test_inference_plan.py` holds them together);
here every pixel of the working grid is sampled once, for all windows that see it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Int64

from reliefseg.inference.plan import Piece, Plan
from reliefseg.inference.source import Pixels, Read
from reliefseg.raster import Window
from reliefseg.tiles import Normalisation, oversampling
from reliefseg.tiles.flat import DEPTH_STEPS


class WorkingImage(NamedTuple):
    """What a piece's windows see, and where the scene is valid.

    `seen` lies on the working grid, beyond the scene's edges too (mirrored there); `valid` are the pixels of the
    scene's window `read`.
    """

    seen: Window
    bands: Float32[np.ndarray, "bands rows cols"]
    read: Window
    valid: Bool[np.ndarray, "h w"]


class _Taps(NamedTuple):
    """Between which two pixels each sample lies, and how near it is to the second (None: all lie on the first)."""

    first: Int64[np.ndarray, " n"]
    second: Int64[np.ndarray, " n"]
    weight: Float32[np.ndarray, " n"] | None

    @property
    def span(self) -> tuple[int, int]:
        """First pixel touched, and one after the last."""
        return int(min(self.first.min(), self.second.min())), int(max(self.first.max(), self.second.max())) + 1

    @property
    def run(self) -> slice | None:
        """The pixels themselves, where samples lie on neighbouring ones in order."""
        follows = self.weight is None and bool((np.diff(self.first) == 1).all())
        return slice(int(self.first[0]), int(self.first[-1]) + 1) if follows else None


def working_image(plan: Plan, piece: Piece, normalisation: Normalisation, read: Read) -> WorkingImage:
    """Reads and samples what the piece's windows see; beyond the scene's edge it is mirrored."""
    seen, times = plan.seen(piece), _times(plan)
    rows, cols = _seen_taps(plan, piece)
    touched = _touched(rows, cols, piece)
    pixels = read(touched)
    planes = _filled(pixels, normalisation)
    bands = _sampled(planes, _moved(rows, touched.row), _moved(cols, touched.col))
    if times > 1:
        bands = bands.reshape(len(bands), seen.height, times, seen.width, times).mean(axis=(2, 4), dtype=np.float32)
    bands -= np.array(normalisation.mean, dtype=np.float32)[:, None, None]
    bands *= (1 / np.array(normalisation.std)).astype(np.float32)[:, None, None]
    return WorkingImage(seen, bands, touched, pixels.valid)


def read_window(plan: Plan, piece: Piece) -> Window:
    """The part of the scene that `working_image` reads for a piece."""
    return _touched(*_seen_taps(plan, piece), piece)


def _touched(rows: _Taps, cols: _Taps, piece: Piece) -> Window:
    return _hull(_window(rows.span, cols.span), piece.core)


def _times(plan: Plan) -> int:
    """Samples a network pixel, along each axis."""
    return oversampling(max(plan.row_step, plan.col_step))


def _seen_taps(plan: Plan, piece: Piece) -> tuple[_Taps, _Taps]:
    """Where samples of what the piece's windows see lie in the scene, downwards and across."""
    seen, times = plan.seen(piece), _times(plan)
    rows = _taps(seen.row, seen.height, plan.row_step, plan.height, times)
    return rows, _taps(seen.col, seen.width, plan.col_step, plan.width, times)


def _taps(first: int, count: int, step: float, extent: int, times: int) -> _Taps:
    positions = (first + (np.arange(count * times) + 0.5) / times) * step - 0.5
    below = np.floor(positions)
    weight = (positions - below).astype(np.float32)
    index = below.astype(np.int64)
    return _Taps(_mirrored(index, extent), _mirrored(index + 1, extent), weight if weight.any() else None)


def _mirrored(index: Int64[np.ndarray, " n"], extent: int) -> Int64[np.ndarray, " n"]:
    """Indices beyond an edge come back from it: −1 is 0, −2 is 1, however far out."""
    index = index % (2 * extent)
    return np.minimum(index, 2 * extent - 1 - index)


def _moved(taps: _Taps, by: int) -> _Taps:
    return _Taps(taps.first - by, taps.second - by, taps.weight)


def _window(rows: tuple[int, int], cols: tuple[int, int]) -> Window:
    return Window(rows[0], cols[0], rows[1] - rows[0], cols[1] - cols[0])


def _hull(one: Window, other: Window) -> Window:
    ends = [(min(a, b), max(a + m, b + n)) for a, m, b, n in (
        (one.row, one.height, other.row, other.height), (one.col, one.width, other.col, other.width)
    )]  # fmt: skip
    return _window(*ends)


def _filled(pixels: Pixels, normalisation: Normalisation) -> Float32[np.ndarray, "bands h w"]:
    """Bands as training stores them: every band's mean where the scene is not valid, depth in its steps."""
    steps, mean = DEPTH_STEPS.get(pixels.bands.dtype, 0), normalisation.mean
    planes = np.empty((len(mean), *pixels.valid.shape), np.float32)
    planes[: len(pixels.bands)] = pixels.bands
    if not pixels.valid.all():
        for plane, m in zip(planes, mean[: len(pixels.bands)], strict=False):
            plane[~pixels.valid] = np.rint(m) if steps else m
    if pixels.depth is not None:
        depth = np.where(pixels.valid & np.isfinite(pixels.depth), pixels.depth, np.float32(mean[-1]))
        planes[-1] = np.rint(depth * steps) / steps if steps else depth
    return planes


def _sampled(
    planes: Float32[np.ndarray, "bands h w"], rows: _Taps, cols: _Taps
) -> Float32[np.ndarray, "bands rows cols"]:
    """Bilinear: across, then down."""
    across = _between(planes, cols, axis=2)
    return _between(across, rows, axis=1)


def _between(planes: Float32[np.ndarray, "bands h w"], taps: _Taps, axis: int) -> Float32[np.ndarray, "bands m n"]:
    run = taps.run
    if run is not None:
        return planes[:, run] if axis == 1 else planes[:, :, run]
    first = np.take(planes, taps.first, axis=axis)
    if taps.weight is None:
        return first
    second = np.take(planes, taps.second, axis=axis)
    second -= first
    second *= taps.weight[:, None] if axis == 1 else taps.weight
    first += second
    return first


def upsampled(
    probabilities: Float32[np.ndarray, "classes rows cols"],
    part: Window,
    plan: Plan,
    window: Window,
) -> Float32[np.ndarray, "classes h w"]:
    """Probabilities of `part` of the working grid brought, bilinear, to a window of the scene inside it."""
    rows = _clamped(window.row, window.height, plan.row_step, plan.rows)
    cols = _clamped(window.col, window.width, plan.col_step, plan.cols)
    return _sampled(probabilities, _moved(rows, part.row), _moved(cols, part.col))


def support(plan: Plan, window: Window) -> Window:
    """The part of the working grid that `upsampled` needs for a window of the scene."""
    rows = _clamped(window.row, window.height, plan.row_step, plan.rows)
    cols = _clamped(window.col, window.width, plan.col_step, plan.cols)
    return _window(rows.span, cols.span)


def _clamped(first: int, count: int, step: float, extent: int) -> _Taps:
    """Samples of the scene's pixels among network pixels; the outermost ones hold beyond their centres."""
    positions = np.clip((first + np.arange(count) + 0.5) / step - 0.5, 0, extent - 1)
    below = np.floor(positions)
    weight = (positions - below).astype(np.float32)
    index = below.astype(np.int64)
    return _Taps(index, np.minimum(index + 1, extent - 1), weight if weight.any() else None)
