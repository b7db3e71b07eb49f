"""What surfaces are made of: their class, their reflectance in each band, their texture."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from reliefseg.raster import IGNORE_INDEX, ClassSpec, ClassTable

BANDS = ("nir", "red", "green", "blue")
"""All bands that can be generated, in the order of a `Spectrum`."""

CLASSES = ClassTable(
    classes=(
        ClassSpec("impervious_surface", (255, 255, 255)),
        ClassSpec("building", (0, 0, 255)),
        ClassSpec("low_vegetation", (0, 255, 255)),
        ClassSpec("tree", (0, 255, 0)),
        ClassSpec("car", (255, 255, 0)),
    ),
    ignore_colors=((255, 0, 0),),
)
"""Classes and colours of the ISPRS benchmark. Source: Rottensteiner et al., ISPRS Annals I-3 (2012)."""


class Spectrum(NamedTuple):
    """Share of the light that a surface throws back, per band, 0 … 1."""

    nir: float
    red: float
    green: float
    blue: float

    def towards(self, other: Spectrum, share: float) -> Spectrum:
        """A mixture with `share` of the other."""
        return Spectrum(*(a + (b - a) * share for a, b in zip(self, other, strict=True)))

    def varied(self, rng: np.random.Generator, brightness: float, hue: float) -> Spectrum:
        """The same surface lighter or darker (all bands alike) and of another hue (each band); relative deviations."""
        common = 1 + brightness * rng.standard_normal()
        factors = np.clip(common * (1 + hue * rng.standard_normal(4)), 0.4, 1.8)
        return Spectrum(*(float(min(0.95, value * factor)) for value, factor in zip(self, factors, strict=True)))


class Material(IntEnum):
    """What a pixel shows."""

    ASPHALT = 0
    PAVEMENT = 1
    PAVING = 2
    MARKING = 3
    LAWN = 4
    MEADOW = 5
    SOIL = 6
    HEDGE = 7
    ROOF = 8
    CROWN = 9
    CAR = 10
    CLUTTER = 11
    SAND = 12
    WATER = 13
    WALL = 14
    FIELD = 15
    GRAVEL = 16
    TWIGS = 17


class Nature(NamedTuple):
    """A material's class (255: clutter, ignored) and its texture: relative deviations, fine, medium and broad."""

    label: int
    fine: float
    medium: float
    broad: float


NATURES = {
    Material.ASPHALT: Nature(0, 0.05, 0.03, 0.09),
    Material.PAVEMENT: Nature(0, 0.06, 0.06, 0.05),
    Material.PAVING: Nature(0, 0.08, 0.08, 0.07),
    Material.MARKING: Nature(0, 0.05, 0.10, 0.05),
    Material.LAWN: Nature(2, 0.08, 0.09, 0.12),
    Material.MEADOW: Nature(2, 0.11, 0.10, 0.18),
    Material.SOIL: Nature(2, 0.10, 0.14, 0.10),
    Material.HEDGE: Nature(2, 0.16, 0.18, 0.05),
    Material.ROOF: Nature(1, 0.04, 0.04, 0.05),
    Material.CROWN: Nature(3, 0.12, 0.10, 0.04),
    Material.CAR: Nature(4, 0.02, 0.02, 0.00),
    Material.CLUTTER: Nature(IGNORE_INDEX, 0.04, 0.04, 0.03),
    Material.SAND: Nature(2, 0.05, 0.05, 0.12),
    Material.WATER: Nature(IGNORE_INDEX, 0.05, 0.05, 0.08),
    Material.WALL: Nature(IGNORE_INDEX, 0.05, 0.05, 0.05),
    Material.FIELD: Nature(2, 0.08, 0.05, 0.06),
    Material.GRAVEL: Nature(0, 0.12, 0.06, 0.08),
    Material.TWIGS: Nature(3, 0.14, 0.08, 0.03),
}
LABELS = np.array([NATURES[material].label for material in Material], np.uint8)
TEXTURES = np.array([NATURES[material][1:] for material in Material], np.float32)

ASPHALT_NEW = Spectrum(0.11, 0.10, 0.10, 0.105)
ASPHALT_OLD = Spectrum(0.27, 0.255, 0.245, 0.23)
CONCRETE = Spectrum(0.36, 0.33, 0.315, 0.29)
BRICK_PAVING = Spectrum(0.33, 0.27, 0.20, 0.17)
GRAVEL = Spectrum(0.40, 0.37, 0.335, 0.29)
SLATE_PAVING = Spectrum(0.15, 0.14, 0.135, 0.135)
DECKING = Spectrum(0.36, 0.26, 0.19, 0.13)
PAINT = Spectrum(0.60, 0.60, 0.60, 0.58)
GRASS_FRESH = Spectrum(0.50, 0.075, 0.125, 0.055)
GRASS_DRY = Spectrum(0.38, 0.21, 0.19, 0.12)
SOIL = Spectrum(0.30, 0.20, 0.155, 0.11)
SAND = Spectrum(0.52, 0.47, 0.40, 0.32)
SAND_GREY = Spectrum(0.46, 0.44, 0.42, 0.39)
CROPS = (
    Spectrum(0.50, 0.07, 0.12, 0.05),
    Spectrum(0.40, 0.28, 0.23, 0.14),
    Spectrum(0.46, 0.30, 0.23, 0.07),
    Spectrum(0.28, 0.19, 0.14, 0.10),
    Spectrum(0.40, 0.12, 0.14, 0.07),
)
CROP_SHARES = (0.25, 0.28, 0.07, 0.22, 0.18)
"""Young corn, ripe corn, rape in flower, ploughed soil, beet; how often each."""
SPRING_CROP_SHARES = (0.45, 0.0, 0.0, 0.5, 0.05)
"""The same before the leaves come: winter corn, ploughed soil, cover crops."""
LEAVES = Spectrum(0.47, 0.055, 0.105, 0.042)
LEAVES_AUTUMN = Spectrum(0.42, 0.17, 0.105, 0.04)
LEAVES_DUSTY = Spectrum(0.36, 0.12, 0.13, 0.08)
LEAVES_RED = Spectrum(0.40, 0.10, 0.055, 0.05)
TWIGS = Spectrum(0.21, 0.125, 0.105, 0.088)
NEEDLES = Spectrum(0.28, 0.035, 0.055, 0.035)
COURTS = (
    Spectrum(0.36, 0.27, 0.15, 0.10),
    Spectrum(0.22, 0.10, 0.17, 0.10),
    Spectrum(0.20, 0.12, 0.19, 0.27),
    Spectrum(0.25, 0.23, 0.22, 0.21),
)
"""Sports courts: clay, green, blue, tar."""
POOL = Spectrum(0.03, 0.08, 0.22, 0.28)
WATERS = (
    Spectrum(0.010, 0.022, 0.032, 0.030),
    Spectrum(0.015, 0.040, 0.070, 0.045),
    Spectrum(0.020, 0.085, 0.085, 0.050),
    Spectrum(0.015, 0.030, 0.060, 0.085),
)
"""Deep, green, muddy, blue."""
SHEET_STEEL = Spectrum(0.25, 0.18, 0.22, 0.26)
GLASS = Spectrum(0.06, 0.06, 0.065, 0.075)
SOLAR = Spectrum(0.05, 0.045, 0.06, 0.095)
FACADES = (
    Spectrum(0.48, 0.46, 0.42, 0.36),
    Spectrum(0.36, 0.30, 0.24, 0.19),
    Spectrum(0.26, 0.25, 0.245, 0.24),
    Spectrum(0.30, 0.20, 0.145, 0.12),
)
"""Render, sandstone, concrete, brick."""

TILE_ROOFS = (
    Spectrum(0.37, 0.27, 0.135, 0.095),
    Spectrum(0.33, 0.21, 0.115, 0.085),
    Spectrum(0.24, 0.15, 0.105, 0.085),
    Spectrum(0.17, 0.115, 0.105, 0.105),
    Spectrum(0.105, 0.095, 0.095, 0.10),
    Spectrum(0.28, 0.26, 0.235, 0.215),
    Spectrum(0.40, 0.33, 0.22, 0.15),
)
"""Clay red, old red, brown, grey-brown, slate, concrete grey, southern ochre."""
FLAT_ROOFS = (
    Spectrum(0.27, 0.255, 0.24, 0.225),
    Spectrum(0.13, 0.12, 0.118, 0.115),
    Spectrum(0.42, 0.41, 0.40, 0.385),
    Spectrum(0.62, 0.62, 0.61, 0.59),
    Spectrum(0.30, 0.14, 0.13, 0.08),
    Spectrum(0.48, 0.42, 0.34, 0.26),
    Spectrum(0.30, 0.20, 0.16, 0.14),
)
"""Gravel, bitumen, concrete, white membrane, stonecrop, sand-coloured render, red-brown felt."""
METAL_ROOFS = (
    Spectrum(0.42, 0.42, 0.43, 0.43),
    Spectrum(0.20, 0.20, 0.205, 0.215),
    Spectrum(0.24, 0.15, 0.22, 0.34),
    Spectrum(0.30, 0.26, 0.11, 0.09),
    Spectrum(0.26, 0.16, 0.25, 0.19),
    Spectrum(0.60, 0.60, 0.60, 0.60),
)
"""Bare, dark grey, blue, red, green copper, white."""
CAR_PAINTS = (
    Spectrum(0.58, 0.58, 0.57, 0.56),
    Spectrum(0.31, 0.31, 0.31, 0.32),
    Spectrum(0.17, 0.17, 0.17, 0.18),
    Spectrum(0.06, 0.05, 0.05, 0.055),
    Spectrum(0.36, 0.34, 0.07, 0.06),
    Spectrum(0.20, 0.07, 0.11, 0.30),
    Spectrum(0.24, 0.10, 0.16, 0.10),
)
CAR_PAINT_SHARES = (0.18, 0.22, 0.22, 0.24, 0.05, 0.06, 0.03)
