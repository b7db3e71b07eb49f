"""What file names say: which file is an image, labels, heights or ground, and which belong together."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import takewhile
from pathlib import PurePosixPath
from typing import NamedTuple

ROLES = ("images", "labels", "heights", "ground")
ROLE_WORDS = {
    "labels": "label labels mask masks gt gts groundtruth annotation annotations annotated seg segmentation "
    "segmentations truth target targets lbl lbls classes classmap",
    "heights": "dsm ndsm dsms height heights elevation elevations chm dom ndom",
    "ground": "dtm dem dgm terrain ground bare bareearth",
    "images": "image images img imgs rgb rgbi rgbir rgbn irrg irrgb irg cir bgr ortho orthos orthophoto orthophotos "
    "orthomosaic orthomosaics dop top photo photos pic pics picture pictures raster rasters sat aerial",
    "none": "preview previews thumb thumbs thumbnail thumbnails quicklook quicklooks overview overviews hillshade "
    "depth depths prediction predictions",
}
"""Words in the names of folders and at the ends of file names that say what a raster is (`none`: of no use here)."""
ROLE_OF = {word: role for role, words in ROLE_WORDS.items() for word in words.split()}
UNMISTAKABLE = {"dsm", "ndsm", "chm", "dtm", "dgm", "dem"}


class Named(NamedTuple):
    """A file as its name is read.

    `path` is relative to the data set's folder. `role` is None where neither folder nor name says. `place` is
    the folders without words for roles, `key` what is left of the name without the words of its own role, and
    `core` without those of any role. `family` is common to files that are named alike.
    """

    path: PurePosixPath
    role: str | None
    place: tuple[str, ...]
    key: str
    core: str
    family: tuple[str, ...]


def read_name(path: PurePosixPath, known_role: str | None = None) -> Named:
    """What the name of one file says; a role known from elsewhere wins.

    Folders called after the scene are understood too: `site7/dsm.tif`.
    """
    folders, stem = path.parts[:-1], path.stem
    role = known_role or _role(stem, folders)
    places = [rest for folder in folders if (rest := _without(folder, None))]
    key, core = _without(stem, {role} if role else set()), _without(stem, None)
    family = (*folders, stem.replace(core, "*") if core else stem, path.suffix)
    if not core:
        key = core = places.pop() if places else stem
        family = (*(f for f in folders if f != core), stem, path.suffix)
    return Named(path, role, tuple(places), key or core, core, family)


def settle_roles(paths: Iterable[PurePosixPath], looks_like_labels: Callable[[PurePosixPath], bool]) -> list[Named]:
    """Every file with a role. Where names leave open which of two like-named families are labels, contents say.

    What nothing is known about is an image.
    """
    named = [read_name(path) for path in paths]
    families: dict[Hashable, list[Named]] = defaultdict(list)
    for file in named:
        if file.role in (None, "images"):
            families[file.family].append(file)
    cores = {family: {f.core for f in files} for family, files in families.items()}
    twins = [a for a in families if any(cores[a] & cores[b] for b in families if a != b)]
    few = {f: all(looks_like_labels(file.path) for file in _samples(families[f])) for f in twins}
    photos = set().union(*(cores[f] for f in twins if not few[f]))
    labels = {f for f in twins if few[f] and cores[f] & photos}
    return [read_name(f.path, "labels" if f.family in labels else f.role or "images") for f in named]


def _samples(files: list[Named]) -> list[Named]:
    """The first, a middle and the last file."""
    return [files[i] for i in sorted({0, len(files) // 2, len(files) - 1})]


class Pairing(NamedTuple):
    """Which files go together: for each image its companions by role; what was left out, and why.

    `guessed` are companions that only the differing part of their names leads to an image.
    """

    scenes: dict[PurePosixPath, dict[str, PurePosixPath]]
    left_out: list[str]
    guessed: list[PurePosixPath]


def pair_files(files: Iterable[Named]) -> Pairing:
    """Pairs images with labels, heights and ground by their names, the surest way first.

    A companion that fits several images equally goes to none of them. Of several companions of a kind for one
    image, and of several images of one scene, those of the commonest family stay.
    """
    named = list(files)
    images, left_out = _one_of_each([f for f in named if f.role == "images"])
    scenes: dict[PurePosixPath, dict[str, PurePosixPath]] = {image.path: {} for image in images}
    guessed: list[PurePosixPath] = []
    for role in ROLES[1:]:
        companions = [f for f in named if f.role == role]
        partner = _partners(images, companions)
        guessed += _guess_partners(images, companions, partner)
        for image, chosen in _chosen(partner, companions).items():
            scenes[image][role] = chosen.path
        left_out += _unpaired(companions, partner, scenes, role)
    return Pairing(scenes, left_out, guessed)


def _role(stem: str, folders: tuple[str, ...]) -> str | None:
    """What the name's ends say counts before folders, but a folder of companions before a word for images."""
    of_stem = _role_of_ends(stem)
    if of_stem not in (None, "images"):
        return of_stem
    for folder in reversed(folders):
        if of_folder := _role_of_folder(folder):
            return _role_inside(stem) or of_folder
    return _role_inside(stem) or of_stem


def _role_of_ends(text: str) -> str | None:
    """The role of the last word or of the first; words for images give way to all others."""
    words = _words(text)
    roles = [role for word in (words[-1:] + words[:1]) if (role := ROLE_OF.get(word.lower()))]
    return next((r for r in roles if r != "images"), roles[0] if roles else None)


def _role_of_folder(name: str) -> str | None:
    """As for names, but a folder that holds images and something else says nothing."""
    roles = {role for word in _words(name) if (role := ROLE_OF.get(word.lower()))}
    return _role_of_ends(name) if len(roles) == 1 else None


def _role_inside(stem: str) -> str | None:
    """`heights` or `ground` where a word for them, one that means nothing else, stands anywhere in the name."""
    return next((ROLE_OF[w] for w in map(str.lower, _words(stem)) if w in UNMISTAKABLE), None)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", _joined(text))


def _joined(text: str) -> str:
    return re.sub(r"(?i)(ground)[ _-]+(truth)", r"\1\2", text)


def _without(text: str, roles: set[str] | None) -> str:
    """The text without words for these roles (None: for any) at its ends, each with one separator; may be empty."""
    text = _joined(text)
    while (found := re.fullmatch(r"(.*)[\W_]([^\W_]+)", text, re.DOTALL)) and _is_role(found[2], roles):
        text = found[1]
    while (found := re.fullmatch(r"([^\W_]+)[\W_](.*)", text, re.DOTALL)) and _is_role(found[1], roles):
        text = found[2]
    return "" if _is_role(text, roles) else text


def _is_role(word: str, roles: set[str] | None) -> bool:
    role = ROLE_OF.get(word.lower())
    return role is not None and (roles is None or role in roles)


def _one_of_each(images: list[Named]) -> tuple[list[Named], list[str]]:
    """One image of each name in each place; the family with most files stays, GeoTIFF before others."""
    rank = _family_rank(images)
    groups: dict[Hashable, list[Named]] = defaultdict(list)
    for image in sorted(images, key=lambda f: (rank(f), f.path)):
        groups[image.place, image.key].append(image)
    kept = sorted((group[0] for group in groups.values()), key=lambda f: f.path)
    others = [(other, group[0]) for group in groups.values() for other in group[1:]]
    return kept, [f"{o.path}: is left out, for it shows the same scene as {first.path}" for o, first in others]


def _family_rank(files: list[Named]) -> Callable[[Named], tuple[int, int]]:
    """Common families first; among equals GeoTIFF, then what is stored without loss, then JPEG."""
    sizes = Counter(f.family for f in files)
    order = {".tif": 0, ".tiff": 0, ".vrt": 1, ".png": 2}
    return lambda f: (-sizes[f.family], order.get(f.path.suffix.lower(), 3))


def _partners(images: list[Named], companions: list[Named]) -> dict[PurePosixPath, PurePosixPath]:
    """The image of each companion, by the first way that finds exactly one."""
    ways = [
        (lambda f: (f.place, f.key)),
        (lambda f: (f.place, f.core)),
        (lambda f: (f.place, _plain(f.core))),
        (lambda f: _plain(f.core)),
    ]
    found: dict[PurePosixPath, PurePosixPath] = {}
    for way in ways:
        _pair_by(way, images, companions, found)
    return found


def _guess_partners(
    images: list[Named], companions: list[Named], found: dict[PurePosixPath, PurePosixPath]
) -> list[PurePosixPath]:
    """Pairs what is left by the part that differs within each folder; gives those paired in this way."""
    before, differing = set(found), _differing(images) | _differing(companions)
    _pair_by(lambda f: differing[f.path], images, [c for c in companions if c.path not in found], found)
    return sorted(set(found) - before)


def _pair_by(
    way: Callable[[Named], Hashable],
    images: list[Named],
    companions: list[Named],
    found: dict[PurePosixPath, PurePosixPath],
) -> None:
    groups: dict[Hashable, list[Named]] = defaultdict(list)
    for image in images:
        groups[way(image)].append(image)
    for companion in companions:
        fitting = groups.get(way(companion), [])
        if companion.path not in found and len(fitting) == 1:
            found[companion.path] = fitting[0].path


def _plain(text: str) -> str:
    """In small letters, numbers without leading zeros, one kind of separator."""
    return "_".join(w.lstrip("0") or "0" if w.isdigit() else w for w in re.findall(r"\d+|[^\W\d_]+", text.lower()))


def _differing(files: list[Named]) -> dict[PurePosixPath, str]:
    """What tells a file from the others in its folder: its words less those all begin or end with."""
    groups: dict[Hashable, list[Named]] = defaultdict(list)
    for file in files:
        groups[file.path.parent].append(file)
    found: dict[PurePosixPath, str] = {}
    for group in groups.values():
        words = [_plain(f.core).split("_") for f in group]
        start = _shared_start(words)
        rest = [w[start:][::-1] for w in words]
        end = _shared_start(rest)
        found |= {f.path: "_".join(r[end:][::-1]) or str(f.path) for f, r in zip(group, rest, strict=True)}
    return found


def _shared_start(texts: list[list[str]]) -> int:
    """How many words all texts begin with; 0 for a single text, which shares nothing."""
    if len(texts) < 2:
        return 0
    columns = zip(*texts, strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _chosen(partner: Mapping[PurePosixPath, PurePosixPath], companions: list[Named]) -> dict[PurePosixPath, Named]:
    """One companion for each image."""
    rank = _family_rank([c for c in companions if c.path in partner])
    ranked = sorted((c for c in companions if c.path in partner), key=lambda f: (rank(f), f.path))
    return {partner[c.path]: c for c in reversed(ranked)}


def _unpaired(
    companions: list[Named],
    partner: Mapping[PurePosixPath, PurePosixPath],
    scenes: Mapping[PurePosixPath, Mapping[str, PurePosixPath]],
    role: str,
) -> list[str]:
    lines = []
    for file in companions:
        image = partner.get(file.path)
        if image is None:
            lines.append(f"{file.path}: is left out, for no one image goes with these {role} by its name")
        elif scenes[image][role] != file.path:
            lines.append(f"{file.path}: is left out, for {image} has {scenes[image][role]} as its {role}")
    return lines
