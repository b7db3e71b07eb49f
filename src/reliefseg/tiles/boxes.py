"""Random boxes: a pure function of (seed, stream, step, index), so that any step can be replayed anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8

from reliefseg.raster import IGNORE_INDEX, Window
from reliefseg.tiles.settings import TileSettings

CELL = 16
"""Side, in pixels, of the cells whose class counts steer the drawing."""
ATTEMPTS = 8


class Stream(IntEnum):
    """Independent sequences of random numbers of one run, by what they are for.

    Not by whom: tile-labelled windows, in pretraining and in lessons, draw ORIENTATION and JITTER as tiles do, so that
    window i of a step gets the turn and the change of colour of tile i.
    """

    BOXES = 1
    ORIENTATION = 2
    JITTER = 3
    TILE_ORDER = 4


def uniforms(seed: int, stream: Stream, step: int, count: int, draws: int) -> Float64[np.ndarray, "count draws"]:
    """Numbers in [0, 1); row i depends on (seed, stream, step, i) only, not on `count`."""
    key = np.array([seed, (int(stream) << 48) + step], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random((count, draws))


@dataclass(frozen=True)
class Boxes:
    """Windows of real-valued position and size, one a tile, with the orientation the tile is turned to.

    `top` and `left` are edges in pixels of scene number `scene` (0 is the outer edge of its first pixel).
    """

    scene: Int64[np.ndarray, " n"]
    top: Float64[np.ndarray, " n"]
    left: Float64[np.ndarray, " n"]
    height: Float64[np.ndarray, " n"]
    width: Float64[np.ndarray, " n"]
    flip_rows: Bool[np.ndarray, " n"]
    flip_cols: Bool[np.ndarray, " n"]
    transpose: Bool[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.scene)

    @classmethod
    def of_windows(cls, scenes: list[int], windows: list[Window]) -> Boxes:
        """Boxes that are exactly these windows, unturned."""
        values = np.array([(w.row, w.col, w.height, w.width) for w in windows], dtype=np.float64).reshape(-1, 4)
        no = np.zeros(len(windows), dtype=bool)
        top, left, height, width = values.T
        return cls(np.array(scenes, dtype=np.int64), top, left, height, width, no, no, no)

    def __getitem__(self, index: slice | np.ndarray) -> Boxes:
        return Boxes(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def turned(boxes: Boxes, seed: int, step: int) -> Boxes:
    """The same boxes in random orientations: the eight of the square, equally often."""
    bits = uniforms(seed, Stream.ORIENTATION, step, len(boxes), 3) < 0.5
    geometry = (boxes.scene, boxes.top, boxes.left, boxes.height, boxes.width)
    return Boxes(*geometry, bits[:, 0], bits[:, 1], bits[:, 2])


class BoxLayout:
    """Where labelled pixels of which class lie, counted by cells: all that drawing boxes needs to know.

    `relative_gsd[s]` is scene s's gsd divided by the reference gsd: boxes are equally large on the ground.
    """

    def __init__(self, labels: Iterable[UInt8[np.ndarray, "_ _"]], classes: int, relative_gsd: Sequence[float]):
        found = [(x.shape, _cell_counts(x, classes)) for x in labels]
        self.sizes = np.array([size for size, _ in found], dtype=np.int64).reshape(-1, 2)
        self.relative_gsd = np.array(relative_gsd, dtype=np.float64)
        counts = [c for _, c in found]
        self._grids = np.array([c.shape[:2] for c in counts], dtype=np.int64).reshape(-1, 2)
        self._cell_start = np.concatenate([[0], np.cumsum(self._grids.prod(axis=1))])
        self._classes = np.concatenate([c.reshape(-1, classes) for c in counts])
        self._cumulative = np.cumsum(self._classes, axis=0, dtype=np.float64)
        self._cumulative_any = np.cumsum(self._classes.sum(axis=1), dtype=np.float64)
        integrals = [np.pad(c.sum(axis=2).cumsum(0).cumsum(1), ((1, 0), (1, 0))) for c in counts]
        self._integral_start = np.concatenate([[0], np.cumsum([x.size for x in integrals])])
        self._integral = np.concatenate([x.ravel() for x in integrals])

    @property
    def labelled_pixels(self) -> int:
        """Pixels with a class."""
        return int(self._classes.sum())

    @property
    def pixels_per_class(self) -> Int64[np.ndarray, " classes"]:
        """Labelled pixels of each class."""
        return self._classes.sum(axis=0, dtype=np.int64)

    def centres(
        self, balance: float, u: Float64[np.ndarray, "n 5"]
    ) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
        """Scene, row and column of labelled cells' random points; with share `balance` drawn class by class."""
        target = u[:, 2] * self._cumulative_any[-1]
        cell = np.searchsorted(self._cumulative_any, target, side="right")
        present = np.flatnonzero(self._cumulative[-1])
        wanted = present[(u[:, 1] * len(present)).astype(np.int64)]
        for k in present:
            mine = (u[:, 0] < balance) & (wanted == k)
            cell[mine] = np.searchsorted(self._cumulative[:, k], u[mine, 2] * self._cumulative[-1, k], side="right")
        scene = np.searchsorted(self._cell_start, cell, side="right") - 1
        within = cell - self._cell_start[scene]
        row = (within // self._grids[scene, 1] + u[:, 3]) * CELL
        col = (within % self._grids[scene, 1] + u[:, 4]) * CELL
        return scene, row, col

    def valid_share(self, boxes: Boxes) -> Float64[np.ndarray, " n"]:
        """Share of labelled pixels of the cells a box touches."""
        height, width = self.sizes[boxes.scene].T
        r0, c0 = np.floor(boxes.top / CELL).astype(int), np.floor(boxes.left / CELL).astype(int)
        r1 = np.ceil(np.minimum(boxes.top + boxes.height, height) / CELL).astype(int)
        c1 = np.ceil(np.minimum(boxes.left + boxes.width, width) / CELL).astype(int)
        start, stride = self._integral_start[boxes.scene], self._grids[boxes.scene, 1] + 1

        def corner(r: np.ndarray, c: np.ndarray) -> np.ndarray:
            return self._integral[start + r * stride + c]

        labelled = corner(r1, c1) - corner(r0, c1) - corner(r1, c0) + corner(r0, c0)
        area = (np.minimum(r1 * CELL, height) - r0 * CELL) * (np.minimum(c1 * CELL, width) - c0 * CELL)
        return labelled / area


def _cell_counts(labels: UInt8[np.ndarray, "h w"], classes: int) -> Int64[np.ndarray, "rows cols classes"]:
    rows, cols = (-(-n // CELL) for n in labels.shape)
    padded = np.full((rows * CELL, cols * CELL), IGNORE_INDEX, dtype=np.uint8)
    padded[: labels.shape[0], : labels.shape[1]] = labels
    cells = padded.reshape(rows, CELL, cols, CELL)
    return np.stack([(cells == k).sum(axis=(1, 3), dtype=np.int64) for k in range(classes)], axis=2)


def draw_boxes(layout: BoxLayout, settings: TileSettings, seed: int, step: int, count: int) -> Boxes:
    """`count` boxes for one step: random centre far enough from the border, the same random factor in x and y.

    A box that does not fit is shrunk to the scene. Boxes with too little labelled area are drawn again. Where the
    settings say so, they are those of a grid.
    """
    if settings.centres == "grid":
        grid = grid_boxes(layout, settings)
        drawn = grid[(uniforms(seed, Stream.BOXES, step, count, 1)[:, 0] * len(grid)).astype(np.int64)]
        return turned(drawn, seed, step) if settings.turns else drawn
    u = uniforms(seed, Stream.BOXES, step, count, ATTEMPTS * 6).reshape(count * ATTEMPTS, 6)
    candidates = _boxes_from(layout, settings, u)
    share = layout.valid_share(candidates).reshape(count, ATTEMPTS)
    enough = share >= settings.min_valid
    chosen = np.where(enough.any(axis=1), enough.argmax(axis=1), share.argmax(axis=1))
    boxes = candidates[np.arange(count) * ATTEMPTS + chosen]
    return turned(boxes, seed, step) if settings.turns else boxes


def grid_boxes(layout: BoxLayout, settings: TileSettings) -> Boxes:
    """Boxes side by side from each scene's top-left corner, without those labelled too little, if others are left."""
    corners = [
        (scene, row * side, col * side, side)
        for scene, (height, width) in enumerate(layout.sizes)
        for side in [min(settings.box_side / layout.relative_gsd[scene], height, width)]
        for row in range(int(height / side + 1e-9))
        for col in range(int(width / side + 1e-9))
    ]
    scene, top, left, side = np.array(corners, dtype=np.float64).T
    no = np.zeros(len(scene), dtype=bool)
    boxes = Boxes(scene.astype(np.int64), top, left, side, side, no, no, no)
    enough = layout.valid_share(boxes) >= settings.min_valid
    return boxes[enough] if enough.any() else boxes


def _boxes_from(layout: BoxLayout, settings: TileSettings, u: Float64[np.ndarray, "n 6"]) -> Boxes:
    scene, row, col = layout.centres(settings.box_balance, u[:, :5])
    smallest, largest = settings.box_factor
    factor = smallest * (largest / smallest) ** u[:, 5]
    height, width = layout.sizes[scene].T
    side = np.minimum(settings.box_side * factor / layout.relative_gsd[scene], np.minimum(height, width))
    top, left = _inside(row, side, height), _inside(col, side, width)
    no = np.zeros(len(scene), dtype=bool)
    return Boxes(scene, top, left, side, side, no, no, no)


def _inside(
    centre: Float64[np.ndarray, " n"], side: Float64[np.ndarray, " n"], extent: Int64[np.ndarray, " n"]
) -> Float64[np.ndarray, " n"]:
    """First edge of a box inside the scene: centres too near the border are mirrored inwards, not piled up on it."""
    centre = np.where(centre < side / 2, side - centre, centre)
    centre = np.where(centre > extent - side / 2, 2 * extent - side - centre, centre)
    return np.clip(centre - side / 2, 0, extent - side)
