"""Fewer digits cost no accuracy: the debug preset in float32 and in bfloat16, on classes that are easily told."""

import json

import numpy as np
import pytest
import torch

from reliefseg.config import load_settings
from reliefseg.hardware import pick_precision
from reliefseg.raster import Grid, load_dataset, write_raster
from reliefseg.workflow import train

COLOURS = {"street": (90, 90, 90), "roof": (160, 80, 70), "lawn": (70, 140, 60)}
SPLITS = {"pixel_labelled": ["s0", "s1"], "validation": ["s2", "s3", "s4"]}


@pytest.fixture(scope="module")
def coloured(tmp_path_factory):
    """Five scenes of squares, each class in a colour of its own under noise."""
    folder, grid = tmp_path_factory.mktemp("coloured"), Grid(96, 96)
    for i in range(5):
        rng = np.random.default_rng(i)
        ids = np.kron(rng.integers(0, 3, (6, 6)), np.ones((16, 16))).astype(np.uint8)
        look = np.array(list(COLOURS.values()))[ids] + rng.normal(0, 15, (96, 96, 3))
        image = look.clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
        write_raster(folder / "images" / f"s{i}.tif", np.ascontiguousarray(image), grid)
        write_raster(folder / "labels" / f"s{i}.tif", ids, grid)
    text = 'name = "coloured"\nbands = ["red", "green", "blue"]\ngsd = 0.5\n'
    text += "".join(f'[[classes]]\nname = "{name}"\nid = {i}\n' for i, name in enumerate(COLOURS))
    text += '[files]\nimages = "images/{scene}.tif"\nlabels = "labels/{scene}.tif"\n[splits]\n'
    text += "".join(f"{split} = {json.dumps(scenes)}\n" for split, scenes in SPLITS.items())
    (folder / "dataset.toml").write_text(text, encoding="utf-8")
    return load_dataset(folder)


@pytest.mark.skipif(
    pick_precision("auto", torch.device("cpu")) is not torch.bfloat16,
    reason="bfloat16 is imitated here, takes minutes, and is not what reliefseg would choose",
)
def test_debug_ends_within_three_points_in_float32_and_bfloat16(coloured, tmp_path):
    ends = []
    for precision in ("float32", "bfloat16"):
        changes = ["depth.source='none'", f"precision={precision}"]
        train(coloured, tmp_path / precision, load_settings("debug", None, changes))
        lines = [json.loads(line) for line in (tmp_path / precision / "log.jsonl").read_text().splitlines()]
        looks = [line["mean_iou"] for line in lines if line["event"] == "validation" and line["phase"] == "train"]
        ends.append(looks[-1])
    assert min(ends) > 0.8, "learnt, or there would be nothing to compare"
    assert ends[0] == pytest.approx(ends[1], abs=0.03)
