"""Published benchmarks as data-set files: who trains, who tests, found in an unpacked archive by the files' names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reliefseg.errors import InputError
from reliefseg.raster.dataset_file import FILE_NAME
from reliefseg.raster.faults import nearest
from reliefseg.raster.files import toml_string, write_text
from reliefseg.raster.gathering import walk

LABEL_FOLDER = re.compile(r"(^|[\W_])gts?([\W_]|$)|labels?(?!l?ing)|ground.?truth", re.IGNORECASE)
"""Folders of files that are called as the images but hold labels; the archives themselves are about `labeling`."""

CLASSES = """
[[classes]]
name = "impervious_surface"
color = "#FFFFFF"

[[classes]]
name = "building"
color = "#0000FF"

[[classes]]
name = "low_vegetation"
color = "#00FFFF"

[[classes]]
name = "tree"
color = "#00FF00"

[[classes]]
name = "car"
color = "#FFFF00"

[ignore]
# Clutter; black are the borders of the eroded label files.
colors = ["#FF0000", "#000000"]
"""


@dataclass(frozen=True)
class Protocol:
    """A benchmark: bands, gsd (metres a pixel), how its files are called (the groups are the scene) and its splits."""

    title: str
    bands: tuple[str, ...]
    gsd: float
    images: str
    labels: str
    heights: str
    splits: Mapping[str, tuple[str, ...]]
    tile_size: int | None = None


def _areas(*numbers: int) -> tuple[str, ...]:
    return tuple(str(n) for n in numbers)


_TILES = (*range(1, 9), *range(10, 18), *range(20, 25), *range(26, 36), 37, 38)
_TRAINED = (1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37)
_MASKS, _UNSEEN = (1, 12, 15), (6, 7, 13, 20, 30, 31, 37)
_VAIHINGEN = {
    "bands": ("nir", "red", "green"),
    "gsd": 0.09,
    "images": r"top_mosaic_09cm_area(\d+)\.tif",
    "labels": r"top_mosaic_09cm_area(\d+)\.tif",
    "heights": r"dsm_09cm_matching_area(\d+)\.tif",
}
_POTSDAM = {
    "gsd": 0.05,
    "labels": r"top_potsdam_(\d+_\d+)_label\.tif",
    "heights": r"dsm_potsdam_(\d+_\d+)\.tif",
    "splits": {
        "pixel_labelled": tuple(
            f"{row}_{col}" for row in (2, 3, 4, 5, 6, 7) for col in range(7, 13) if row > 5 or col > 9
        ),
        "test": (
            "2_13", "2_14", "3_13", "3_14", "4_13", "4_14", "4_15", "5_13", "5_14", "5_15", "6_13", "6_14", "6_15",
            "7_13",
        ),
    },
}  # fmt: skip

PROTOCOLS = {
    "vaihingen": Protocol(
        "ISPRS Vaihingen, scenes split as published",
        **_VAIHINGEN,  # type: ignore[arg-type]
        splits={"pixel_labelled": _areas(*_TRAINED), "test": _areas(*(n for n in _TILES if n not in _TRAINED))},
    ),
    "vaihingen-3": Protocol(
        "ISPRS Vaihingen with three pixel-labelled scenes, seven unseen ones and tile labels of the rest",
        **_VAIHINGEN,  # type: ignore[arg-type]
        splits={
            "pixel_labelled": _areas(*_MASKS),
            "tile_labelled": _areas(*(n for n in _TILES if n not in (*_MASKS, *_UNSEEN))),
            "test": _areas(*_UNSEEN),
        },
        tile_size=200,
    ),
    "potsdam": Protocol(
        "ISPRS Potsdam, IR-R-G, scenes split as published",
        bands=("nir", "red", "green"), images=r"top_potsdam_(\d+_\d+)_IRRG\.tif", **_POTSDAM,  # type: ignore[arg-type]
    ),
    "potsdam-rgb": Protocol(
        "ISPRS Potsdam, RGB, scenes split as published",
        bands=("red", "green", "blue"), images=r"top_potsdam_(\d+_\d+)_RGB\.tif", **_POTSDAM,  # type: ignore[arg-type]
    ),
}  # fmt: skip
"""Source of the ids: ISPRS 2D semantic labelling benchmark; the three-mask split is that of few-label work on it."""

Files = dict[str, PurePosixPath]
"""A file by scene."""


def init_protocol(folder: str | Path, name: str) -> Path:
    """Writes FOLDER/dataset.toml for a benchmark whose archives are unpacked somewhere below; returns its path.

    InputError: no such protocol, a `dataset.toml` that is there already, scenes whose image or labels are missing.
    """
    root = Path(folder)
    if name not in PROTOCOLS:
        raise InputError(f"--protocol {name}: unknown; {nearest(name, list(PROTOCOLS))}")
    if (root / FILE_NAME).exists():
        raise InputError(f"{root / FILE_NAME}: is there already and is never overwritten; move it away first")
    protocol = PROTOCOLS[name]
    paths = list(walk(root, {})) if root.is_dir() else []
    in_labels = [path for path in paths if LABEL_FOLDER.search(str(path.parent))]
    images = _scenes(protocol.images, [path for path in paths if path not in in_labels])
    labels = _scenes(protocol.labels, in_labels)
    heights = _scenes(protocol.heights, paths)
    _refuse_missing(root, protocol, images, labels)
    write_text(root / FILE_NAME, _text(name, protocol, images, labels, heights))
    return root / FILE_NAME


def _scenes(pattern: str, paths: Iterable[PurePosixPath]) -> Files:
    """Files of that name by scene, numbers without leading zeros; of several the one with the shortest path."""
    found: Files = {}
    for path in sorted(paths, key=lambda one: (len(str(one)), str(one))):
        if match := re.fullmatch(pattern, path.name, re.IGNORECASE):
            found.setdefault("_".join(str(int(part)) for part in match[1].split("_")), path)
    return found


def _refuse_missing(root: Path, protocol: Protocol, images: Files, labels: Files) -> None:
    wanted = [scene for scenes in protocol.splits.values() for scene in scenes]
    missing = {
        f"images (named {_plain(protocol.images)})": [s for s in wanted if s not in images],
        f"labels (named {_plain(protocol.labels)}, in a folder called gts…, …label… or …ground_truth…)": [
            s for s in wanted if s not in labels
        ],
    }
    lacking = {what: scenes for what, scenes in missing.items() if scenes}
    faults = [f"{root}: no {what} of {', '.join(scenes)}; unpack them below it" for what, scenes in lacking.items()]
    if faults:
        raise InputError(faults)


def _plain(pattern: str) -> str:
    return pattern.replace(r"(\d+_\d+)", "ROW_COL").replace(r"(\d+)", "N").replace("\\", "")


def _text(name: str, protocol: Protocol, images: Files, labels: Files, heights: Files) -> str:
    used = [scene for scenes in protocol.splits.values() for scene in scenes]
    all_heights = all(scene in heights for scene in used)
    lines = [f"# {protocol.title}. Written by: reliefseg init FOLDER --protocol {name}", ""]
    lines += [f"name = {toml_string(name)}", f"bands = {_listed(protocol.bands)}", f"gsd = {protocol.gsd}", CLASSES]
    lines += ["[files]", f"images = {toml_string(_pattern(protocol.images, images[used[0]]))}"]
    lines += ['heights_are = "dsm"', ""] if all_heights else [""]
    for scene in used:
        files = {"images": images[scene], "labels": labels[scene]} | (
            {"heights": heights[scene]} if all_heights else {}
        )
        lines += [f"[scenes.{scene}]", *(f"{role} = {toml_string(str(path))}" for role, path in files.items()), ""]
    if protocol.tile_size:
        lines += ["[tile_labels]", "from_labels = true", f"size = {protocol.tile_size}", ""]
    lines += [
        "# As published there is no validation split. Move a scene or two of pixel_labelled to one, or train with",
        "# --set validation.blocks=true: else nothing picks the checkpoint, fits the temperature or gives intervals.",
    ]
    lines += ["[splits]", *(f"{split} = {_listed(scenes)}" for split, scenes in protocol.splits.items())]
    return "\n".join(lines) + "\n"


def _pattern(images: str, example: PurePosixPath) -> str:
    """The file's path with its scene left open."""
    match = re.fullmatch(images, example.name, re.IGNORECASE)
    start, end = match.span(1) if match else (0, 0)
    return str(example.with_name(f"{example.name[:start]}{{scene}}{example.name[end:]}"))


def _listed(names: Sequence[str]) -> str:
    return "[" + ", ".join(toml_string(name) for name in names) + "]"
