"""From scenes on disk to scenes in memory, with depth beside the image bands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reliefseg.depth import read_depth
from reliefseg.errors import InputError
from reliefseg.raster import Scene
from reliefseg.tiles.arrays import SceneArrays


def read_scene(
    scene: Scene,
    *,
    bands: Sequence[str],
    depth: Path | None = None,
    with_labels: bool = False,
    reference_gsd: float | None = None,
) -> SceneArrays:
    """A scene's chosen image bands, validity, depth raster if given, and labels where asked for and there."""
    missing = [b for b in bands if b not in scene.bands]
    if missing:
        raise InputError(f"scene {scene.name}: no band {', '.join(missing)}; it has {', '.join(scene.bands)}")
    found, valid = scene.read()
    labels = np.full(valid.shape, 255, dtype=np.uint8)
    if with_labels and scene.has_labels:
        labels = scene.read_labels()
    return SceneArrays(
        bands=found[[scene.bands.index(b) for b in bands]],
        valid=valid,
        labels=labels,
        depth=None if depth is None else read_depth(depth),
        relative_gsd=relative_gsd(scene, reference_gsd),
    )


def relative_gsd(scene: Scene, reference_gsd: float | None) -> float:
    """The scene's gsd over the reference gsd; 1 where either is unknown."""
    gsd = scene.grid.gsd
    return gsd / reference_gsd if gsd and reference_gsd else 1.0


def reference_gsd(scenes: Sequence[Scene]) -> float | None:
    """Median gsd of the scenes; None where any is unknown."""
    found = [s.grid.gsd for s in scenes]
    return float(np.median([g for g in found if g])) if found and all(found) else None
