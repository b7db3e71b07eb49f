"""The things that stand in a town, as a plan knows them: no pixels yet."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from reliefseg.generate.spectra import Material, Spectrum
from reliefseg.generate.streets import Pose


class Roof(Enum):
    """Shapes of roofs."""

    FLAT = "flat"
    GABLE = "gable"
    HIP = "hip"


class Surface(NamedTuple):
    """A rectangle of another surface: a drive, a terrace, a bed, a hedge, a pool, a container. Metres."""

    pose: Pose
    length: float
    width: float
    material: Material
    spectrum: Spectrum
    height: float = 0.0


class Building(NamedTuple):
    """A rectangular house. Metres; `pitch` is metres up per metre in, the ridge runs along the long axis of `pose`.

    `chimney` says where on the ridge one stands, −0.5 … 0.5 of the length; None: there is none.
    """

    pose: Pose
    length: float
    width: float
    eave: float
    roof: Roof
    pitch: float
    spectrum: Spectrum
    chimney: float | None = None


class Car(NamedTuple):
    """A car, its bonnet ahead along the pose's long axis. Metres."""

    pose: Pose
    length: float
    width: float
    spectrum: Spectrum


class Tree(NamedTuple):
    """A tree by its trunk, its crown's radius and its height, metres.

    `lobes` (phase, swing) make its outline uneven; conifers are cones.
    """

    down: float
    right: float
    radius: float
    height: float
    conifer: bool
    lobes: tuple[float, float]
    spectrum: Spectrum


class TownPlan(NamedTuple):
    """Everything that stands in a town, in the order it is drawn: later things cover earlier ones."""

    surfaces: list[Surface]
    cars: list[Car]
    buildings: list[Building]
    trees: list[Tree]
