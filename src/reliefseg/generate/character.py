"""What makes one scene unlike the next: the kind of town, light, season, colours."""

from __future__ import annotations

from math import cos, pi, radians, sin, tan
from typing import NamedTuple

import numpy as np

from reliefseg.generate.looks import LOOKS, Look
from reliefseg.generate.spectra import (
    ASPHALT_NEW,
    ASPHALT_OLD,
    BRICK_PAVING,
    CONCRETE,
    FACADES,
    FLAT_ROOFS,
    GRASS_DRY,
    GRASS_FRESH,
    LEAVES,
    LEAVES_AUTUMN,
    LEAVES_DUSTY,
    SAND,
    SAND_GREY,
    TILE_ROOFS,
    WATERS,
    Material,
    Spectrum,
)

LEAFLESS_SHARE = 0.4
"""Share of the scenes not on sand that are flown before the leaves come, as surveys of ground and houses are."""


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


class Lean(NamedTuple):
    """How far what stands up is moved aside by a view not quite from above: metres down and right per metre up."""

    down: float
    right: float


class Camera(NamedTuple):
    """What air and camera do to the light: see `sensor.expose`.

    `metering` says how far the exposure follows the scene's own brightness: 0 not at all, 1 wholly.
    """

    haze: float
    exposure: float
    metering: float
    contrast: float
    saturation: float
    balance: tuple[float, ...]
    blur: float
    sharpening: float
    noise: float


class Character(NamedTuple):
    """One scene's own ways; shares are 0 … 1.

    `yard` is what covers gardens, `meadow` what covers parks; `bare`: flown before the leaves come.
    """

    name: str
    look: Look
    sun: Sun
    lean: Lean
    ambient: float
    camera: Camera
    tree_cover: float
    parked: float
    relief_m: float
    flat_share: float
    asphalt: Spectrum
    pavement: Spectrum
    paving: Spectrum
    yard: tuple[Material, Spectrum]
    lawn: Spectrum
    meadow: Spectrum
    sand: Spectrum
    water: Spectrum
    leaves: Spectrum
    bare: bool
    facade: Spectrum
    conifers: float
    tile_roofs: tuple[float, ...]
    flat_roofs: tuple[float, ...]


def draw_character(rng: np.random.Generator) -> Character:
    """Draws one scene's ways; the sun of a survey flight or a satellite, 25° … 65° high, from ESE to WSW."""
    weights = np.array([look.weight for look in LOOKS.values()])
    name = list(LOOKS)[int(rng.choice(len(LOOKS), p=weights / weights.sum()))]
    look = LOOKS[name]
    arid = bool(rng.random() < look.arid)
    dryness, autumn = rng.beta(1.2, 2.5), rng.beta(0.7, 3.5)
    lawn = GRASS_FRESH.towards(GRASS_DRY, dryness).varied(rng, 0.10, 0.05)
    sand = SAND.towards(SAND_GREY, rng.uniform(0, 1)).varied(rng, 0.12, 0.03)
    leaves = LEAVES.towards(LEAVES_DUSTY, 0.8) if arid else LEAVES.towards(LEAVES_AUTUMN, autumn)
    return Character(
        name=name,
        look=look,
        sun=Sun(rng.uniform(105, 255), rng.uniform(25, 65)),
        lean=draw_lean(rng),
        ambient=rng.uniform(0.7, 1.6),
        camera=draw_camera(rng),
        tree_cover=rng.uniform(*look.tree_cover),
        parked=rng.uniform(0.1, 0.55),
        relief_m=rng.exponential(1.2),
        flat_share=1.0 if arid else rng.beta(0.5, 1.2),
        asphalt=ASPHALT_NEW.towards(ASPHALT_OLD, rng.uniform(0, 1.15)).varied(rng, 0.05, 0.02),
        pavement=CONCRETE.towards(sand if arid else ASPHALT_OLD, rng.uniform(0, 1)).varied(rng, 0.10, 0.03),
        paving=CONCRETE.towards(BRICK_PAVING, rng.uniform(0, 1)).varied(rng, 0.12, 0.03),
        yard=(Material.SAND, sand) if arid else (Material.LAWN, lawn),
        lawn=lawn,
        meadow=lawn.towards(GRASS_DRY, rng.uniform(0.1, 0.7)).varied(rng, 0.06, 0.04),
        sand=sand,
        water=WATERS[rng.integers(len(WATERS))].varied(rng, 0.2, 0.1),
        leaves=leaves.varied(rng, 0.15, 0.06),
        facade=FACADES[rng.integers(len(FACADES))].varied(rng, 0.15, 0.05),
        conifers=rng.beta(1, 4),
        tile_roofs=tuple(rng.dirichlet(np.full(len(TILE_ROOFS), 0.5)).tolist()),
        flat_roofs=tuple(rng.dirichlet(np.full(len(FLAT_ROOFS), 0.7)).tolist()),
        bare=not arid and bool(rng.random() < LEAFLESS_SHARE),
    )


def draw_lean(rng: np.random.Generator) -> Lean:
    """A true orthophoto in half of the scenes, else a view up to 14° off the vertical."""
    aside = rng.uniform(0.02, 0.25) * (rng.random() < 0.5)
    towards = rng.uniform(0, 2 * pi)
    return Lean(aside * sin(towards), aside * cos(towards))


def draw_camera(rng: np.random.Generator) -> Camera:
    """From hazy and pale to hard and colourful, from soft to sharpened."""
    return Camera(
        haze=rng.exponential(0.02),
        exposure=rng.uniform(0.75, 1.45),
        metering=rng.uniform(0.3, 0.9),
        contrast=rng.uniform(0.7, 1.25),
        saturation=rng.uniform(0.6, 1.4),
        balance=tuple(np.exp(rng.normal(0, 0.04, 4)).tolist()),
        blur=rng.uniform(0.55, 1.1),
        sharpening=max(0.0, rng.uniform(-0.8, 0.9)),
        noise=rng.uniform(0.5, 3.0),
    )
