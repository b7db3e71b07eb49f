"""Pictures of depth: a scene's photograph beside its hill-shaded depth."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from reliefseg.depth import read_depth, survey_photo
from reliefseg.depth.source import blocks_of
from reliefseg.evaluation.pictures import depth_colours
from reliefseg.raster import Dataset, Scene
from reliefseg.raster.files import whole_file
from reliefseg.workflow.saying import SILENT, Sayer

SIDE = 1024
"""Longest side of either half, pixels; larger scenes are shown by every n-th pixel."""
GAP = 8
"""White pixels between the halves."""


def preview_depth(dataset: Dataset, rasters: Mapping[str, Path], say: Sayer = SILENT) -> dict[str, Path]:
    """A PNG beside each depth raster, of the same name; gives back their paths by scene."""
    paths = {}
    with say.progress("pictures of depth") as tick:
        for done, (name, raster) in enumerate(rasters.items()):
            paths[name] = raster.with_suffix(".png")
            with whole_file(paths[name]) as part:
                Image.fromarray(beside_photograph(dataset.scenes[name], raster)).save(part)
            tick(done + 1, len(rasters))
    return paths


def beside_photograph(scene: Scene, raster: Path) -> UInt8[np.ndarray, "height width 3"]:
    """Photograph and depth side by side, read block by block."""
    every = ceil(max(scene.grid.height, scene.grid.width) / SIDE)
    height, width = (ceil(extent / every) for extent in (scene.grid.height, scene.grid.width))
    photo, survey = np.empty((height, width, 3), np.uint8), survey_photo(scene)
    depth = np.empty((height, width), np.float32)
    for window in blocks_of(scene):
        down, along = -window.row % every, -window.col % every
        place = slice(ceil(window.row / every), None), slice(ceil(window.col / every), None)
        pixels = survey.read(window)[down::every, along::every]
        heights = read_depth(raster, window)[down::every, along::every]
        photo[place][: len(pixels), : pixels.shape[1]] = pixels
        depth[place][: len(heights), : heights.shape[1]] = heights
    return np.hstack([photo, np.full((height, GAP, 3), 255, np.uint8), depth_colours(depth)])
