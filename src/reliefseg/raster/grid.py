"""Where pixels lie: windows (pixels of a scene) and grids (pixels on the ground)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from affine import Affine
from rasterio._err import CPLE_BaseError, CPLE_NotSupportedError
from rasterio.crs import CRS
from rasterio.warp import transform as transform_points
from rasterio.windows import Window as RasterioWindow

from reliefseg.raster.ellipsoid import ground_gsd, gsd_in_degrees, plane_gsd, sides_of_pixels

GSDS = (0.01, 2.0)
"""Metres a pixel that the depth network takes. It has learnt from up to 1.6 m; at 2 m a house is five pixels, and
windows, 26 px wide there, become too many to look at. What lies outside is most often a slip of units."""
STRETCH = 1.2
"""Pixels whose sides differ by more than this factor on the ground are worth a warning."""


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels of a scene; it may reach over the scene's edge until it is clipped."""

    row: int
    col: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.row, self.row + self.height), slice(self.col, self.col + self.width)

    def expanded(self, margin: int) -> Window:
        """The window with `margin` pixels more on each side."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def clipped(self, height: int, width: int) -> Window:
        """The part of the window inside a scene of this size (empty: height or width 0)."""
        row, col = min(max(self.row, 0), height), min(max(self.col, 0), width)
        bottom = min(max(self.row + self.height, row), height)
        right = min(max(self.col + self.width, col), width)
        return Window(row, col, bottom - row, right - col)

    def shared(self, other: Window) -> Window:
        """The pixels of both windows (none: height or width 0)."""
        top, left = max(self.row, other.row), max(self.col, other.col)
        bottom = min(self.row + self.height, other.row + other.height)
        right = min(self.col + self.width, other.col + other.width)
        return Window(top, left, max(0, bottom - top), max(0, right - left))

    def blocks(self, side: int) -> list[Window]:
        """The window cut into ones of at most `side` pixels a side, row by row."""
        rows = range(self.row, self.row + self.height, side)
        cols = range(self.col, self.col + self.width, side)
        return [self.shared(Window(row, col, side, side)) for row in rows for col in cols]

    def shifted(self, rows: int, cols: int) -> Window:
        """The same window seen from an origin `rows` and `cols` further up and left."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def to_rasterio(self) -> RasterioWindow:
        """The same in rasterio's words, which puts columns first."""
        return RasterioWindow(self.col, self.row, self.width, self.height)


_IDENTITY = Affine.identity()


@dataclass(frozen=True)
class Grid:
    """The pixels of a scene and where they lie: two grids are equal when every pixel coincides.

    `transform` maps (col, row) to (x, y) on the ground; `crs` is None without georeferencing.
    `gsd` is metres a pixel, None where unknown; a file's own georeferencing wins over the data set's `gsd`.
    """

    height: int
    width: int
    transform: Affine = _IDENTITY
    crs: CRS | None = None
    stated_gsd: float | None = None

    @property
    def window(self) -> Window:
        """All pixels."""
        return Window(0, 0, self.height, self.width)

    @property
    def is_georeferenced(self) -> bool:
        """Whether the file says where it lies."""
        return self.crs is not None

    @property
    def gsd(self) -> float | None:
        """Ground sampling distance in metres a pixel (geometric mean of both axes, at the middle); None where unknown.

        On the ground, not on the map, where the map stretches (Web Mercator) or is in degrees.
        """
        if self.crs is not None and self.crs.is_projected:
            return ground_gsd(self.transform, self.crs, self.height / 2, self.width / 2)
        if self.crs is not None and self.crs.is_geographic:
            return gsd_in_degrees(self.transform, self.crs, self.height / 2, self.width / 2) or self.stated_gsd
        return self.stated_gsd

    @property
    def plane_gsd(self) -> float | None:
        """The same on the plane of the map; of a map in degrees the stated one."""
        if self.crs is not None and self.crs.is_projected:
            return plane_gsd(self.transform, self.crs)
        return self.stated_gsd

    @property
    def pixel_sides(self) -> tuple[float, float] | None:
        """Metres on the ground along a row and along a column of a pixel, at the middle; None where unknown."""
        if self.crs is None or not (self.crs.is_projected or self.crs.is_geographic):
            return None
        return sides_of_pixels(self.transform, self.crs, self.height / 2, self.width / 2)

    @property
    def stretch(self) -> float | None:
        """How many times longer the longer side of a pixel is on the ground than the shorter, at the middle.

        1: square; None where the sides are unknown.
        """
        sides = self.pixel_sides
        return None if sides is None else max(sides) / min(sides)

    def at(self, window: Window) -> Grid:
        """The grid of a window of this grid."""
        transform = self.transform @ Affine.translation(window.col, window.row)
        return Grid(window.height, window.width, transform, self.crs, self.stated_gsd)


def horizontal(crs: CRS) -> CRS:
    """The part of a CRS that says where on the map: that of surface models often says what heights are above, too."""
    text = crs.to_wkt()
    if not text.startswith(("COMPD_CS[", "COMPOUNDCRS[")):
        return crs
    bare = re.sub(r'"[^"]*"', lambda name: "_" * len(name[0]), text)  # names may hold commas and brackets
    start = end = bare.index(",") + 1
    while bare.count("[", start, end) == 0 or bare.count("[", start, end) > bare.count("]", start, end):
        end = bare.index("]", end) + 1
    return CRS.from_wkt(text[start:end])


def converts(source: CRS | None, target: CRS | None) -> bool:
    """Whether places in one CRS can be told in another; a site's own and another planet's cannot. None is any CRS."""
    if source is None or target is None or source == target:
        return True
    try:
        transform_points(source, target, [0], [0])
    except CPLE_NotSupportedError:
        return False
    except CPLE_BaseError:  # there is a way, but not for this point
        return True
    return True


def is_local(crs: CRS) -> bool:
    """Whether a CRS is a site's own: it says nothing of where on earth the site is."""
    return crs.to_wkt().startswith(("LOCAL_CS[", "ENGCRS[", "ENGINEERINGCRS["))


def coincide(one: Grid, other: Grid) -> bool:
    """Whether every pixel of two grids lies in the same place, to a hundredth of a pixel.

    A grid without georeferencing (a PNG of labels for a GeoTIFF) says nothing about the ground: only sizes
    count then.
    """
    if (one.height, one.width) != (other.height, other.width):
        return False
    if one.transform.is_identity or other.transform.is_identity:
        return True
    known = one.crs is not None and other.crs is not None
    if known and one.crs != other.crs and horizontal(one.crs) != horizontal(other.crs):
        return False
    to_other = ~other.transform @ one.transform
    corners = [(0, 0), (one.width, 0), (0, one.height), (one.width, one.height)]
    return all(abs(a - b) < 0.01 for c in corners for a, b in zip(to_other @ c, c, strict=True))
