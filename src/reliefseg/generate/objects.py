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


class Habit(Enum):
    """How trees grow."""

    ROUND = "round"
    DENSE = "dense"
    AIRY = "airy"
    SPREADING = "spreading"
    COLUMN = "column"
    CONE = "cone"
    PALM = "palm"
    SHRUB = "shrub"


class Surface(NamedTuple):
    """A rectangle of another surface: a drive, a terrace, a bed, a hedge, a pool, a container. Metres.

    `rows` is the distance of the plough's or mower's rows along it, 0 where there are none.
    """

    pose: Pose
    length: float
    width: float
    material: Material
    spectrum: Spectrum
    height: float = 0.0
    rows: float = 0.0


class Yard(NamedTuple):
    """The ground of a parcel or of a part of it, in street coordinates (metres): it bends as its street does."""

    p0: float
    p1: float
    q0: float
    q1: float
    material: Material
    spectrum: Spectrum


class Blob(NamedTuple):
    """A roundish patch of ground or water, metres; `lobes` (phase, swing) make its outline uneven."""

    pose: Pose
    length: float
    width: float
    lobes: tuple[float, float]
    material: Material
    spectrum: Spectrum


class Patch(NamedTuple):
    """Something on a roof, in the building's frame: solar panels, a skylight, an air conditioner. Metres above it."""

    along: float
    across: float
    length: float
    width: float
    spectrum: Spectrum
    rise: float = 0.0


class Building(NamedTuple):
    """A rectangular house or a wing of one. Metres; `pitch` is metres up per metre in.

    The ridge runs along the long axis of `pose`. It stands level on the ground at `foot`, by default its own middle;
    where wings overlap, the higher roof is seen. `rows` is the distance of tile rows or metal seams, 0 for none.
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
    foot: Pose | None = None
    rows: float = 0.0
    patches: tuple[Patch, ...] = ()


class Car(NamedTuple):
    """A car, its bonnet ahead along the pose's long axis. Metres."""

    pose: Pose
    length: float
    width: float
    spectrum: Spectrum


class Tree(NamedTuple):
    """A tree by its trunk, its crown's radius and its height, metres.

    `lobes` (phase, swing) make its outline uneven. A `bare` one has twigs of its `spectrum` and no leaves.
    """

    down: float
    right: float
    radius: float
    height: float
    habit: Habit
    lobes: tuple[float, float]
    spectrum: Spectrum
    bare: bool = False


class TownPlan(NamedTuple):
    """Everything that stands in a town, in the order it is drawn: later things cover earlier ones."""

    yards: list[Yard]
    blobs: list[Blob]
    surfaces: list[Surface]
    cars: list[Car]
    buildings: list[Building]
    trees: list[Tree]
