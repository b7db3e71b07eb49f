"""How well depth tells a class from the rest, beside plain brightness.

    python benchmarks/depth_auc.py DATASET --class building --json

For each scene whose labelled pixels are 5 % to 95 % of the class: the area under the ROC curve of depth, and of
brightness (the mean of the image bands), with the class as positive; then the mean over those scenes. Labels are
only read to measure with; depth is made as `reliefseg depth` makes it, from the cache where it lies there.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from reliefseg.config import load_settings
from reliefseg.depth import read_depth
from reliefseg.errors import InputError
from reliefseg.raster import IGNORE_INDEX, Dataset, Scene, load_dataset
from reliefseg.workflow import make_depth_rasters
from reliefseg.workflow.making_depth import with_depth_resolved

SHARES = (0.05, 0.95)
"""A scene counts where the class has a share of the labelled pixels between these."""
SAMPLE = 1_000_000
"""About so many pixels of a scene are looked at, evenly spread."""


def main() -> int:
    arguments = parsed()
    try:
        dataset = load_dataset(arguments.dataset, arguments.cache)
        result = measure(dataset, arguments.name, arguments.splits, arguments.assign)
    except InputError as error:
        print("\n".join(f"depth_auc: {offence}" for offence in error.offences), file=sys.stderr)
        return 2
    print(json.dumps(result, indent=1) if arguments.json else table(result))
    return 0


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--class", dest="name", default="building", help="the class to be told from the rest")
    parser.add_argument("--splits", nargs="+", help="only scenes of these splits [default: all scenes with labels]")
    parser.add_argument("--set", dest="assign", action="append", default=[], help="a setting, depth.source=…")
    parser.add_argument("--cache", type=Path, help="folder for what is derived from the data set")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measure(dataset: Dataset, name: str, splits: list[str] | None, assign: list[str]) -> dict[str, object]:
    """AUCs of each scene that counts, and their means."""
    if name not in dataset.classes.names:
        raise InputError(f"--class {name}: unknown; the data set has {', '.join(dataset.classes.names)}")
    settings = load_settings("cpu", None, assign)
    wanted = [s for split in splits for s in dataset.split(split)] if splits else list(dataset.scenes.values())
    wanted = [scene for scene in wanted if scene.has_labels]
    rasters = make_depth_rasters(dataset, settings)
    figures = {scene.name: figures_of(scene, dataset.classes.names.index(name), rasters) for scene in wanted}
    counted = {scene: figure for scene, figure in figures.items() if figure is not None}
    if not counted:
        raise InputError(f"data set {dataset.name}: no labelled scene is 5 % to 95 % {name}")
    return {
        "dataset": dataset.name,
        "class": name,
        "source": with_depth_resolved(settings, dataset).depth.source,
        "scenes": len(counted),
        "left_out": len(figures) - len(counted),
        "auc_depth": float(np.mean([f["auc_depth"] for f in counted.values()])),
        "auc_brightness": float(np.mean([f["auc_brightness"] for f in counted.values()])),
        "per_scene": counted,
    }


def figures_of(scene: Scene, wanted: int, rasters: Mapping[str, Path]) -> dict[str, float] | None:
    """The scene's AUCs; None where it has too little or too much of the class."""
    labels = scene.read_labels()
    depth = read_depth(rasters[scene.name]) if rasters else np.zeros(labels.shape, np.float32)
    known = (labels != IGNORE_INDEX) & np.isfinite(depth)
    every = max(1, known.sum() // SAMPLE)
    positive = (labels[known] == wanted)[::every]
    share = positive.mean() if positive.size else 0.0
    if not SHARES[0] <= share <= SHARES[1]:
        return None
    brightness = scene.read_bands().mean(axis=0, dtype=np.float32)
    return {
        "share": float(share),
        "auc_depth": float(roc_auc_score(positive, depth[known][::every])),
        "auc_brightness": float(roc_auc_score(positive, brightness[known][::every])),
    }


def table(result: dict[str, object]) -> str:
    per_scene = result["per_scene"]
    assert isinstance(per_scene, dict)
    lines = [f"{'scene':<20} share  depth  brightness"]
    for name, f in per_scene.items():
        lines.append(f"{name:<20} {f['share']:.3f}  {f['auc_depth']:.3f}  {f['auc_brightness']:.3f}")
    lines.append(
        f"{'mean of ' + str(len(per_scene)):<20}        {result['auc_depth']:.3f}  {result['auc_brightness']:.3f}"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
