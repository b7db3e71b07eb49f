"""How much ground each class covers, and how sure that is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64
from scipy.special import ndtri, stdtrit

from reliefseg.inference.blocks import NODATA, Block
from reliefseg.raster import ClassTable, write_text
from reliefseg.raster.ground_area import GroundArea

COLUMNS = ("class_id", "class", "pixels", "share", "area_m2", "measure", "adjusted_m2", "low_m2", "high_m2", "scenes")
DRAWS = 10_000
SEED = 0
RARE = 0.05
"""A class that more than this share of the draws lack has no interval."""


class AreaTally:
    """Adds up pixels and square metres of each class over blocks; without a measure pixels only."""

    def __init__(self, classes: int, ground: GroundArea | None):
        self.ground = ground
        self.pixels = np.zeros(classes, np.int64)
        self.square_metres = np.zeros(classes)

    def add(self, block: Block) -> None:
        """Counts one more block."""
        valid = block.class_ids != NODATA
        ids, count = block.class_ids[valid], len(self.pixels)
        self.pixels += np.bincount(ids, minlength=count)
        if self.ground is not None:
            areas = self.ground.of_pixels(block.window)[valid]
            self.square_metres += np.bincount(ids, areas, minlength=count)


def area_factors(
    validation: Sequence[Int64[np.ndarray, "classes classes"]],
) -> Float64[np.ndarray, "3 classes"] | None:
    """What to multiply each class's area with, and the ends of a 95 % interval; None for fewer than two scenes.

    The factor is the class's true pixels over those the map gave it, on validation scenes, from one confusion
    matrix (rows true) a scene. Scenes, not pixels, are drawn anew with replacement: pixels of a scene err together.
    Draws of scenes without the class in truth and map are left out; nan where more than `RARE` of them are, and where
    no scene has the class in truth: what the maps miss of it is not known. Infinite where the maps of a draw do not
    have the class and the truth has. The ends are moved away from the factor, on a logarithmic scale, by what Student's
    t of so few scenes is wider than the normal: of two scenes the interval says next to nothing.
    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), percentile interval of a ratio; Hesterberg,
    The American Statistician 69 (2015), expanded percentile interval.
    """
    if len(validation) < 2:
        return None
    matrices = np.stack(validation).astype(np.float64)
    true, shown = matrices.sum(axis=2), matrices.sum(axis=1)
    scenes = len(matrices)
    draws = np.random.default_rng(SEED).multinomial(scenes, np.full(scenes, 1 / scenes), DRAWS)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = (draws @ true) / (draws @ shown)
        factor = true.sum(axis=0) / shown.sum(axis=0)
    unseen = true.sum(axis=0) == 0
    rare = unseen | (np.isnan(drawn).mean(axis=0) > RARE)
    ends = np.nanquantile(np.where(rare, 1, drawn), [0.025, 0.975], axis=0, method="inverted_cdf")
    wider = stdtrit(scenes - 1, 0.975) / ndtri(0.975) * np.sqrt(scenes / (scenes - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = factor * (ends / factor) ** wider
    return np.stack([np.where(unseen, np.nan, factor), *np.where(rare, np.nan, ends)])


def write_areas(
    path: Path, classes: ClassTable, tally: AreaTally, validation: Sequence[Int64[np.ndarray, "classes classes"]]
) -> None:
    """Writes a table with a row a class; what is not known is left empty.

    `share` is of the valid pixels. `adjusted_m2` is the area without the model's bias on the validation scenes,
    `low_m2` … `high_m2` its 95 % interval, `scenes` how many there were: see `area_factors`. `measure`: plane or
    ellipsoid.
    """
    total = max(1, tally.pixels.sum())
    factors = None if tally.ground is None else area_factors(validation)
    measure = "" if tally.ground is None else tally.ground.measure
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    for index, (name, pixels) in enumerate(zip(classes.names, tally.pixels, strict=True)):
        area = np.nan if tally.ground is None else tally.square_metres[index]
        adjusted = [np.nan] * 3 if factors is None else area * factors[:, index]
        known = [_metres(area), measure, *map(_metres, adjusted), "" if factors is None else len(validation)]
        writer.writerow([index, name, pixels, f"{pixels / total:.6f}", *known])
    write_text(path, table.getvalue())


def _metres(value: float) -> str:
    return f"{value:.2f}" if np.isfinite(value) else ""
