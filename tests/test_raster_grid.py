"""Windows and grids: where pixels lie."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points

from reliefseg.raster import Grid, Window, coincide
from reliefseg.raster.classes import palette_color, parse_color

sizes = st.integers(1, 30)
windows = st.builds(Window, st.integers(-40, 40), st.integers(-40, 40), sizes, sizes)
METRIC = Grid(40, 60, Affine(0.2, 0, 500, 0, -0.2, 900), CRS.from_epsg(25832))

NAMED = CRS.from_user_input("EPSG:25832+5783").to_wkt().replace("ETRS89 / UTM zone 32N", "town, [old", 1)


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


def test_gsd_is_metres_also_of_maps_in_feet_and_degrees() -> None:
    assert METRIC.gsd == pytest.approx(0.2)
    assert Grid(5, 5, Affine.scale(1, -1), CRS.from_epsg(2263)).gsd == pytest.approx(0.3048, rel=1e-3)
    degrees = Affine.translation(11, 48) @ Affine.scale(1e-5, -1e-5)
    xs, ys = transform_points(CRS.from_epsg(4326), CRS.from_epsg(32632), [11, 11.00001, 11], [48, 48, 47.99999])
    in_utm = abs((xs[1] - xs[0]) * (ys[2] - ys[0]) - (xs[2] - xs[0]) * (ys[1] - ys[0])) ** 0.5
    assert Grid(5, 5, degrees, CRS.from_epsg(4326), 0.5).gsd == pytest.approx(in_utm, rel=1e-3)
    off_the_globe = Affine.translation(500_000, 5_000_000)
    assert Grid(5, 5, off_the_globe, CRS.from_epsg(4326), 0.5).gsd == 0.5
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
        (Grid(40, 60, METRIC.transform, CRS.from_wkt(NAMED)), True),
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
