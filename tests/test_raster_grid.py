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
from reliefseg.raster.ground_area import measure_ground

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


@pytest.mark.parametrize(
    ("epsg", "corner", "pixel", "sides"),
    [
        (25832, (500_000, 5_700_000), (0.2, 0.2), (0.2, 0.2)),
        (25832, (500_000, 5_700_000), (0.1, 0.4), (0.1, 0.4)),
        (2263, (990_000, 200_000), (1, 2), (0.3048, 0.6096)),
        (3857, (1_000_000, 6_446_276), (1, 1), (0.6438, 0.6438)),  # 50° N: cos φ, and 0.4 % for the ellipsoid
        (4326, (11, 50), (1e-5, 1e-5), (0.71696, 1.11229)),  # 50° N
        (4326, (11, 0.00002), (1e-5, 1e-5), (1.11319, 1.10574)),
        (6933, (1_000_000, 6_000_000), (1, 1), None),  # equal-area: far from square in the north
    ],
)
def test_the_sides_of_pixels_are_metres_on_the_ground(
    epsg: int, corner: tuple[float, float], pixel: tuple[float, float], sides: tuple[float, float] | None
) -> None:
    transform = Affine.translation(*corner) @ Affine.scale(pixel[0], -pixel[1])
    grid = Grid(4, 6, transform, CRS.from_epsg(epsg))
    assert grid.pixel_sides is not None
    assert grid.gsd is not None
    assert grid.pixel_sides[0] * grid.pixel_sides[1] == pytest.approx(grid.gsd**2, rel=2e-3)
    assert grid.stretch == pytest.approx(max(grid.pixel_sides) / min(grid.pixel_sides))
    if sides is None:
        assert grid.stretch > 2
    else:
        assert grid.pixel_sides == pytest.approx(sides, rel=5e-3)


def test_sides_are_known_at_the_pole_and_unknown_without_a_place() -> None:
    at_the_pole = Grid(40, 40, Affine.translation(-4, 4) @ Affine.scale(0.2, -0.2), CRS.from_epsg(3413))
    assert at_the_pole.stretch == pytest.approx(1, rel=1e-3)
    assert Grid(4, 6, Affine.scale(1, -3)).stretch is None
    assert Grid(4, 6, Affine.translation(0, 500) @ Affine.scale(1, -3), CRS.from_epsg(4326)).stretch is None


MARS = CRS.from_wkt(
    'PROJCS["Mars",GEOGCS["Mars 2000",DATUM["D_Mars_2000",SPHEROID["Mars_2000_IAU_IAG",3396190,169.894]],'
    'PRIMEM["Reference_Meridian",0],UNIT["degree",0.0174532925199433]],PROJECTION["Equirectangular"],UNIT["metre",1]]'
)


def test_on_another_planet_the_plane_of_the_map_counts() -> None:
    grid = Grid(40, 60, Affine(0.25, 0, 1000, 0, -0.5, 2000), MARS)
    assert grid.pixel_sides == pytest.approx((0.25, 0.5))
    assert grid.gsd == pytest.approx(np.sqrt(0.125))
    assert measure_ground(grid).measure == "plane"


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
