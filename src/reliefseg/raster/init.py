"""Writes a `dataset.toml` from what lies in a folder, and says what it could not know."""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from reliefseg.errors import InputError
from reliefseg.raster.check import Tick
from reliefseg.raster.contents import BandGuess, guess_bands, guess_heights_are
from reliefseg.raster.dataset import survey_dataset
from reliefseg.raster.dataset_file import FILE_NAME, check_dataset_table
from reliefseg.raster.files import write_text
from reliefseg.raster.gathering import RASTER_SUFFIXES, Findings, look_around, pair_up
from reliefseg.raster.grid import Grid
from reliefseg.raster.labelling import Labelling, by_csv, by_polygons, by_rasters, covers, nothing_labelled
from reliefseg.raster.patterns import PLACEHOLDER
from reliefseg.raster.proposal import Proposal
from reliefseg.raster.proposing import ProposedSplits, propose_splits
from reliefseg.raster.templates import find_layout


def init_dataset(folder: str | Path, tick: Tick | None = None) -> Proposal:
    """Writes FOLDER/dataset.toml: scenes paired by name, classes as counted, bands, heights and splits as guessed.

    An existing file is never overwritten, and a folder without images is refused (`InputError`). Every label
    file is read to its end; `tick` is told how many of them are done. What could not be known stands in the
    proposal and as comments in the file.
    """
    root = Path(folder)
    _refuse(root)
    found = look_around(root)
    pair_up(found)
    labelling = _find_labelling(found, tick)
    bands = _find_bands(found)
    _find_heights(found)
    proposal = _propose(found, labelling, bands)
    text = proposal.to_toml()
    check_dataset_table(tomllib.loads(text), proposal.file)
    write_text(proposal.file, text)
    return replace(proposal, faults=tuple(survey_dataset(root).faults))


def write_template(folder: str | Path) -> Path:
    """Writes FOLDER/dataset.toml with every key there is, explained, to be filled in; returns its path.

    InputError: no such folder, or an existing file.
    """
    root = Path(folder)
    _refuse(root)
    write_text(root / FILE_NAME, (Path(__file__).parent / "template.toml").read_text(encoding="utf-8"))
    return root / FILE_NAME


def _refuse(root: Path) -> None:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; expected one with images, and labels if there are any")
    if os.path.lexists(root / FILE_NAME):
        raise InputError(
            f"{root / FILE_NAME}: is there already and is never overwritten; edit it, or move it away first"
        )
    if PLACEHOLDER in str(root):
        raise InputError(f"{root}: the folder's name contains {PLACEHOLDER}, which patterns cannot express; rename it")


def _find_labelling(found: Findings, tick: Tick | None) -> Labelling:
    """The classes, from rasters, else polygons, else a CSV file; marks the images with labels."""
    labels = {image: files["labels"] for image, files in found.pairs.items() if "labels" in files}
    rasters = [found.root / p for p in labels.values() if p.suffix.lower() in RASTER_SUFFIXES]
    found.labelled = set(labels)
    labelling = by_rasters(rasters, tick) if rasters else None
    if not rasters and (labels or found.shared is not None):
        labelling = _polygon_labelling(found, list(labels.values()) or [p for p in [found.shared] if p])
    return _with_tile_table(found, labelling)


def _with_tile_table(found: Findings, labelling: Labelling | None) -> Labelling:
    """Takes the classes from a table of tile labels where there is nothing else, and speaks of it otherwise."""
    for path, table in found.tables.items():
        if labelling is None:
            found.tile_file, labelling = path, by_csv(table.classes)
        else:
            found.left_out.append(
                f"{path}: is left out, for its columns name classes ({', '.join(table.classes)}): rename the classes "
                f'so, then add [tile_labels] file = "{path}" and name its scenes in tile_labelled'
            )
    return labelling or nothing_labelled()


def _polygon_labelling(found: Findings, paths: list[PurePosixPath]) -> Labelling | None:
    reason = "no column of its polygons names classes"
    try:
        labelling = by_polygons([found.root / p for p in paths])
        if labelling is not None and found.shared is not None:
            path = found.root / found.shared
            found.labelled = {i for i, header in found.headers.items() if covers(path, header.grid, labelling)}
    except InputError as error:
        found.left_out += error.offences
        labelling, reason = None, "the classes cannot be read off the polygons"
    if labelling is None or labelling.class_column is None:
        found.left_out += [f"{p}: is left out, for {reason}" for p in paths]
        found.shared, found.labelled = None, set()
        for files in found.pairs.values():
            files.pop("labels", None)
        return None
    found.settings["class_column"] = labelling.class_column
    return labelling


def _find_bands(found: Findings) -> tuple[str, ...]:
    """The bands of most images; images with another number of bands are told."""
    guesses = {image: guess_bands(found.root / image) for image in found.headers}
    if not guesses:
        found.unknown.append("the bands: no image can be read")
        return ("red", "green", "blue")
    bands, ground = Counter(guesses.values()).most_common(1)[0][0]
    how = "as the files call them" if ground == "stated" else "guessed from their number or from names"
    found.unknown.append(f"whether the bands are {', '.join(bands)} ({how}); infrared images often say red, too")
    found.unknown += _odd_bands(guesses, bands)
    return bands


def _odd_bands(guesses: Mapping[PurePosixPath, BandGuess], bands: tuple[str, ...]) -> list[str]:
    odd = [f"{image} ({', '.join(g.names)})" for image, g in guesses.items() if g.names != bands]
    return [f"{len(odd)} images seem to have other bands: {', '.join(odd[:5])}"] if odd else []


def _find_heights(found: Findings) -> None:
    """Whether heights count from the ground; terrain without a surface model is left out."""
    for files in found.pairs.values():
        if "ground" in files and "heights" not in files:
            found.left_out.append(
                f"{files.pop('ground')}: is left out, for terrain without a surface model shows nothing"
            )
    heights = [found.root / files["heights"] for files in found.pairs.values() if "heights" in files]
    if not heights:
        return
    try:
        meant = guess_heights_are(heights[0])
    except InputError:
        meant = "dsm"
    found.settings["heights_are"] = meant
    words = "above ground (ndsm)" if meant == "ndsm" else "absolute, ground included (dsm)"
    found.unknown.append(f"whether heights are metres {words}: heights_are")


def _propose(found: Findings, labelling: Labelling, bands: tuple[str, ...]) -> Proposal:
    layout = find_layout(found.root, found.pairs)
    files = dict(layout.patterns)
    if found.shared is not None:
        files["labels"] = str(found.shared)
    grids = {layout.names[image]: header.grid for image, header in found.headers.items()}
    splits = propose_splits(grids, {layout.names[image] for image in found.labelled if image in found.headers})
    tiled = found.tables[found.tile_file].scenes if found.tile_file else ()
    strangers = [f"{p}: fits the pattern of images, too, and will be read as a scene" for p in layout.strangers]
    unknown = [*labelling.unknown, *found.unknown, *_gsd_lines(grids), *_split_lines(splits)]
    return Proposal(
        file=found.root / FILE_NAME,
        scenes=tuple(sorted(layout.names.values())),
        bands=bands,
        classes=labelling.rows,
        counted=labelling.counted,
        files=files | found.settings,
        exceptions=layout.exceptions,
        tile_labels=str(found.tile_file) if found.tile_file else None,
        splits=_with_tile_labels(splits.splits, tiled),
        unknown=tuple(unknown),
        left_out=(*found.left_out, *strangers),
    )


def _with_tile_labels(splits: dict[str, list[str]], tiled: Collection[str]) -> dict[str, list[str]]:
    """Unlabelled scenes that a table of tile labels names move to tile_labelled."""
    bare = splits.get("unlabelled", [])
    moved = {"tile_labelled": [n for n in bare if n in tiled], "unlabelled": [n for n in bare if n not in tiled]}
    return {split: names for split, names in (splits | moved).items() if names}


def _gsd_lines(grids: Mapping[str, Grid]) -> list[str]:
    unknown = [name for name, grid in grids.items() if grid.gsd is None]
    if not unknown:
        return []
    what = "the gsd" if len(unknown) == len(grids) else f"the gsd of {len(unknown)} scenes ({', '.join(unknown[:5])})"
    return [f"{what}: no georeferencing in metres; add gsd = … (metres a pixel) if it is known"]


def _split_lines(proposed: ProposedSplits) -> list[str]:
    lines = []
    if "pixel_labelled" in proposed.splits:
        lines.append("whether the splits are fair: scenes are drawn at random; put scenes of one place into one split")
    if proposed.left_out:
        lines.append(f"no split holds {', '.join(proposed.left_out)}: they show ground of labelled scenes")
    if "pixel_labelled" in proposed.splits and "test" not in proposed.splits:
        lines.append("there is one place with labels only, so no test scene: figures need one that training never sees")
    return lines
