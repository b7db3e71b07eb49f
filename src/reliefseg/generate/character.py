"""What makes one scene unlike the next: light, season, colours, how densely people live there."""

from __future__ import annotations

from math import cos, radians, sin, tan
from typing import NamedTuple

import numpy as np

from reliefseg.generate.spectra import (
    ASPHALT_NEW,
    ASPHALT_OLD,
    BRICK_PAVING,
    CONCRETE,
    FLAT_ROOFS,
    GRASS_DRY,
    GRASS_FRESH,
    LEAVES,
    LEAVES_AUTUMN,
    TILE_ROOFS,
    Spectrum,
)


class Sun(NamedTuple):
    """Where the sun stands: azimuth clockwise from north and elevation above the horizon, degrees."""

    azimuth: float
    elevation: float

    @property
    def down(self) -> float:
        """Horizontal part of the direction towards the sun along rows (south is positive), of length 1 with `right`."""
        return -cos(radians(self.azimuth))

    @property
    def right(self) -> float:
        """Horizontal part of the direction towards the sun along columns (east is positive)."""
        return sin(radians(self.azimuth))

    @property
    def rise(self) -> float:
        """Metres a ray climbs for each metre on the ground."""
        return tan(radians(self.elevation))


class Character(NamedTuple):
    """One scene's own ways; shares are 0 … 1."""

    sun: Sun
    ambient: float
    haze: float
    exposure: float
    contrast: float
    balance: tuple[float, ...]
    blur: float
    noise: float
    density: float
    tree_cover: float
    parked: float
    relief_m: float
    asphalt: Spectrum
    pavement: Spectrum
    paving: Spectrum
    lawn: Spectrum
    meadow: Spectrum
    leaves: Spectrum
    conifers: float
    tile_roofs: tuple[float, ...]
    flat_roofs: tuple[float, ...]


def draw_character(rng: np.random.Generator) -> Character:
    """Draws one scene's ways; sun of a European survey flight, 33° … 62° high, from ESE to WSW."""
    dryness, autumn = rng.beta(1.2, 2.5), rng.beta(0.7, 3.5)
    age = rng.uniform(0.1, 1.0)
    lawn = GRASS_FRESH.towards(GRASS_DRY, dryness).varied(rng, 0.10, 0.06)
    return Character(
        sun=Sun(rng.uniform(110, 250), rng.uniform(33, 62)),
        ambient=rng.uniform(0.75, 1.3),
        haze=rng.uniform(0.0, 0.035),
        exposure=rng.uniform(0.75, 1.25),
        contrast=rng.uniform(0.85, 1.12),
        balance=tuple(np.exp(rng.normal(0, 0.06, 4)).tolist()),
        blur=rng.uniform(0.45, 0.85),
        noise=rng.uniform(1.0, 3.0),
        density=rng.uniform(0, 1),
        tree_cover=rng.uniform(0.6, 1.9),
        parked=rng.uniform(0.12, 0.5),
        relief_m=rng.exponential(1.2),
        asphalt=ASPHALT_NEW.towards(ASPHALT_OLD, age).varied(rng, 0.05, 0.02),
        pavement=CONCRETE.towards(ASPHALT_OLD, rng.uniform(0, 0.8)).varied(rng, 0.08, 0.03),
        paving=CONCRETE.towards(BRICK_PAVING, rng.uniform(0, 1)).varied(rng, 0.10, 0.03),
        lawn=lawn,
        meadow=lawn.towards(GRASS_DRY, rng.uniform(0.1, 0.6)).varied(rng, 0.06, 0.04),
        leaves=LEAVES.towards(LEAVES_AUTUMN, autumn).varied(rng, 0.12, 0.06),
        conifers=rng.beta(1, 4),
        tile_roofs=tuple(rng.dirichlet(np.full(len(TILE_ROOFS), 0.8)).tolist()),
        flat_roofs=tuple(rng.dirichlet(np.full(len(FLAT_ROOFS), 1.0)).tolist()),
    )
