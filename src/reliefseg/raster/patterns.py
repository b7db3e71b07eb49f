"""Which files belong to which scene: patterns with `{scene}`, and scenes that fit none."""

from __future__ import annotations

import glob
import os
import re
from pathlib import Path, PurePath
from typing import NamedTuple

from reliefseg.raster.dataset_file import FilesEntry, SceneEntry
from reliefseg.raster.heights import HeightsAre
from reliefseg.raster.scene import SceneFiles

PLACEHOLDER = "{scene}"
COMPANIONS = ("labels", "heights", "ground")


class FoundFiles(NamedTuple):
    """The files of each scene by its name, and the faults of the patterns."""

    scenes: dict[str, SceneFiles]
    faults: list[str]


def match_pattern(root: Path, pattern: str) -> dict[str, Path]:
    """Existing files that fit a pattern, by scene name, sorted; `{scene}` never spans folders.

    The pattern is relative to `root` or absolute. Hidden files do not count; without `{scene}` none fits.
    """
    if PLACEHOLDER not in pattern:
        return {}
    parts = str(root / pattern).split(PLACEHOLDER)
    later = "(?P=scene)".join(map(re.escape, parts[1:]))
    shape = re.compile(f"{re.escape(parts[0])}(?P<scene>[^/]+){later}")
    # Path.glob takes no absolute patterns.
    candidates = sorted(glob.glob("*".join(map(glob.escape, parts))))  # noqa: PTH207
    found = ((shape.fullmatch(text), Path(text)) for text in candidates)
    return {match["scene"]: path for match, path in found if match and path.is_file()}


def readable(path: PurePath) -> str:
    """A path as it can be shown, also where it is not UTF-8."""
    return os.fsencode(path).decode("utf-8", "replace")


def not_utf8(path: PurePath) -> str | None:
    """The fault of a file whose name cannot be written down; None where it can."""
    shown = readable(path)
    return None if shown == str(path) else f"{shown}: is left out, for its name is not UTF-8; rename it"


def find_files(root: Path, files: FilesEntry, scenes: dict[str, SceneEntry]) -> FoundFiles:
    """Every scene of a data set with its files, sorted by name.

    A scene is what fits `images` or has a table of its own. Labels, heights and ground of a pattern are
    optional (not every scene has them); files stated under `[scenes.NAME]` must exist. Companions whose scene
    has no image are faults: a lost image would otherwise go unnoticed. Names that are not UTF-8 are, too.
    """
    matches = {role: match_pattern(root, getattr(files, role) or "") for role in ("images", *COMPANIONS)}
    strange = dict.fromkeys(fault for found in matches.values() for p in found.values() if (fault := not_utf8(p)))
    companions = {role: {n: p for n, p in found.items() if not not_utf8(p)} for role, found in matches.items()}
    images = companions.pop("images") | {
        name: _stated_or_pattern(root, name, "images", entry, files) for name, entry in scenes.items()
    }
    images = _without_companions(images, companions, set(scenes))
    images = _without_claimed(images, set(scenes))
    found = {name: _files_of(root, name, path, files, scenes.get(name)) for name, path in images.items()}
    faults = [*strange, *_missing(found, scenes), *_orphans(images, companions, files)]
    if not images:
        faults.append(f"[files] images: no file fits {files.images!r} in {root}")
    return FoundFiles(dict(sorted(found.items())), faults)


def _stated_or_pattern(root: Path, name: str, role: str, entry: SceneEntry, files: FilesEntry) -> Path:
    pattern = getattr(entry, role) or getattr(files, role)
    return root / pattern.replace(PLACEHOLDER, name)


def _without_companions(
    images: dict[str, Path], companions: dict[str, dict[str, Path]], stated: set[str]
) -> dict[str, Path]:
    """`{scene}.tif` also fits `a_labels.tif`: what is the companion of another scene is no image."""
    belongs = {path for found in companions.values() for name, path in found.items() if name in images}
    return {name: path for name, path in images.items() if name in stated or path not in belongs}


def _without_claimed(images: dict[str, Path], stated: set[str]) -> dict[str, Path]:
    """A file that a scene's own table names does not make a second scene by the pattern."""
    claimed = {images[name] for name in stated}
    return {name: path for name, path in images.items() if name in stated or path not in claimed}


def _files_of(root: Path, name: str, image: Path, files: FilesEntry, entry: SceneEntry | None) -> SceneFiles:
    own = entry or SceneEntry()
    paths = {role: _companion(root, name, role, own, files) for role in COMPANIONS}
    heights_are: HeightsAre = own.heights_are or files.heights_are or "dsm"
    column = own.class_column or files.class_column
    unlabelled_is = own.unlabelled_is or files.unlabelled_is
    return SceneFiles(image, **paths, heights_are=heights_are, class_column=column, unlabelled_is=unlabelled_is)


def _companion(root: Path, name: str, role: str, entry: SceneEntry, files: FilesEntry) -> Path | None:
    """A stated file, there or not; a pattern's if it is there; one without `{scene}` serves all scenes."""
    stated, pattern = getattr(entry, role), getattr(files, role)
    if stated is None and pattern is None:
        return None
    path = _stated_or_pattern(root, name, role, entry, files)
    must_exist = stated is not None or PLACEHOLDER not in pattern
    return path if must_exist or path.is_file() else None


def _missing(found: dict[str, SceneFiles], scenes: dict[str, SceneEntry]) -> list[str]:
    """Files that are named outright and do not exist, other than images, which are opened anyway."""
    roles = [(name, role, getattr(files, role)) for name, files in found.items() for role in COMPANIONS]
    return [f"scene {name}: {role} {path}: no such file" for name, role, path in roles if path and not path.is_file()]


def _orphans(images: dict[str, Path], companions: dict[str, dict[str, Path]], files: FilesEntry) -> list[str]:
    lost = [(role, name, path) for role, found in companions.items() for name, path in found.items()]
    return [
        f"{role} {path}: its scene {name} has no image; expected {files.images.replace(PLACEHOLDER, name)}"
        for role, name, path in lost
        if name not in images and path not in images.values()
    ]
