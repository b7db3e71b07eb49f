"""The ablation: what its rows switch, and whether it tells the truth."""

import numpy as np
import pytest
import torch

from reliefseg.config import settings_from
from reliefseg.errors import InputError
from reliefseg.networks import PackedU2Net, TileHead, UNet, build_generator
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import BoxLayout, TileSettings, draw_boxes


def layout_of(*shapes, classes=2, relative_gsd=None):
    labels = [np.random.default_rng(0).integers(0, classes, shape).astype(np.uint8) for shape in shapes]
    return BoxLayout(labels, classes, relative_gsd or [1.0] * len(labels))


GRID = TileSettings(size=32, centres="grid", box_factor=(1.0, 1.0))


def test_a_grid_of_boxes_is_drawn_evenly_and_lies_side_by_side():
    boxes = draw_boxes(layout_of((64, 100), (40, 40)), GRID, seed=0, step=0, count=4000)
    places = np.stack([boxes.scene, boxes.top, boxes.left], axis=1)
    found, counts = np.unique(places, axis=0, return_counts=True)
    expected = [(0, row, col) for row in (0, 32) for col in (0, 32, 64)] + [(1, 0, 0)]
    assert [tuple(one) for one in found] == expected
    assert counts.min() > 450
    assert set(boxes.height) == set(boxes.width) == {32.0}
    assert boxes.flip_rows.any()


def test_a_grid_leaves_out_what_is_not_labelled_and_shrinks_to_small_scenes():
    labels = np.full((64, 64), IGNORE_INDEX, np.uint8)
    labels[:32, 32:] = 1
    boxes = draw_boxes(BoxLayout([labels], 2, [1.0]), GRID, seed=0, step=3, count=50)
    assert set(zip(boxes.top, boxes.left, strict=True)) == {(0.0, 32.0)}
    tiny = draw_boxes(layout_of((20, 30)), GRID, seed=0, step=0, count=5)
    assert set(tiny.height) == {20.0}
    coarse = draw_boxes(layout_of((64, 64), relative_gsd=[2.0]), GRID, seed=0, step=0, count=50)
    assert set(coarse.height) == {16.0}


def test_a_grid_with_random_sizes_is_refused():
    with pytest.raises(InputError, match=r"centres = 'grid' needs box_factor \[1, 1\]"):
        settings_from({"tiles": {"centres": "grid"}})


@pytest.mark.parametrize("name", ["unet-small", "u2net-relief"])
@pytest.mark.parametrize("size", [(64, 64), (33, 47)])
def test_other_generators_offer_what_the_loop_needs(name, size):
    network = build_generator(name, 4, 3).eval()
    x = torch.randn(2, 4, *size)
    with torch.no_grad():
        output = network(x)
        assert output.fused.shape == (2, 3, *size)
        torch.testing.assert_close(network.fused(x), output.fused)
        deepest = network.encode(x)[-1]
    assert deepest.shape[1] == network.deepest_channels
    assert TileHead(network.deepest_channels, 3).eval()(deepest).shape == (2, 3)
    assert all(side.shape == output.fused.shape for side in output.sides)


@pytest.mark.parametrize(("plain", "other"), [("unet", "u2net"), ("unet-small", "u2net-small")])
def test_plain_unets_are_of_like_size(plain, other):
    with torch.device("meta"):
        sizes = [sum(p.numel() for p in build_generator(name, 4, 5).parameters()) for name in (plain, other)]
    assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_every_weight_of_other_generators_learns():
    for network in (UNet(3, 2, 4), PackedU2Net(3, 2)):
        output = network(torch.randn(2, 3, 64, 64))
        (output.fused.square().mean() + sum(side.square().mean() for side in output.sides)).backward()
        assert not [name for name, p in network.named_parameters() if p.grad is None]
