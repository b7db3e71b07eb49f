"""From boxes to tiles: one sampling grid for bands (bilinear) and labels (nearest), a whole batch at a time.

All scenes lie in one flat tensor of pixels; a box's rows and columns are two vectors, so the grid of a batch is
an outer sum, and flips and quarter turns are exact: they reverse the vectors or swap them.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

from reliefseg.tiles.boxes import Boxes
from reliefseg.tiles.flat import FlatScenes


def sample_bands(
    scenes: FlatScenes, boxes: Boxes, size: int, oversample: int = 1
) -> Float[Tensor, "n bands size size"]:
    """Tiles of the bands in file units, bilinear; beyond the scene's edge it is mirrored.

    `oversample` n takes n × n points a pixel and averages them: needed where a box is shrunk by more than 2.
    """
    start, width, rows, cols = _coordinates(scenes, boxes, size * oversample)
    (row0, row1, row_weight) = _neighbours(rows, scenes.height[_scene(scenes, boxes)])
    (col0, col1, col_weight) = _neighbours(cols, scenes.width[_scene(scenes, boxes)])
    swap = _on(scenes, boxes.transpose)

    def gather(row: Tensor, col: Tensor) -> Tensor:
        index = _outer(start[:, None] + row * width[:, None], col, swap)
        taken = scenes.bands[index.flatten()].view(*index.shape, -1)
        return _to_float(taken.to(scenes.device))

    down = _outer_weight(row_weight, swap, rows_vary=True).to(scenes.device)
    across = _outer_weight(col_weight, swap, rows_vary=False).to(scenes.device)
    upper = torch.lerp(gather(row0, col0), gather(row0, col1), across)
    lower = torch.lerp(gather(row1, col0), gather(row1, col1), across)
    tiles = torch.lerp(upper, lower, down).permute(0, 3, 1, 2)
    return torch.nn.functional.avg_pool2d(tiles, oversample) if oversample > 1 else tiles


def sample_labels(scenes: FlatScenes, boxes: Boxes, size: int) -> UInt8[Tensor, "n size size"]:
    """Tiles of the class ids, nearest, on the same sampling grid."""
    start, width, rows, cols = _coordinates(scenes, boxes, size)
    scene = _scene(scenes, boxes)
    row = _mirrored(_nearest(rows), scenes.height[scene])
    col = _mirrored(_nearest(cols), scenes.width[scene])
    index = _outer(start[:, None] + row * width[:, None], col, _on(scenes, boxes.transpose))
    return scenes.labels[index.flatten()].view(index.shape).to(scenes.device)


def oversampling(shrink: float) -> int:
    """Points a pixel and axis that keep a box shrunk `shrink` times free of aliasing: none lie more than 2 px apart."""
    return max(1, int(np.ceil(shrink / 2 - 1e-9)))


def oversampling_of(boxes: Boxes, size: int) -> Int64[np.ndarray, " n"]:
    """`oversampling` of each box, by whichever of its height and width is shrunk more."""
    shrink = np.maximum(boxes.height, boxes.width) / size
    return np.array([oversampling(s) for s in shrink], dtype=np.int64)


def _on(scenes: FlatScenes, values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(scenes.bands.device)


def _scene(scenes: FlatScenes, boxes: Boxes) -> Int64[Tensor, " n"]:
    return _on(scenes, boxes.scene)


def _coordinates(scenes: FlatScenes, boxes: Boxes, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """First pixel and width of each box's scene; positions of tile rows and columns (0: centre of the first pixel)."""
    steps = np.arange(size) + 0.5
    rows = boxes.top[:, None] + boxes.height[:, None] / size * steps - 0.5
    cols = boxes.left[:, None] + boxes.width[:, None] / size * steps - 0.5
    rows = np.where(boxes.flip_rows[:, None], rows[:, ::-1], rows)
    cols = np.where(boxes.flip_cols[:, None], cols[:, ::-1], cols)
    scene = _scene(scenes, boxes)
    return scenes.start[scene], scenes.width[scene], _on(scenes, rows), _on(scenes, cols)


def _nearest(position: Float64[Tensor, "n size"]) -> Int64[Tensor, "n size"]:
    """The nearest pixels; of two as near the one towards the box's middle, so that no tile is shifted, flipped or not.

    All of a box's positions are ties where it is shrunk by an even factor.
    """
    middle = (position[:, :1] + position[:, -1:]) / 2
    return torch.where(position < middle, torch.floor(position + 0.5), torch.ceil(position - 0.5)).long()


def _neighbours(position: Tensor, extent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    first = torch.floor(position)
    weight = (position - first).float()
    index = first.long()
    return _mirrored(index, extent), _mirrored(index + 1, extent), weight


def _mirrored(index: Int64[Tensor, "n size"], extent: Int64[Tensor, " n"]) -> Int64[Tensor, "n size"]:
    """Indices beyond an edge come back from it: −1 is 0, −2 is 1, however far out."""
    extent = extent[:, None]
    index = index.remainder(2 * extent)
    return torch.minimum(index, 2 * extent - 1 - index)


def _outer(rows: Tensor, cols: Tensor, swap: Tensor) -> Int64[Tensor, "n size size"]:
    straight = rows[:, :, None] + cols[:, None, :]
    turned = cols[:, :, None] + rows[:, None, :]
    return torch.where(swap[:, None, None], turned, straight)


def _outer_weight(weight: Tensor, swap: Tensor, *, rows_vary: bool) -> Float[Tensor, "n size size 1"]:
    size = weight.shape[1]
    down = weight[:, :, None].expand(-1, size, size)
    across = weight[:, None, :].expand(-1, size, size)
    first, second = (down, across) if rows_vary else (across, down)
    return torch.where(swap[:, None, None], second, first)[..., None]


def _to_float(values: Tensor) -> Float[Tensor, "..."]:
    # int16 holds the bits of 16-bit files, which are unsigned.
    return (values.int() & 0xFFFF).float() if values.dtype == torch.int16 else values.float()
