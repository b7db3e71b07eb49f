"""Polygons of class maps fit together, lose no pixel, and show no trace of blocks."""

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import label

from reliefseg.inference.blocks import NODATA, Block
from reliefseg.inference.polygons.arcs import Arcs, arcs_of
from reliefseg.inference.polygons.layer import Drawing, draw
from reliefseg.inference.polygons.merging import join_regions
from reliefseg.inference.polygons.regions import label_parts, survey_parts
from reliefseg.inference.polygons.rings import polygons
from reliefseg.inference.polygons.simplifying import simplified
from reliefseg.raster import Grid, Window

PLANE = Affine.scale(1, -1)


def _blocks(class_ids: np.ndarray, side: int) -> list[Block]:
    height, width = class_ids.shape
    corners = [(row, col) for row in range(0, height, side) for col in range(0, width, side)]
    windows = [Window(row, col, side, side).clipped(height, width) for row, col in corners]
    return [_block(window, class_ids[window.slices]) for window in windows]


def _block(window: Window, ids: np.ndarray) -> Block:
    shares = np.full((4, *ids.shape), 127, np.uint8)
    return Block(window, ids, shares, shares[0])


def _drawn(class_ids: np.ndarray, side: int, smallest: int, tolerance: float = 0.99) -> Drawing:
    return draw(_blocks(class_ids, side), Grid(*class_ids.shape), None, smallest, tolerance)


def _shapes(drawing: Drawing) -> np.ndarray:
    return np.concatenate(list(polygons(drawing.arcs, PLANE)))


def _regions(class_ids: np.ndarray, side: int, smallest: int) -> np.ndarray:
    """The number of every pixel's region."""
    parts = survey_parts(_blocks(class_ids, side), Grid(*class_ids.shape))
    regions = join_regions(parts, smallest)
    found = np.empty(class_ids.shape, np.int32)
    for block, start in zip(_blocks(class_ids, side), parts.blocks, strict=True):
        found[block.window.slices] = regions.of_part[label_parts(block.class_ids) + start]
    return found


maps = arrays(
    np.uint8,
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    elements=st.sampled_from([0, 0, 0, 1, 1, 2, NODATA]),
)


@settings(max_examples=60)
@given(maps, st.integers(1, 5), st.sampled_from([1, 2, 6]))
def test_polygons_fit_together(class_ids: np.ndarray, side: int, smallest: int) -> None:
    shapes = _shapes(_drawn(class_ids, side, smallest))
    assert shapely.is_valid(shapes).all()
    assert not len(shapes) or shapely.coverage_is_valid(shapes)
    valid = int((class_ids != NODATA).sum())
    bordering = shapely.coverage_union_all(shapes).length if len(shapes) else 0
    assert abs(shapely.area(shapes).sum() - valid) <= bordering


@settings(max_examples=40)
@given(maps, st.integers(1, 5), st.sampled_from([1, 6]), st.sampled_from([0, 0.99]))
def test_blocks_leave_no_trace(class_ids: np.ndarray, side: int, smallest: int, tolerance: float) -> None:
    one, cut = (_drawn(class_ids, s, smallest, tolerance) for s in (64, side))
    assert shapely.equals_exact(_shapes(one), _shapes(cut)).all()
    np.testing.assert_array_equal(one.pixels, cut.pixels)
    np.testing.assert_array_equal(one.regions.class_ids, cut.regions.class_ids)


@settings(max_examples=40)
@given(maps, st.integers(1, 5), st.sampled_from([1, 3]))
def test_unsimplified_polygons_are_the_pixels(class_ids: np.ndarray, side: int, smallest: int) -> None:
    shapes = _shapes(_drawn(class_ids, side, smallest, 0))
    regions = _regions(class_ids, side, smallest)
    rows, cols = np.indices(class_ids.shape)
    centres = shapely.points(cols + 0.5, -rows - 0.5)
    for number, shape in enumerate(shapes):
        np.testing.assert_array_equal(shapely.contains(shape, centres), regions == number)
        assert shape.area == (regions == number).sum()
    np.testing.assert_array_equal(regions < 0, class_ids == NODATA)


@settings(max_examples=40)
@given(maps, st.integers(1, 5))
def test_regions_are_those_of_scipy(class_ids: np.ndarray, side: int) -> None:
    regions = _regions(class_ids, side, 1)
    for value in np.unique(class_ids[class_ids != NODATA]):
        theirs, count = label(class_ids == value)
        pairs = np.unique(np.stack([regions[class_ids == value], theirs[class_ids == value]]), axis=1)
        assert pairs.shape[1] == count == len(np.unique(pairs[0]))


@settings(max_examples=40)
@given(maps, st.integers(2, 9))
def test_nothing_small_is_left_beside_something_else(class_ids: np.ndarray, smallest: int) -> None:
    regions = _regions(class_ids, 3, smallest)
    islands, _ = label(class_ids != NODATA)
    for number in range(regions.max() + 1):
        alone = (islands[regions == number][0] == islands).sum() == (regions == number).sum()
        assert alone or (regions == number).sum() >= smallest


def test_a_hole_goes_to_what_surrounds_it_and_a_sliver_to_its_longer_side() -> None:
    ids = np.zeros((10, 20), np.uint8)
    ids[:, 10:] = 1
    ids[4:6, 4:6] = 2  # a hole of class 0
    ids[2:7, 10] = 3  # five pixels of border with 0 on the left, seven with 1
    regions = _regions(ids, 4, 8)
    np.testing.assert_array_equal(regions, np.where(np.arange(20) < 10, 0, 1) * np.ones((10, 1), int))


def test_what_a_merged_sliver_joins_is_one_region() -> None:
    ids = np.zeros((9, 9), np.uint8)
    ids[:, 4] = 1
    assert _regions(ids, 3, 12).max() == 0


def test_a_region_that_touches_itself_has_a_hole() -> None:
    ids = np.zeros((5, 5), np.uint8)
    ids[1:4, 1:4] = 1
    ids[2, 2] = 0
    ids[3, 3] = 0
    shapes = _shapes(_drawn(ids, 2, 1, 0))
    assert [len(shape.interiors) for shape in shapes] == [1, 1, 0]
    assert shapely.is_valid(shapes).all()


def test_a_slanting_border_becomes_one_line() -> None:
    rows, cols = np.indices((60, 60))
    shapes = _shapes(_drawn((cols > rows // 3 + 10).astype(np.uint8), 16, 1))
    assert [len(shape.exterior.coords) for shape in shapes] <= [7, 7]


def test_simplified_arcs_stay_within_the_tolerance() -> None:
    line = np.array([[0, 0], [0, 5], [1, 5], [1, 9], [4, 9], [4, 30]], np.int32)
    arcs = arcs_of(line, np.array([0, 6]), np.array([0], np.int32), np.array([1], np.int32))
    found = simplified(arcs)
    assert isinstance(found, Arcs)
    drawn = shapely.LineString(found.points)
    assert len(found.points) < 6
    assert max(drawn.distance(shapely.Point(point)) for point in line) <= 0.99


def test_a_tolerance_that_could_make_arcs_cross_is_refused() -> None:
    with pytest.raises(ValueError, match="must be below 1"):
        _drawn(np.zeros((2, 2), np.uint8), 2, 1, 1.0)


def test_confidence_is_the_mean_probability_of_the_class_shown() -> None:
    ids = np.array([[0, 0, 1]], np.uint8)
    shares = np.array([[[254, 127, 54]], [[0, 127, 200]]], np.uint8)
    drawing = draw([Block(Window(0, 0, 1, 3), ids, shares, shares[0])], Grid(1, 3), None, 1)
    np.testing.assert_allclose(drawing.confidence, [0.75, 200 / 254])
