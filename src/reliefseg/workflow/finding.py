"""Which scenes a command means, and with which heights."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

from reliefseg.errors import InputError
from reliefseg.inference.work import WORK
from reliefseg.raster import SceneFiles
from reliefseg.raster.gathering import RASTER_SUFFIXES
from reliefseg.raster.heights import HeightsAre
from reliefseg.raster.opening import is_remote
from reliefseg.raster.patterns import readable
from reliefseg.workflow.writing import NOTE


@dataclass(frozen=True)
class HeightFiles:
    """Where predicted scenes' heights lie, for models whose depth comes from rasters.

    Patterns in which `{scene}` is the scene's name; without `ground`, the terrain height, it is estimated.
    """

    heights: str
    ground: str | None = None
    heights_are: HeightsAre = "dsm"

    def beside(self, image: Path) -> SceneFiles:
        """The image with its height files."""
        ground = None if self.ground is None else Path(self.ground.replace("{scene}", image.stem))
        heights = Path(self.heights.replace("{scene}", image.stem))
        return SceneFiles(image, heights=heights, ground=ground, heights_are=self.heights_are)


def find_scenes(arguments: Sequence[str]) -> list[Path]:
    """Files, folders, globs and URLs as a list of scenes; InputError names every argument that gives none.

    URLs and places in GDAL's virtual file systems are taken as they are. In folders and globs what `predict` wrote is
    passed over, so that the same command goes on where its results lie among the scenes; so are folders of results
    beside other arguments, for a shell may have put them there.
    """
    found = {argument: _found(argument) for argument in arguments}
    scenes = list(dict.fromkeys(chain.from_iterable(found.values())))
    empty = [a for a, here in found.items() if not here and not (scenes and _holds_results(Path(a)))]
    faults = [f"{argument}: no scene here; expected a file, a folder with images, or a glob" for argument in empty]
    faults += [f"{readable(p)}: its name is not UTF-8; rename it" for p in scenes if readable(p) != str(p)]
    if faults:
        raise InputError(faults)
    return scenes


def _found(argument: str) -> list[Path]:
    path = Path(_without_double_slash(argument))
    if is_remote(path) or path.is_file():
        return [path]
    if path.is_dir():
        images = (p for p in path.iterdir() if p.suffix.lower() in RASTER_SUFFIXES and not p.name.startswith("."))
        return _scenes_among(sorted(images))
    try:
        found = sorted(Path(path.anchor or ".").glob(argument.removeprefix(path.anchor)))
    except ValueError as error:
        raise InputError(f"{argument}: no glob ({error}); ** stands between slashes, as in scenes/**/*.tif") from None
    fixed = sum(1 for _ in takewhile(lambda part: not glob.has_magic(part), path.parts))
    shown = [p for p in found if not any(part.startswith(".") and part != ".." for part in p.parts[fixed:])]
    return _scenes_among(shown)


def _scenes_among(paths: Sequence[Path]) -> list[Path]:
    """Without folders, and without what lies in the folder of a finished prediction."""
    return [path for path in paths if not path.is_dir() and not (path.parent / NOTE).exists()]


def _holds_results(folder: Path) -> bool:
    """Whether a folder is of one scene's results, or all folders in it are, or are of unfinished work."""
    inside = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    done = [(path / NOTE).exists() or path.name.startswith(WORK) for path in inside]
    return (folder / NOTE).exists() or (bool(done) and all(done))


def _without_double_slash(argument: str) -> str:
    """An absolute path behind `/vsizip/` and the like in a form that `Path` leaves alone: it makes one slash of two."""
    prefix, _, absolute = argument.partition("//")
    if re.fullmatch(r"/vsi(zip|tar|7z|gzip)", prefix) is None:
        return argument
    path = Path(f"/{absolute}")
    if prefix == "/vsigzip":  # knows no braces
        return f"{prefix}/{os.path.relpath(path)}"
    archive = next((p for p in (path, *path.parents) if p.is_file()), path)
    return str(Path(f"{prefix}/{{{archive}}}") / path.relative_to(archive))


def refuse_collisions(scenes: Sequence[Path], out: Path) -> None:
    """An InputError where scenes' results would overwrite one another, or a scene."""
    by_name: dict[str, list[Path]] = {}
    for path in scenes:
        by_name.setdefault(path.stem, []).append(path)
    faults = [
        f"scenes {', '.join(map(str, paths))}: results would all lie in {out / name}; "
        "predict them into different folders"
        for name, paths in by_name.items()
        if len(paths) > 1
    ]
    own = [p for p in scenes if (out / p.stem).resolve() == p.resolve().parent]
    faults += [f"{p}: lies where its results would; choose another folder with -o" for p in own]
    if faults:
        raise InputError(faults)
