"""Windows and grids: where pixels lie."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS

from reliefseg.raster import Grid, Window, coincide
from reliefseg.raster.classes import palette_color, parse_color

sizes = st.integers(1, 30)
windows = st.builds(Window, st.integers(-40, 40), st.integers(-40, 40), sizes, sizes)
METRIC = Grid(40, 60, Affine(0.2, 0, 500, 0, -0.2, 900), CRS.from_epsg(25832))


@given(windows, sizes, sizes)
def test_clipping_keeps_exactly_the_pixels_of_the_scene(window: Window, height: int, width: int) -> None:
    inside = np.zeros((height + 200, width + 200), bool)
    inside[window.shifted(100, 100).slices] = True
    clipped = np.zeros((height, width), bool)
    clipped[window.clipped(height, width).slices] = True
    np.testing.assert_array_equal(clipped, inside[100 : 100 + height, 100 : 100 + width])


@given(windows, sizes, sizes)
def test_clipping_twice_is_clipping_once(window: Window, height: int, width: int) -> None:
    once = window.clipped(height, width)
    assert once.clipped(height, width) == once
    assert min(once.height, once.width) >= 0


@given(windows, st.integers(0, 9))
def test_expanding_and_shrinking_cancel(window: Window, margin: int) -> None:
    assert window.expanded(margin).expanded(-margin) == window


@given(windows)
def test_a_windows_grid_has_its_pixels_where_the_scene_has_them(window: Window) -> None:
    x, y = METRIC.at(window).transform @ (3, 4)
    assert (x, y) == pytest.approx(METRIC.transform @ (window.col + 3, window.row + 4))


def test_gsd_is_metres_also_in_feet_and_never_degrees() -> None:
    assert METRIC.gsd == pytest.approx(0.2)
    assert Grid(5, 5, Affine.scale(1, -1), CRS.from_epsg(2263)).gsd == pytest.approx(0.3048, rel=1e-3)
    assert Grid(5, 5, Affine.scale(1e-5, -1e-5), CRS.from_epsg(4326)).gsd is None
    assert Grid(5, 5, stated_gsd=0.1).gsd == 0.1


def test_gsd_is_on_the_ground_also_in_web_mercator() -> None:
    """At 52° N the map is 1 / cos 52° = 1.62 times as long as the ground, but for the ellipsoid's flattening."""
    mercator = Grid(200, 300, Affine(0.3, 0, 1_000_000, 0, -0.3, 6_800_125), CRS.from_epsg(3857))
    assert mercator.gsd == pytest.approx(0.3 * np.cos(np.radians(52.0)), rel=5e-3)
    assert mercator.plane_gsd == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (METRIC, True),
        (Grid(40, 60), True),
        (Grid(40, 61), False),
        (Grid(40, 60, METRIC.transform, CRS.from_epsg(25833)), False),
        (Grid(40, 60, METRIC.transform, CRS.from_user_input("EPSG:25832+5783")), True),
        (Grid(40, 60, METRIC.transform, CRS.from_user_input("EPSG:25833+5783")), False),
        (Grid(40, 60, METRIC.transform), True),
        (Grid(40, 60, METRIC.transform @ Affine.translation(0.001, 0), METRIC.crs), True),
        (Grid(40, 60, METRIC.transform @ Affine.translation(0.5, 0), METRIC.crs), False),
        (Grid(40, 60, METRIC.transform @ Affine.scale(1.01), METRIC.crs), False),
    ],
)
def test_grids_coincide_where_every_pixel_does(other: Grid, same: bool) -> None:
    assert coincide(METRIC, other) is same
    assert coincide(other, METRIC) is same


def test_palette_colours_never_repeat() -> None:
    assert len({palette_color(i) for i in range(254)}) == 254


@pytest.mark.parametrize("text", ["red", "#12345", "3C1098", "#GG0000", "##00000", "+#12345"])
def test_what_is_no_colour_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no colour; expected #RRGGBB"):
        parse_color(text)
