"""Depth as a band: sources, the mosaic of windows, the cache. 1 = nearest the camera = highest."""

from reliefseg.depth.bands import photo_bands, survey_photo
from reliefseg.depth.cache import read_depth
from reliefseg.depth.making import depth_raster, depth_weights, make_depth, resolve_source
from reliefseg.depth.mosaic import Mosaic, Plan
from reliefseg.depth.settings import DepthSettings

__all__ = [
    "DepthSettings",
    "Mosaic",
    "Plan",
    "depth_raster",
    "depth_weights",
    "make_depth",
    "photo_bands",
    "read_depth",
    "resolve_source",
    "survey_photo",
]
