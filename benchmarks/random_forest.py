"""Random forests on pixels: what a map must beat to be worth its training.

    python benchmarks/random_forest.py ../shared/data/dubai                   # validation scenes
    python benchmarks/random_forest.py ../shared/data/dubai --split test      # the published comparison

Two forests learn from pixels drawn from the pixel_labelled scenes: (a) of the pixel's colours, (b) of colours,
their Gaussian means at 2, 6 and 16 px and their local deviation. Both are measured on whole scenes of a split by
the same figures as any model. About 5 minutes on 2 cores. Reading a test split is to be listed in DESIGN.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from scipy.ndimage import gaussian_filter
from sklearn.ensemble import RandomForestClassifier

from reliefseg.errors import InputError
from reliefseg.evaluation import SplitEvaluation
from reliefseg.raster import IGNORE_INDEX, Dataset, Scene, load_dataset

SIGMAS = (2.0, 6.0, 16.0)
"""Pixels: the widths of the Gaussian means."""

DEVIATION_SIGMA = 2.0
"""Pixels: the width over which bands deviate from their local mean."""

ROWS_AT_ONCE = 256

Bands = Float32[np.ndarray, "bands height width"]
Features = Float32[np.ndarray, "features height width"]


class Baseline(NamedTuple):
    """A forest by what it sees of a pixel."""

    name: str
    features: Callable[[Scene], Features]


def colours(scene: Scene) -> Features:
    """The image bands as they are; zero where the scene is not valid."""
    return np.where(scene.read_valid(), scene.read_bands(), 0).astype(np.float32)


def colours_and_surroundings(scene: Scene) -> Features:
    """Bands, their Gaussian means, and their local deviation; what is not valid weighs nothing."""
    bands, valid = colours(scene), scene.read_valid()
    means = [gaussian_means(bands, valid, sigma) for sigma in SIGMAS]
    local = gaussian_means(bands, valid, DEVIATION_SIGMA)
    squares = gaussian_means(bands**2, valid, DEVIATION_SIGMA)
    deviation = np.sqrt(np.maximum(squares - local**2, 0.0))
    return np.concatenate([bands, *means, deviation])


BASELINES = (
    Baseline("pixel colours", colours),
    Baseline("colours, means, deviation", colours_and_surroundings),
)


def gaussian_means(bands: Bands, valid: Bool[np.ndarray, "height width"], sigma: float) -> Bands:
    """Each band's Gaussian mean over the valid pixels around; scenes are reflected at their edges."""
    weight = np.maximum(gaussian_filter(valid.astype(np.float32), sigma), np.float32(1e-6))
    return np.stack([gaussian_filter(band * valid, sigma) / weight for band in bands])


def drawn_pixels(
    scenes: Sequence[Scene], features: Callable[[Scene], Features], per_scene: int, seed: int
) -> tuple[Float32[np.ndarray, "pixels features"], UInt8[np.ndarray, " pixels"]]:
    """Features and classes of labelled pixels, as many from each scene, drawn without putting back."""
    rng = np.random.default_rng(seed)
    parts = []
    for scene in scenes:
        labels = scene.read_labels().ravel()
        labelled = np.flatnonzero(labels != IGNORE_INDEX)
        chosen = rng.choice(labelled, min(per_scene, labelled.size), replace=False)
        seen = features(scene)
        parts.append((seen.reshape(len(seen), -1)[:, chosen].T, labels[chosen]))
    values, classes = zip(*parts, strict=True)
    return np.concatenate(values), np.concatenate(classes)


def class_map(
    forest: RandomForestClassifier, features: Features, valid: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width"]:
    """The forest's class of every valid pixel, IGNORE_INDEX elsewhere.

    Rows go to threads, not trees: the forest's own threads add up votes in any order, so ties fall differently
    from run to run.
    """
    out = np.full(valid.shape, IGNORE_INDEX, np.uint8)

    def fill(row: int) -> None:
        rows = slice(row, row + ROWS_AT_ONCE)
        if valid[rows].any():
            out[rows][valid[rows]] = forest.predict(features[:, rows][:, valid[rows]].T)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(fill, range(0, len(valid), ROWS_AT_ONCE)))
    return out


def measure(dataset: Dataset, baseline: Baseline, options: argparse.Namespace) -> dict[str, Any]:
    """Trains one forest and returns its metrics on the split, with seconds and pixels seen."""
    began = time.monotonic()
    values, classes = drawn_pixels(labelled(dataset, "pixel_labelled"), baseline.features, options.pixels, options.seed)
    forest = RandomForestClassifier(
        options.trees, min_samples_leaf=options.leaf, n_jobs=-1, random_state=options.seed
    ).fit(values, classes)
    forest.set_params(n_jobs=1)
    tally = SplitEvaluation(dataset.classes)
    for scene in labelled(dataset, options.split):
        predicted = class_map(forest, baseline.features(scene), scene.read_valid())
        tally.add(scene.name, scene.read_labels(), predicted)
        print(f"{baseline.name}: {scene.name}", file=sys.stderr)
    return {
        "baseline": baseline.name,
        "split": options.split,
        "seed": options.seed,
        "pixels_seen": len(classes),
        **tally.to_metrics(),
        "seconds": round(time.monotonic() - began, 1),
    }


def labelled(dataset: Dataset, split: str) -> list[Scene]:
    """The scenes of a split, which must be stated."""
    scenes = dataset.split(split)
    if not scenes:
        raise InputError(f"{dataset.name}: no scene in split {split}; stated: {', '.join(dataset.splits)}")
    return scenes


def table(results: Sequence[dict[str, Any]]) -> str:
    """The figures of all forests in percent, a column each."""
    rows = {"": [one["baseline"] for one in results]}
    for key in ("mean_iou", "mean_f1", "overall_accuracy", "boundary_f1"):
        rows[key.replace("_", " ")] = [percent(one[key]) for one in results]
    rows["mean iou, eroded"] = [percent(one["eroded"]["mean_iou"]) for one in results]
    for name in results[0]["classes"]:
        rows[f"iou {name}"] = [percent(one["iou"][name]) for one in results]
    rows["seconds"] = [f"{one['seconds']:.0f}" for one in results]
    width = max(map(len, rows))
    lines = (f"{name:<{width}}" + "".join(f"  {one:>26}" for one in row) for name, row in rows.items())
    return "\n".join(lines)


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Random forests on pixels, by the figures of reliefseg.")
    parser.add_argument("dataset", help="data-set folder, or its dataset.toml")
    parser.add_argument("--split", default="validation", choices=["validation", "test"])
    parser.add_argument("--pixels", type=int, default=20_000, help="pixels drawn from each labelled scene")
    parser.add_argument("--trees", type=int, default=100)
    parser.add_argument("--leaf", type=int, default=5, help="fewest pixels in a leaf")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    options = parser.parse_args()
    try:
        dataset = load_dataset(options.dataset)
        results = [measure(dataset, baseline, options) for baseline in BASELINES]
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    print(json.dumps(results, indent=1) if options.json else table(results))


if __name__ == "__main__":
    main()
