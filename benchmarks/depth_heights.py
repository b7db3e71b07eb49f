"""How well depth agrees with true heights above ground.

    reliefseg generate /tmp/unseen --scenes 8 --seed 4242
    python benchmarks/depth_heights.py /tmp/unseen --json

For each scene with heights: the correlation of depth with true metres above ground (clipped at 0), and the area under
the ROC curve of "higher than 2.5 m"; then means over scenes. Depth saturates at `depth.range_m` as it always does.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from reliefseg.config import load_settings
from reliefseg.depth import read_depth
from reliefseg.errors import InputError
from reliefseg.raster import Dataset, Scene, load_dataset
from reliefseg.workflow import make_depth_rasters

HIGH_M = 2.5
"""What stands higher is taken for a building or a tree."""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--set", dest="assign", action="append", default=[], help="a setting, depth.weights=…")
    parser.add_argument("--cache", type=Path, help="folder for what is derived from the data set")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    try:
        result = measure(load_dataset(arguments.dataset, arguments.cache), arguments.assign)
    except InputError as error:
        print("\n".join(f"depth_heights: {offence}" for offence in error.offences), file=sys.stderr)
        return 2
    lines = [f"{result[key]:.3f} {key}" for key in ("correlation", "auc")]
    print(json.dumps(result, indent=1) if arguments.json else "\n".join(lines))
    return 0


def measure(dataset: Dataset, assign: list[str]) -> dict[str, object]:
    """Figures of all scenes with heights, and their means."""
    scenes = [scene for scene in dataset.scenes.values() if scene.has_heights]
    if not scenes:
        raise InputError(f"data set {dataset.name}: no scene has heights")
    settings = load_settings("cpu", None, ["depth.source=builtin", *assign])
    rasters = make_depth_rasters(dataset, settings)
    per_scene = {scene.name: figures_of(scene, rasters[scene.name]) for scene in scenes}
    means = {key: float(np.mean([f[key] for f in per_scene.values()])) for key in ("correlation", "auc")}
    return {"dataset": dataset.name, "scenes": len(scenes), **means, "per_scene": per_scene}


def figures_of(scene: Scene, raster: Path) -> dict[str, float]:
    """Correlation and AUC of one scene."""
    depth, metres = read_depth(raster), scene.read_heights()
    known = np.isfinite(depth) & np.isfinite(metres)
    seen, true = depth[known], np.maximum(metres[known], 0)
    return {
        "correlation": float(np.corrcoef(seen, true)[0, 1]),
        "auc": float(roc_auc_score(true > HIGH_M, seen)),
    }


if __name__ == "__main__":
    sys.exit(main())
