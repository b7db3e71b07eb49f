"""What a run writes down about itself: what it was computed with, what data it saw, what the reader should know."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from reliefseg.config import Settings
from reliefseg.errors import InputError
from reliefseg.hardware import describe, pick_precision
from reliefseg.raster import Dataset, Scene, color_text
from reliefseg.raster.files import read_json
from reliefseg.raster.fingerprints import fingerprint
from reliefseg.tiles.tiers import PLACES
from reliefseg.workflow.preparing import Preparation

DATA = "data.json"
"""What a run learns from, in its folder; where it lies, the run is begun."""
KNOWN_SPLITS = ("pixel_labelled", "tile_labelled", "validation")
"""Splits whose scenes a run knows again by what their images hold."""


def notes_on(dataset: Dataset, prepared: Preparation) -> list[str]:
    """What the reader of log and report should know of the data."""
    settings, notes = prepared.settings, []
    shown = int(prepared.pixels.layout.labelled_pixels)
    scenes = len(dataset.split("pixel_labelled"))
    notes.append(
        f"{scenes} pixel-labelled scenes ({shown / 1e6:.1f} Mpx with a class), {prepared.tile_labels} tile labels; "
        f"depth: {settings.depth.source}"
    )
    without = [n for n, c in zip(dataset.classes.names, prepared.pixels.layout.pixels_per_class, strict=True) if not c]
    if without:
        teaches = prepared.tiles is not None and settings.train.lessons.batch > 0
        how = "tile labels alone may teach it" if teaches else "that cannot be learnt"
        notes.append(f"No pixel-labelled scene shows {', '.join(without)}: {how}.")
    notes.append(f"Scenes to learn from ({prepared.pixels.nbytes / 1e9:.2f} GB) lie in {PLACES[prepared.tier]}.")
    if settings.pretrain.steps and not prepared.tile_labels:
        notes.append("No tile labels: pretraining is left out.")
    if prepared.tiles is not None and len(prepared.tiles) < prepared.tile_labels:
        kept = prepared.tile_labels - len(prepared.tiles)
        notes.append(f"{kept} of the tile labels, of every fifth scene, are not pretrained on: they pick the encoder.")
    if settings.precision == "bfloat16" and pick_precision("auto", prepared.pixels.device) != torch.bfloat16:
        notes.append('This processor imitates bfloat16, which takes many times as long; precision = "auto" does not.')
    if settings.validation.blocks:
        notes.append("Checkpoints are picked on a quarter of each pixel-labelled scene's labels (validation.blocks).")
        checked = {scene.name for scene in prepared.validation}
        if whole := [s.name for s in dataset.split("pixel_labelled") if s.name not in checked]:
            notes.append(f"Too few labels to spare a quarter of, all of them are learnt from: {', '.join(whole)}.")
    elif not prepared.validation:
        notes.append("No validation scenes: nothing is picked; the averaged weights of the last step are the result.")
    return notes


def environment(device: torch.device, settings: Settings, processes: int) -> dict[str, Any]:
    """What a run was computed with; every choice in `settings` is made."""
    return {
        "reliefseg": version("reliefseg"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device.type,
        "processor": describe(device),
        "precision": settings.precision,
        "threads": settings.threads,
        "processes": processes,
        "platform": platform.platform(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def data_summary(dataset: Dataset, prepared: Preparation) -> dict[str, Any]:
    """What the report says of the data."""
    splits = {
        name: [
            {
                "name": s.name,
                "height": s.grid.height,
                "width": s.grid.width,
                "megapixels": s.grid.height * s.grid.width / 1e6,
            }
            for s in dataset.split(name)
        ]
        for name in dataset.splits
    }
    counts = prepared.pixels.layout.pixels_per_class
    read = KNOWN_SPLITS[:2] if prepared.settings.validation.blocks else KNOWN_SPLITS
    return {
        "name": dataset.name,
        "bands": [*prepared.spec.bands, *(["depth"] if prepared.spec.uses_depth else [])],
        "classes": [
            {"name": c.name, "color": color_text(c.color), "labelled_pixels": int(n)}
            for c, n in zip(dataset.classes.classes, counts, strict=True)
        ],
        "splits": splits,
        "tile_labels": prepared.tile_labels,
        "digests": dict(prepared.digests),
        "images": {s.name: fingerprint([s.image]) for split in read for s in dataset.split(split)},
        "labelled_megapixels": int(counts.sum()) / 1e6,
        "mean": list(prepared.spec.mean),
        "std": list(prepared.spec.std),
    }


def refuse_changed(then: Mapping[str, Any], now: Mapping[str, Any], run: Path) -> None:
    """InputError where a run was begun on other data than it would go on with; the test split may change."""
    before, after = _learnt_from(then), _learnt_from(now)
    images = before.pop("images", {}), after.pop("images")
    digests = before.pop("digests", {}), after.pop("digests")
    other = [
        f"{key}: {_short(before[key])} then, {_short(after[key])} now"
        for key in after
        if key in before and before[key] != after[key]
    ]
    other += [f"another image {name}" for name, digest in images[1].items() if images[0].get(name, digest) != digest]
    other += [f"other {kind}" for kind, digest in digests[1].items() if digests[0].get(kind, digest) != digest]
    if other:
        raise InputError(
            f"run folder {run}: was begun on other data ({'; '.join(other)}); put the data back as it was, or begin "
            "another run"
        )


def known_to(folder: Path, scenes: Sequence[Scene]) -> tuple[list[str], list[str]]:
    """Which of the scenes, by name, a run learnt from by pixel or tile labels, and which it validated on.

    They are known by what their images hold, however they and their data set are called now.
    """
    data = read_json(folder / DATA)
    images = data.get("images", {})
    by_split = {split: {one["name"]: one for one in data["splits"].get(split, [])} for split in KNOWN_SPLITS}
    sizes = {(one["height"], one["width"]) for known in by_split.values() for one in known.values()}
    alike = {s.name: fingerprint([s.image]) for s in scenes if (s.grid.height, s.grid.width) in sizes}

    def among(splits: Sequence[str]) -> list[str]:
        held = {images.get(name) for split in splits for name in by_split[split]} - {None}
        return [name for name, image in alike.items() if image in held]

    return among(KNOWN_SPLITS[:2]), among(KNOWN_SPLITS[2:])


def classes_not_shown(folder: Path) -> list[str]:
    """Classes of which a run's pixel-labelled scenes have no pixel."""
    classes = read_json(folder / DATA)["classes"]
    return [one["name"] for one in classes if not one["labelled_pixels"]]


def _learnt_from(summary: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it; of splits those that a run reads."""
    splits = {name: scenes for name, scenes in summary["splits"].items() if name != "test"}
    return dict(json.loads(json.dumps({**summary, "splits": splits})))


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
