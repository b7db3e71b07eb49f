"""What a prediction leaves of a scene opens in GDAL in the right place, with names, colours and areas."""

from collections.abc import Iterator

import numpy as np
import pytest
from rasterio.crs import CRS

from reliefseg.inference.blocks import NODATA, UNIT, Block
from reliefseg.inference.results import Wanted
from reliefseg.raster import ClassSpec, ClassTable, Window

CLASSES = ClassTable((ClassSpec("house", (200, 10, 30)), ClassSpec("tree & bush", (0, 120, 0))))
UTM = CRS.from_epsg(32632)
ALL = Wanted(uncertainty=True, probabilities=True, polygons=True)


class Blocks:
    """A finished map cut into blocks that can be read again."""

    def __init__(self, class_ids: np.ndarray, side: int = 512, classes: int = 2):
        self.class_ids, self.side, self.classes = class_ids, side, classes

    def __len__(self) -> int:
        height, width = self.class_ids.shape
        return -(-height // self.side) * -(-width // self.side)

    def __getitem__(self, number: int) -> Block:
        return list(self)[number]

    def __iter__(self) -> Iterator[Block]:
        height, width = self.class_ids.shape
        for row in range(0, height, self.side):
            for col in range(0, width, self.side):
                window = Window(row, col, self.side, self.side).clipped(height, width)
                ids = self.class_ids[window.slices]
                shares = np.where(ids == np.arange(self.classes)[:, None, None], 200, UNIT - 200).astype(np.uint8)
                shares[:, ids == NODATA] = NODATA
                yield Block(window, ids, shares, np.where(ids == NODATA, NODATA, 127).astype(np.uint8))


@pytest.fixture
def class_ids() -> np.ndarray:
    ids = np.zeros((700, 1100), np.uint8)
    rows, cols = np.indices(ids.shape)
    ids[(rows - 350) ** 2 + (cols - 512) ** 2 < 200**2] = 1
    ids[100:102, 100:102] = 1  # a hole too small to show
    ids[rows + cols < 150] = NODATA
    return ids
