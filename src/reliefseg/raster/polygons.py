"""Labels drawn as polygons (GeoPackage, GeoJSON, shapefile), burnt onto a scene's grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyogrio.errors
import shapely
import shapely.errors
from jaxtyping import UInt8
from rasterio.crs import CRS
from rasterio.errors import CRSError
from rasterio.features import rasterize
from rasterio.warp import transform as transform_points

from reliefseg.errors import InputError
from reliefseg.raster.classes import IGNORE_INDEX, ClassTable
from reliefseg.raster.grid import Grid, Window, converts, is_local
from reliefseg.raster.labels import Reading

POLYGON_SUFFIXES = (".gpkg", ".geojson", ".json", ".shp")
BENT = 0.1
"""By so many pixels at most a polygon's edge may miss where its straight line lies in another CRS."""
Box = tuple[float, float, float, float]
"""Least x, least y, greatest x, greatest y."""


def is_polygons(path: Path) -> bool:
    """Whether a label file holds polygons, by its suffix."""
    return path.suffix.lower() in POLYGON_SUFFIXES


def polygon_fault(path: Path, grid: Grid, class_column: str | None) -> str | None:
    """What keeps a file from being polygon labels of a scene on this grid; None where nothing does."""
    if class_column is None:
        return 'holds polygons; say which column names the class: [files] class_column = "…"'
    info = layer_info(path, class_column)
    if class_column not in info["fields"] and not _is_bare(info):
        return f"has no column {class_column!r}; there are {', '.join(info['fields']) or 'none'}"
    if grid.crs is not None and info["crs"] is None and not is_local(grid.crs):
        return f"has no CRS, but the image has ({grid.crs.to_string()}); assign one (.prj or ogr2ogr -a_srs)"
    crs = _crs(info["crs"])
    if grid.crs is None and crs is not None and crs.is_projected:
        return f"lies in {crs.to_string()}, but the image is not georeferenced; georeference the image"
    if crs is not None and grid.crs is not None and not converts(crs, grid.crs):
        return (
            f"lies in {crs.to_string()}, which cannot be converted into the image's CRS ({grid.crs.to_string()}); "
            "assign both the CRS they are in (gdal_edit -a_srs, ogr2ogr -a_srs)"
        )
    return None


def burn_polygons(
    path: Path, grid: Grid, window: Window, classes: ClassTable, class_column: str, unlabelled_is: str | None
) -> Reading:
    """The class indexes of a window, from the polygons that cover its pixels' centres.

    The column holds class names or, where the classes have them, ids. Later polygons lie above earlier
    ones. What none covers is ignored, or of the class `unlabelled_is`. Polygons are brought into the scene's
    CRS; for an image without georeferencing their x, y are columns and rows (rows may be negative, as QGIS
    draws them). `unknown` counts the polygons, not pixels, whose value names no class. Invalid polygons are
    mended.
    """
    shapes, values = _read(path, grid, window, class_column)
    background = IGNORE_INDEX if unlabelled_is is None else classes.names.index(unlabelled_is)
    known = _known(classes)
    burn = [(shape, known[v]) for shape, v in zip(shapes, values, strict=True) if v in known]
    return Reading(_rasterize(burn, grid.at(window), background), _unknown(values, classes))


def unknown_values(path: Path, grid: Grid, classes: ClassTable, class_column: str) -> Counter[str]:
    """The `unknown` of `burn_polygons` for all of a grid, without burning them."""
    return _unknown(_read(path, grid, grid.window, class_column)[1], classes)


def _unknown(values: list[str], classes: ClassTable) -> Counter[str]:
    known = _known(classes)
    return Counter(v for v in values if v not in known)


def _rasterize(burn: list[tuple[Any, int]], grid: Grid, background: int) -> UInt8[np.ndarray, "height width"]:
    canvas = np.full((grid.height, grid.width), background, np.uint8)
    if burn and canvas.size:
        rasterize(burn, out=canvas, transform=grid.transform)
    return canvas


def _known(classes: ClassTable) -> dict[str, int]:
    """Every way to write a class in a column: its name, or its id; ignored ids too."""
    by_id = {str(i): n for n, i in enumerate(classes.ids or ())}
    return {str(i): IGNORE_INDEX for i in classes.ignore_ids} | by_id | {n: i for i, n in enumerate(classes.names)}


def _read(path: Path, grid: Grid, window: Window, column: str) -> tuple[list[Any], list[str]]:
    """Polygons that may touch the window, in coordinates of the scene's grid, and their column as text."""
    info = layer_info(path, column)
    if _is_bare(info):
        return [], []
    bounds = None if grid.crs is None else _bounds_in(grid.at(window), _crs(info["crs"]))
    shapes, values = _read_near(path, info["layer_name"], column, bounds)
    if grid.crs is not None:
        shapes = _to_crs(shapes, _crs(info["crs"]), grid)
    elif _is_in_pixels(grid) and len(shapes) and shapely.total_bounds(shapes)[[1, 3]].sum() < 0:
        shapes = shapely.transform(shapes, lambda xy: xy * [1, -1])
    shapes, kept = _polygons_of(shapes)
    return list(shapes), [column_text(values[i]) for i in kept]


def _read_near(path: Path, layer: str, column: str, bounds: Box | None) -> tuple[Any, Any]:
    """Mended shapes near a box (all for None), in the file's coordinates and order, and their column."""
    asked = None if path.suffix.lower() in (".geojson", ".json") else bounds  # GDAL fails at their unclosed rings
    with reading_polygons(path):
        _, ids, wkb, fields = pyogrio.raw.read(path, layer=layer, columns=[column], bbox=asked, return_fids=True)
        order = np.argsort(ids, kind="stable")  # a spatial index gives them in an order of its own
        shapes, values = _decoded(path, wkb[order], ids[order]), fields[0][order]
        if bounds is not None:
            left, bottom, right, top = shapely.bounds(shapes).T
            near = (left <= bounds[2]) & (right >= bounds[0]) & (bottom <= bounds[3]) & (top >= bounds[1])
            shapes, values = shapes[near], values[near]
        _refuse_others(path, shapes)
        return shapely.make_valid(shapes), values


def _decoded(path: Path, wkb: Any, ids: Any) -> Any:
    """Shapes in two dimensions, their rings closed; InputError where that leaves no shape, or points nowhere."""
    with np.errstate(invalid="ignore"):
        shapes = shapely.force_2d(shapely.from_wkb(wkb, on_invalid="fix"))
    points, owner = shapely.get_coordinates(shapes, return_index=True)
    hopeless = [given is not None and shape is None for given, shape in zip(wkb, shapes, strict=True)]
    broken = sorted({*ids[hopeless].tolist(), *ids[owner[~np.isfinite(points).all(axis=1)]].tolist()})
    if broken:
        some = ", ".join(map(str, broken[:8])) + (", …" if len(broken) > 8 else "")
        raise InputError(
            f"{path}: shapes that have rings of fewer than three points, or coordinates that are no numbers: "
            f"{len(broken):,} (feature {some}); expected polygons: draw them anew or delete them"
        )
    return shapes


def _is_in_pixels(grid: Grid) -> bool:
    """Whether x, y are columns and rows: no georeferencing, if on a coarser grid of the same scene."""
    t = grid.transform
    return grid.crs is None and (t.b, t.c, t.d, t.f) == (0, 0, 0, 0) and t.a > 0 and t.e > 0


def _refuse_others(path: Path, shapes: Any) -> None:
    """InputError where there is anything else than polygons."""
    kinds = Counter(shape.geom_type for shape in shapes if shape is not None and not shape.is_empty)
    others = {kind: count for kind, count in kinds.items() if kind not in ("Polygon", "MultiPolygon")}
    if others:
        found = ", ".join(f"{count:,} {kind}" for kind, count in sorted(others.items()))
        raise InputError(f"{path}: holds {found} besides polygons; labels are polygons: remove or buffer the others")


def _polygons_of(shapes: Any) -> tuple[Any, Any]:
    """The polygons that mended shapes are made of, and which shapes have any; lines and points of spikes are none."""
    parts, owner = shapely.get_parts(shapes, return_index=True)
    parts, within = shapely.get_parts(parts, return_index=True)
    mine = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)
    kept, place = np.unique(owner[within][mine], return_inverse=True)
    return shapely.multipolygons(parts[mine], indices=place), kept


def column_text(value: Any) -> str:
    """A value of a column as text. Ids that went through a table with gaps come back as 3.0."""
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _is_bare(info: dict[str, Any]) -> bool:
    """Whether a layer has neither polygons nor columns, as an empty GeoJSON: it has columns by its polygons alone."""
    return info["features"] == 0 and len(info["fields"]) == 0


@contextmanager
def reading_polygons(path: Path) -> Iterator[None]:
    """Makes an InputError of what goes wrong inside: a damaged file or shape, text in another encoding than it says."""
    try:
        yield
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, shapely.errors.GEOSException) as error:
        raise InputError(f"{path}: cannot be read ({error}); is it damaged or of another format?") from error
    except UnicodeDecodeError as error:
        how = "save it as UTF-8 or as GeoPackage"
        if path.suffix.lower() == ".shp":
            how = f"state its encoding (ISO-8859-1, say) in {path.with_suffix('.cpg').name}, or save it as GeoPackage"
        raise InputError(
            f"{path}: its text is not in the encoding it claims, {error.encoding.upper()} ({error.reason}); {how}"
        ) from error


def layer_info(path: Path, column: str) -> dict[str, Any]:
    """What the file says about its layer of polygons: of several, the one that has the column, else an InputError."""
    with reading_polygons(path):
        names = [str(name) for name, _ in pyogrio.list_layers(path)]
        infos = [pyogrio.read_info(path, layer=name) for name in names]
    fitting = [info for info in infos if column in info["fields"]]
    if len(fitting) > 1:
        layers = ", ".join(info["layer_name"] for info in fitting)
        raise InputError(
            f"{path}: several layers have the column {column!r} ({layers}); expected one: merge them, or leave one in "
            "the file (ogr2ogr)"
        )
    fitting = fitting or infos
    if len(fitting) != 1:
        raise InputError(
            f"{path}: has the layers {', '.join(names) or 'none'}; expected one with the column {column!r}"
        )
    return fitting[0]


def _crs(text: str | None) -> CRS | None:
    try:
        return None if text is None else CRS.from_user_input(text)
    except CRSError:
        return None


def _bounds_in(grid: Grid, crs: CRS | None) -> Box:
    """The extent of a grid in another CRS, from points along its edge, a little larger than needed."""
    steps = np.linspace(0, 1, 9)
    edge = [(c, r) for t in steps for c, r in ((t, 0), (t, 1), (0, t), (1, t))]
    points = [grid.transform @ (c * grid.width, r * grid.height) for c, r in edge]
    xs, ys = np.array(points).T
    if crs is not None and grid.crs is not None and crs != grid.crs:
        xs, ys = (np.array(v) for v in transform_points(grid.crs, crs, xs, ys))
    reach = 0.02 * max(np.ptp(xs), np.ptp(ys))
    bottom, top = ys.min() - reach, ys.max() + reach
    if crs is not None and crs.is_geographic:
        bottom, top = max(bottom, -90), min(top, 90)
    return xs.min() - reach, bottom, xs.max() + reach, top


def _to_crs(shapes: Any, source: CRS | None, grid: Grid) -> Any:
    """Shapes in the grid's CRS: what lies about the grid, for elsewhere a projection may have no place for it.

    Straight lines stay straight where the shapes were drawn, so their edges are transformed piece by piece. The pieces
    are those of the whole grid: its windows agree with each other.
    """
    if source is None or grid.crs is None or source == grid.crs:
        return shapes
    box = _bounds_in(grid, source)
    over = ~shapely.covered_by(shapes, shapely.box(*box))
    shapes[over] = shapely.intersection(shapes[over], shapely.box(*box))
    shapes = shapely.segmentize(shapes, _piece(box, source, grid))
    return shapely.transform(shapes, lambda xy: np.column_stack(transform_points(source, grid.crs, *xy.T)))


def _piece(box: Box, source: CRS, grid: Grid) -> float:
    """How long a straight line in a box may be so that, in the grid's CRS, it bends by at most `BENT` pixels."""
    left, bottom, right, top = box
    xs, ys = np.meshgrid(np.linspace(left, right, 17), np.linspace(bottom, top, 17))
    x, y = np.reshape(transform_points(source, grid.crs, xs.ravel(), ys.ravel()), (2, 17, 17))
    t = grid.transform
    places = (x + 1j * y) / min(abs(complex(t.a, t.d)), abs(complex(t.b, t.e)))
    lines = [(places[:, :-2:2], places[:, 1::2], places[:, 2::2])]
    lines += [(places[:-2:2], places[1::2], places[2::2])]
    lines += [(places[:-2:2, :-2:2], places[1::2, 1::2], places[2::2, 2::2])]
    bends = np.concatenate([np.abs(middle - (start + end) / 2).ravel() for start, middle, end in lines])
    bend = bends[np.isfinite(bends)].max(initial=0)
    return max(right - left, top - bottom) / 8 / max(1, ceil(sqrt(bend / BENT)))
