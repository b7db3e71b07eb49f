"""Depth rasters of scenes: which source, what is already there, what must be made."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from reliefseg.depth.builtin import open_builtin
from reliefseg.depth.cache import is_fresh, raster_path, raster_tags, write_depth
from reliefseg.depth.metres import RasterSource
from reliefseg.depth.relative import open_transformers
from reliefseg.depth.settings import DepthSettings
from reliefseg.depth.source import WEIGHTS, DepthSource, Maker
from reliefseg.errors import Done, InputError, Item, each
from reliefseg.raster import Dataset, Scene
from reliefseg.raster.files import locked, probe_folder

Progress = Callable[[int, int], None]
"""Told (done, of) as work goes on."""
Resolved = Literal["none", "raster", "builtin", "transformers"]


def resolve_source(settings: DepthSettings, dataset: Dataset) -> Resolved:
    """The source for a data set: `auto` is `raster` where every scene in a split has heights, else `builtin`."""
    used = {name for names in dataset.splits.values() for name in names} or set(dataset.scenes)
    return _source_for(settings, [dataset.scenes[name] for name in sorted(used)])


def make_depth(
    scenes: Sequence[Scene], settings: DepthSettings, cache: Path, progress: Progress | None = None
) -> dict[str, Path]:
    """The depth rasters of scenes by name, `cache/depth/<source>/<scene>-<key>.tif`; without depth no entries.

    What is there, whole and made from the same image content, weights and settings, is reused without loading a
    network; what was made from others stays beside it, for somebody may be reading it. All scenes are looked at before
    the first is made, so that `InputError` names every one that no depth can be made of. After an interruption finished
    rasters are there, and what was seen of the next; no broken raster appears. Of several processes at once the first
    makes a raster, the others wait for it.
    """
    source = _open_source(settings, scenes)
    if source is None:
        return {}
    count = _Counter(progress, sum(source.steps(scene) for scene in scenes))
    tags = dict(_gathered(scenes, lambda scene: (scene.name, raster_tags(source, scene))))
    paths = {scene.name: raster_path(cache, scene, tags[scene.name]) for scene in scenes}
    stale = [s for s in scenes if not is_fresh(paths[s.name], tags[s.name]["depth_key"], s.grid)]
    count.add(sum(source.steps(scene) for scene in scenes) - sum(source.steps(scene) for scene in stale))
    if stale:
        source.load()
    makers = _gathered(stale, lambda scene: (scene, _prepared(source, scene)))
    for scene, make in makers:
        path = paths[scene.name]
        probe_folder(path.parent)
        with locked(path.with_name(f".{path.stem}.lock")), scene.kept_open():  # one process makes it, others find it
            if is_fresh(path, tags[scene.name]["depth_key"], scene.grid):
                count.add(source.steps(scene))
            else:
                with _workplace(path) as scratch:
                    grown = scratch / path.name
                    write_depth(grown, scene.grid, make(lambda: count.add(1), scratch), tags[scene.name])
                    grown.replace(path)
    return paths


def depth_weights(settings: DepthSettings) -> str | None:
    """SHA-256 of the depth network that these settings, with the source decided, name; None where no network looks."""
    source = _open_source(settings, ())
    return None if source is None else source.tags.get(WEIGHTS)


def depth_raster(scene: Scene, settings: DepthSettings, cache: Path) -> Path:
    """The depth raster of one scene, made or reused; a `ValueError` where the settings say there is no depth."""
    paths = make_depth([scene], settings, cache)
    if not paths:
        raise ValueError(f"scene {scene.name}: depth source {settings.source!r} gives no depth raster")
    return paths[scene.name]


def _source_for(settings: DepthSettings, scenes: Sequence[Scene]) -> Resolved:
    if settings.source != "auto":
        return settings.source
    return "raster" if scenes and all(scene.has_heights for scene in scenes) else "builtin"


def _open_source(settings: DepthSettings, scenes: Sequence[Scene]) -> DepthSource | None:
    name = _source_for(settings, scenes)
    if name == "raster":
        return RasterSource(settings.range_m)
    if name == "builtin":
        return open_builtin(settings)
    return open_transformers(settings) if name == "transformers" else None


def _prepared(source: DepthSource, scene: Scene) -> Maker:
    with scene.kept_open():
        return source.prepare(scene)


@contextmanager
def _workplace(raster: Path) -> Iterator[Path]:
    """A folder beside a raster for what its windows show, kept from an interruption to the next call for it."""
    folder = raster.with_name(f".{raster.stem}.windows")
    folder.mkdir(exist_ok=True)
    try:
        yield folder
    except InputError:  # the same call would end in it again
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _gathered(scenes: Iterable[Item], work: Callable[[Item], Done]) -> list[Done]:
    """Results for all scenes; the offences of all of them at once."""
    results, offences = each(scenes, work)
    if offences:
        raise InputError(offences)
    return results


class _Counter:
    """Adds up steps for whoever shows progress."""

    def __init__(self, progress: Progress | None, of: int):
        self.progress, self.done, self.of = progress, 0, of

    def add(self, steps: int) -> None:
        self.done += steps
        if self.progress is not None and steps:
            self.progress(self.done, self.of)
