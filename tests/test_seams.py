"""A real network's map changes at the borders of windows no more than elsewhere."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from reliefseg.depth import DepthSettings
from reliefseg.export import BundleClass, ModelSpec
from reliefseg.inference.predict import ScenePredictor
from reliefseg.inference.windows import Axis
from reliefseg.tiles import SceneArrays

WINDOW, MARGIN = 64, 4
KEPT, STRIDE = 56, 49
NEAR = 8
"""A border is held against places so many pixels around it, where the scene is much the same."""


def spec_of(margin=MARGIN):
    return ModelSpec(
        network="u2net-small", bands=("red", "green"), scene_bands=("red", "green"), loss="softmax",
        classes=tuple(BundleClass(name=n, color=(i * 40, 9, 9)) for i, n in enumerate(("road", "roof", "tree"))),
        mean=(128.0, 128.0), std=(50.0, 50.0), working_scale=1.0, reference_gsd=None, window=WINDOW, margin=margin,
        depth=DepthSettings(source="none"),
    )  # fmt: skip


def smooth_scene(height, width, seed):
    """Two bands of smooth hills: on noise every pixel differs from the next and borders would not show."""
    hills = gaussian_filter(np.random.default_rng(seed).normal(size=(2, height, width)), (0, 6, 6))
    bands = np.clip(hills / hills.std() * 50 + 128, 1, 254).astype(np.uint8)
    return SceneArrays(bands, np.ones((height, width), bool), np.full((height, width), 255, np.uint8), None)


@pytest.fixture(scope="module")
def network():
    """The small network after ten steps: the class is how high the hills of both bands are."""
    torch.manual_seed(0)
    spec, rng = spec_of(), np.random.default_rng(0)
    network, bands = spec.build_network().train(), smooth_scene(256, 256, seed=1).bands
    labels = (bands > 140).sum(axis=0)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(10):
        corners = rng.integers(0, 256 - WINDOW, (4, 2))
        cuts = [(slice(row, row + WINDOW), slice(col, col + WINDOW)) for row, col in corners]
        x = torch.from_numpy(np.stack([bands[:, *cut] for cut in cuts])).float()
        truth = torch.from_numpy(np.stack([labels[cut] for cut in cuts]))
        loss = torch.nn.functional.cross_entropy(network((x - 128) / 50).fused, truth)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return network.eval()


def border_change(network, height, width, seed, margin=MARGIN):
    """How much probabilities change across borders of windows' kept parts, over how much they do nearby."""
    predictor = ScenePredictor(spec_of(margin), network)
    found = predictor.probabilities(smooth_scene(height, width, seed))
    plan, at_borders, nearby = predictor.plan(height, width, 1.0), [], []
    for direction, axis in ((1, plan.down), (2, plan.across)):
        changes = np.abs(np.diff(found, axis=direction)).mean(axis=(0, 3 - direction))
        borders = {k - 1 for k in axis.kept[1:]} | {k + axis.keep - 1 for k in axis.kept[:-1]}
        distance = np.abs(np.subtract.outer(np.arange(len(changes)), sorted(borders))).min(axis=1, initial=NEAR + 1)
        at_borders += changes[distance == 0].tolist()
        nearby += changes[(distance > 2) & (distance <= NEAR)].tolist()
    return np.mean(at_borders) / np.mean(nearby)


@settings(max_examples=6, derandomize=True)
@given(st.integers(120, 300), st.integers(120, 300), st.integers(0, 2**32 - 1))
@example(KEPT + 3 * STRIDE, KEPT + 4 * STRIDE, 3)
def test_at_no_border_of_windows_the_map_changes_more_than_nearby(network, height, width, seed):
    assert border_change(network, height, width, seed) < 1.15


def test_the_sizes_that_divide_do():
    kept = Axis(KEPT + 3 * STRIDE, WINDOW, MARGIN).kept
    assert {b - a for a, b in pairwise(kept)} == {STRIDE}


def test_windows_put_side_by_side_would_show(network, monkeypatch):
    monkeypatch.setattr(Axis, "overlap", 0)
    assert border_change(network, 3 * WINDOW, 4 * WINDOW, 3, margin=0) > 2
