"""Patterns with `{scene}` that describe files already paired, and what fits none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from reliefseg.raster.patterns import COMPANIONS, PLACEHOLDER, match_pattern, not_utf8

TRIED = 40
"""How many patterns for images are tried out against the companions."""
NOWHERE = "listed below: {scene}"
"""A pattern that no file fits, where each image has to be named."""
TRIED_EACH = 5
"""How many patterns for companions are tried for each of them."""

Pairs = Mapping[PurePosixPath, Mapping[str, PurePosixPath]]


class Layout(NamedTuple):
    """How the files of a data set are written down.

    `names` gives each image its scene's name. `patterns` stand in `[files]` (role to pattern); `exceptions`
    stand in `[scenes.NAME]` (name to role to path). `strangers` are files that fit the images' pattern too.
    """

    names: dict[PurePosixPath, str]
    patterns: dict[str, str]
    exceptions: dict[str, dict[str, str]]
    strangers: list[PurePosixPath]


def find_layout(root: Path, pairs: Pairs) -> Layout:
    """The patterns that describe most files, with names as long as they can be; the rest are exceptions.

    A pattern for companions that would also take in files of no scene is not used: each file is then named.
    Where every pattern for images takes in such files, all images are named.
    """
    best = max((_layout(root, pairs, pattern) for pattern in _image_patterns(pairs)), key=_merit)
    return _layout(root, pairs, NOWHERE) if best.strangers else best


def _merit(layout: Layout) -> tuple[int, bool, int, int]:
    """Few exceptions and no strangers first, names from files before names from folders, then long names."""
    wrong = len(layout.strangers) + sum(map(len, layout.exceptions.values()))
    from_files = PLACEHOLDER not in str(PurePosixPath(layout.patterns["images"]).parent)
    return -wrong, from_files, sum(map(len, layout.names.values())), -sum(map(len, layout.patterns.values()))


def _image_patterns(pairs: Pairs) -> list[str]:
    """Patterns that fit an image each, the most common ones."""
    fitting = ({p for name in _possible_names(image) for p in _patterns(image, name)} for image in pairs)
    counts = Counter(pattern for patterns in fitting for pattern in patterns)
    return [p for p, _ in sorted(counts.items(), key=lambda item: (-item[1], len(item[0]), item[0]))[:TRIED]]


def _possible_names(path: PurePosixPath) -> set[str]:
    """Parts of a file's name, cut where words end, and the folders it lies in."""
    stem = path.stem
    inside = [m.start() for m in re.finditer(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])", stem)]
    starts = {0, *inside, *(m.end() for m in re.finditer(r"[\W_]+", stem))}
    ends = {len(stem), *inside, *(m.start() for m in re.finditer(r"[\W_]+", stem))}
    parts = {stem[a:b] for a in starts for b in ends if a < b}
    return {name for name in parts | set(path.parts[:-1]) if name}


def _patterns(path: PurePosixPath, name: str) -> set[str]:
    """The path with the scene's name taken out: one place in the file's name, or wherever a folder has this name."""
    if name in path.parts[:-1]:
        parts = [PLACEHOLDER if part == name else part for part in path.parts[:-1]]
        return {str(PurePosixPath(*parts, path.name.replace(name, PLACEHOLDER)))}
    stem = path.stem
    places = [i for i in range(len(stem)) if stem.startswith(name, i)]
    return {str(path.with_name(stem[:i] + PLACEHOLDER + stem[i + len(name) :] + path.suffix)) for i in places}


def _layout(root: Path, pairs: Pairs, pattern: str) -> Layout:
    fitting = {PurePosixPath(p.relative_to(root)): name for name, p in _matches(root, pattern).items()}
    names = _names(pairs, fitting)
    patterns = {"images": pattern}
    exceptions: dict[str, dict[str, str]] = {name: {} for name in names.values()}
    for image, name in names.items():
        if image not in fitting:
            exceptions[name]["images"] = str(image)
    for role in COMPANIONS:
        if found := {names[image]: files[role] for image, files in pairs.items() if role in files}:
            _describe(root, role, found, patterns, exceptions)
    belongs = {file for files in pairs.values() for file in files.values()}
    strangers = sorted(set(fitting) - set(names) - belongs)
    return Layout(names, patterns, {n: e for n, e in exceptions.items() if e}, strangers)


def _matches(root: Path, pattern: str) -> dict[str, Path]:
    """What fits a pattern, without names that are not UTF-8: they are to be mended, and no pattern bows to them."""
    return {name: path for name, path in match_pattern(root, pattern).items() if not not_utf8(path)}


def _names(pairs: Pairs, fitting: Mapping[PurePosixPath, str]) -> dict[PurePosixPath, str]:
    """Names by the pattern; what fits it not is named after its stem, or its path where that is taken."""
    names = {image: fitting[image] for image in pairs if image in fitting}
    taken = set(fitting.values())
    for image in pairs:
        if image not in names:
            whole = "_".join(image.with_suffix("").parts)
            choices = [image.stem, whole, *(f"{whole}_{n}" for n in range(2, len(pairs) + 3))]
            names[image] = next(name for name in choices if name not in taken)
            taken.add(names[image])
    return names


def _describe(
    root: Path,
    role: str,
    found: Mapping[str, PurePosixPath],
    patterns: dict[str, str],
    exceptions: dict[str, dict[str, str]],
) -> None:
    """Adds the pattern for a role that fits most of these files and no others, and exceptions for the rest."""
    counts = Counter(pattern for name, path in found.items() for pattern in _patterns(path, name))
    for pattern, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:TRIED_EACH]:
        fitting = _matches(root, pattern)
        rest = {name: str(path) for name, path in found.items() if fitting.get(name) != root / path}
        strangers = [name for name in fitting if name not in found]
        if len(rest) < len(found) and not strangers:
            break
    else:
        pattern, rest = "", {name: str(path) for name, path in found.items()}
    if pattern:
        patterns[role] = pattern
    for name, path in rest.items():
        exceptions[name][role] = path
