"""Depth from our own network, which knows metres: windows are blended as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from reliefseg.depth.bands import Photo, survey_photo
from reliefseg.depth.metres import depth_of_metres
from reliefseg.depth.mosaic import Mosaic, Plan
from reliefseg.depth.settings import DepthSettings
from reliefseg.depth.source import WEIGHTS, Block, Maker, Making, Step, blocks_of
from reliefseg.depth.store import PlaneStore
from reliefseg.errors import InputError
from reliefseg.raster import Scene, Window
from reliefseg.raster.files import hash_file
from reliefseg.raster.grid import GSDS

if TYPE_CHECKING:
    from reliefseg.depth.looking import HeightLooker

SHIPPED = Path(__file__).parent / "weights" / "builtin.safetensors"
"""The weights that come with the package; the model card lies beside them."""
SEEN_GSDS = (0.2, 0.375)
"""Where the gsd is known: the network sees the scene at each of these, metres a pixel, and its metres are averaged. The
fine look has the edges, the coarse one tells a wide roof from a square (`docs/depth.md`)."""
ASSUMED_GSDS = (0.15, 0.3, 0.6)
"""Where the gsd is unknown: it may be any of these; what is seen at the working gsd of each is averaged likewise."""
STEPS = 100
"""Progress is told in so many steps a scene, however many windows it has."""


@dataclass(frozen=True)
class BuiltinSource:
    """Metres above ground as our own network sees them, over a fixed range where the gsd is known."""

    settings: DepthSettings
    file: Path
    weights: str
    name: str = field(default="builtin", init=False)

    @property
    def recipe(self) -> Mapping[str, str | float]:
        """Weights by their hash, windows, range, gsds it is seen at, and what an unknown gsd may be."""
        seen, assumed = (" ".join(map(str, gsds)) for gsds in (SEEN_GSDS, ASSUMED_GSDS))
        taken = self.settings.model_dump(include={"overlap", "turns", "range_m"})
        return {**taken, "weights": self.weights, "seen_gsds": seen, "assumed_gsds": assumed}

    @property
    def tags(self) -> Mapping[str, str]:
        """The hash of the weights."""
        return {WEIGHTS: self.weights}

    def files(self, scene: Scene) -> list[Path]:
        """The image alone."""
        return [scene.image]

    def steps(self, scene: Scene) -> int:
        """The same for every scene."""
        return STEPS

    def load(self) -> None:
        """The network; `InputError` where the file holds none."""
        _ = self._looker

    def prepare(self, scene: Scene) -> Maker:
        """Refuses a scene without a valid pixel or of one colour, or whose gsd cannot be meant."""
        _refuse_gsd(scene)
        photo = survey_photo(scene)
        return lambda step, scratch: self._make(photo, step, scratch)

    @cached_property
    def _looker(self) -> HeightLooker:
        from reliefseg.depth.looking import HeightLooker

        return HeightLooker.load(self.file, self.settings.turns)

    def _make(self, photo: Photo, step: Step, scratch: Path) -> Making:
        from reliefseg.depth.heights import WORKING_GSD

        known = photo.scene.grid.gsd
        shrinks = [gsd / known for gsd in SEEN_GSDS] if known else [WORKING_GSD / gsd for gsd in ASSUMED_GSDS]
        range_m = self.settings.range_m if known else self._looker.card.range_m
        told = f"{known:.4g} known" if known else f"{' '.join(f'{gsd:.4g}' for gsd in ASSUMED_GSDS)} assumed"
        tags = {"depth_gsd": told, "depth_range_m": f"{range_m:.4g}"}
        return Making(self._blocks(photo, shrinks, range_m, step, scratch), tags)

    def _blocks(
        self, photo: Photo, shrinks: Sequence[float], range_m: float, step: Step, scratch: Path
    ) -> Iterator[Block]:
        scene = photo.scene
        plans = [self._plan(scene, shrink) for shrink in shrinks]
        blocks = blocks_of(scene)
        tell = _in_steps(step, sum(map(len, plans)) + len(blocks))
        mosaics = [self._mosaic(photo, plan, scratch / f"planes-{i}", tell) for i, plan in enumerate(plans)]
        for window in blocks:
            metres = np.mean([mosaic.read(window) for mosaic in mosaics], axis=0)
            depth = depth_of_metres(metres, range_m)
            yield Block(window, np.where(scene.read_valid(window), depth, np.float32(np.nan)))
            tell()

    def _plan(self, scene: Scene, shrink: float) -> Plan:
        side = self._looker.box(shrink)
        overlap = min(side // 2, ceil(self.settings.overlap * side))
        return Plan(scene.grid.height, scene.grid.width, side, overlap)

    def _mosaic(self, photo: Photo, plan: Plan, file: Path, tell: Callable[[], None]) -> Mosaic:
        planes = PlaneStore(file, self._looker.card.window)
        planes.fill(len(plan), lambda index: self._look(photo, plan[index]), tell)
        return Mosaic.as_they_are(plan, planes)

    def _look(self, photo: Photo, window: Window) -> Float32[np.ndarray, "side side"]:
        seen = self._looker.look(photo, window)
        if not np.isfinite(seen).all():
            raise InputError(
                f"scene {photo.scene.name}: depth network {self.file} gives numbers that are not finite; is it damaged?"
            )
        return seen


def open_builtin(settings: DepthSettings) -> BuiltinSource:
    """The source for these settings, nothing of the network loaded yet; `InputError` where there are no weights."""
    file = SHIPPED if settings.weights is None else Path(settings.weights).expanduser()
    if not file.is_file():
        what = "the package came without its weights" if settings.weights is None else "no such file"
        raise InputError(
            f"depth.weights {file}: {what}; expected a file that reliefseg depth fit wrote; "
            f"make one, or use --set depth.source=none"
        )
    return BuiltinSource(settings, file, hash_file(file))


def _refuse_gsd(scene: Scene) -> None:
    gsd, (finest, coarsest) = scene.grid.gsd, GSDS
    if gsd and not finest <= gsd <= coarsest:
        doubt = ": is it centimetres?" if gsd > coarsest else ""
        raise InputError(
            f"scene {scene.name}: gsd {gsd:g} m{doubt}; the depth network takes {finest:g} to {coarsest:g} m a pixel; "
            "correct it (the file's georeferencing; without one gsd in dataset.toml, or predict --gsd), or train "
            "without depth: --set depth.source=none"
        )


def _in_steps(step: Step, work: int) -> Callable[[], None]:
    """Counts pieces of work and calls `step` `STEPS` times over all of them."""
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        for _ in range(done * STEPS // work - (done - 1) * STEPS // work):
            step()

    return tell
