"""Networks: U²-Net against the authors' own numbers, PatchGAN's patches, the tile head's sizes."""

import json
from hashlib import sha256
from math import prod, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reliefseg.networks import (
    FULL,
    SMALL,
    STAGES,
    PatchDiscriminator,
    TileHead,
    U2Net,
    load_official,
    official_names,
)
from reliefseg.networks.u2net import enlarged, joined, resized

GOLDEN = json.loads((Path(__file__).parent / "golden" / "u2net_golden.json").read_text("utf-8"))
OFFICIAL = {"u2net": "u2net", "u2netp": "u2net-small"}
HEAD = [f"{layer}.{kind}" for layer in ("outconv", *(f"side{i}" for i in range(1, 7))) for kind in ("bias", "weight")]
FIRST = "stage1.rebnconvin.conv_s1.weight"


def hashed(count: int, rank: int) -> np.ndarray:
    """Numbers in [-1, 1) by the formula of shared/reference/README.md (a hash of the place; the same everywhere)."""
    h = np.arange(count, dtype=np.uint64) * np.uint64(0x9E3779B1) + np.uint64((rank + 1) * 0x85EBCA77 % 2**32)
    h %= np.uint64(2**32)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        h = (h ^ (h >> np.uint64(shift))) * np.uint64(factor) % np.uint64(2**32)
    return (h ^ (h >> np.uint64(15))).astype(np.float64) / 2**31 - 1


def formula_weight(name: str, shape: tuple[int, ...], rank: int) -> Tensor:
    u = hashed(prod(shape), rank).reshape(shape)
    if name.endswith(".running_var"):
        u = 1 + 0.5 * u
    elif name.endswith(".bn_s1.weight"):
        u = 0.6 + 0.2 * u
    elif len(shape) == 4:
        u = (1 if "rebn" in name else 2) * u * sqrt(6 / prod(shape[1:]))
    else:
        u = 0.1 * u
    return torch.from_numpy(u.astype(np.float32))


def to_official(net: U2Net) -> dict[str, Tensor]:
    """The network's state under official names."""
    state = net.state_dict()
    return {theirs: state[ours] for theirs, ours in official_names(net).items()}


def formula_state(net: U2Net) -> dict[str, Tensor]:
    state = sorted(to_official(net).items())
    return {
        name: value if name.endswith("num_batches_tracked") else formula_weight(name, tuple(value.shape), rank)
        for rank, (name, value) in enumerate(state)
    }


def formula_image(height: int, width: int, bands: int = 3) -> Tensor:
    b, y, x = np.ogrid[:bands, :height, :width]
    return torch.from_numpy(np.sin(0.11 * (b + 1) * x + 0.07 * (b + 2) * y).astype(np.float32))[None]


@pytest.fixture(scope="module", params=OFFICIAL)
def golden(request) -> tuple[dict, U2Net]:
    """The authors' numbers, and our network with the same weights."""
    net = U2Net(3, 1, STAGES[OFFICIAL[request.param]]).eval()
    assert load_official(net, formula_state(net)) == []
    return GOLDEN[request.param], net


@pytest.fixture(scope="module")
def rgb() -> dict[str, Tensor]:
    """A checkpoint of the small network for three bands and one class."""
    return formula_state(U2Net(3, 1, SMALL))


def small(bands: int = 3, classes: int = 1) -> U2Net:
    return U2Net(bands, classes, SMALL).eval()


# U²-Net: the authors' numbers


@torch.no_grad()
def test_probabilities_are_those_of_the_authors_code(golden):
    expected, net = golden
    fused, sides = net(formula_image(61, 83))
    maps = [m.sigmoid()[0, 0] for m in (fused, *sides)]
    assert [float(m.mean()) for m in maps] == pytest.approx(expected["mean"], abs=1e-4)
    assert [float(m.std(correction=0)) for m in maps] == pytest.approx(expected["std"], abs=1e-4)
    for place, value in expected["fused_at"].items():
        row, col = map(int, place.split(","))
        assert float(maps[0][row, col]) == pytest.approx(value, abs=1e-4), place
    assert [float(m[30, 41]) for m in maps[1:]] == pytest.approx(expected["side_at_30_41"], abs=1e-4)


def test_official_names_and_shapes_are_complete(golden):
    expected, net = golden
    state = to_official(net)
    lines = "\n".join(f"{name} {tuple(value.shape)}" for name, value in sorted(state.items()))
    assert len(state) == expected["state_entries"]
    assert sha256(lines.encode()).hexdigest() == expected["names_and_shapes_sha256"]
    assert sum(p.numel() for p in net.parameters()) == expected["parameters"]
    assert sorted(official_names(net).values()) == sorted(net.state_dict())


@torch.no_grad()
def test_fused_alone_is_the_same_map_whatever_the_memory_format(golden):
    _, net = golden
    x = formula_image(61, 83)
    expected = net(x).fused
    torch.testing.assert_close(net.fused(x), expected, atol=2e-5, rtol=2e-5)
    torch.testing.assert_close(
        net.fused(x.contiguous(memory_format=torch.channels_last)), expected, atol=2e-4, rtol=1e-4
    )


# U²-Net: sizes


@pytest.mark.parametrize(("stages", "millions"), [(FULL, 44.07), (SMALL, 1.15)])
def test_parameters_with_four_bands_and_five_classes(stages, millions):
    with torch.device("meta"):
        net = U2Net(4, 5, stages)
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(millions, abs=0.005)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 64), (65, 31), (97, 70)])
@torch.no_grad()
def test_any_size_comes_back_at_its_own_size(height, width):
    fused, sides = small(2, 3)(torch.randn(2, 2, height, width))
    assert [tuple(m.shape) for m in (fused, *sides)] == [(2, 3, height, width)] * 7
    assert all(m.isfinite().all() for m in (fused, *sides))


@torch.no_grad()
def test_encoder_maps_halve_rounding_up():
    maps = small().encode(torch.randn(1, 3, 61, 83))
    assert [tuple(m.shape[2:]) for m in maps] == [(61, 83), (31, 42), (16, 21), (8, 11), (4, 6), (2, 3)]


@torch.no_grad()
def test_every_side_carries_its_own_coarseness():
    """A side output of scale 2^i is bilinear between its own pixels: its second difference inside a cell is 0."""
    sides = small(1)(torch.randn(1, 1, 64, 64)).sides if False else small()(torch.randn(1, 3, 64, 64)).sides
    for i, side in enumerate(sides[1:], 1):
        cell = 2**i
        inner = side[0, 0, 32, cell // 2 : cell // 2 + cell]
        assert inner.diff(n=2).abs().max() < 1e-5 if cell > 2 else True


@torch.no_grad()
def test_side_outputs_are_resized_from_their_own_stages_size():
    """Away from the edge, a map resized 2ⁱ times is straight between the centres of its own pixels."""
    sides = small()(torch.randn(1, 3, 96, 96)).sides
    for i, side in enumerate(sides[2:], 2):
        own = 2**i
        between = side[0, 0, 48, 3 * own // 2 : 5 * own // 2]
        assert float(between.diff(n=2).abs().max()) < 1e-5
        assert float(side.std()) > 0


def test_every_parameter_learns():
    net = U2Net(2, 3, SMALL)
    fused, sides = net(torch.randn(2, 2, 33, 33))
    torch.stack([m.square().mean() for m in (fused, *sides)]).sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_joined_is_cat_with_whole_gradients(layout):
    one, two = (torch.randn(2, c, 4, 6).contiguous(memory_format=layout).requires_grad_() for c in (3, 5))
    weight = torch.randn(2, 8, 4, 6).contiguous(memory_format=layout)
    whole = joined(one, two)
    assert torch.equal(whole, torch.cat([one, two], dim=1))
    found = torch.autograd.grad(whole, (one, two), weight)
    assert all(torch.equal(a, b) for a, b in zip(found, weight.split((3, 5), dim=1), strict=True))
    assert all(g.is_contiguous(memory_format=layout) for g in found)
    with torch.no_grad():
        assert torch.equal(joined(one, two), whole)


@pytest.mark.parametrize(("size", "wanted"), [((8, 8), (64, 64)), ((3, 5), (61, 83)), ((1, 2), (33, 64))])
def test_enlarging_by_products_is_resizing(size, wanted):
    x, like = torch.randn(2, 3, *size, requires_grad=True), torch.empty(2, 1, *wanted)
    weight = torch.randn(2, 3, *wanted)
    torch.testing.assert_close(enlarged(x, like), resized(x, like), atol=1e-5, rtol=1e-5)
    found, expected = (torch.autograd.grad(way(x, like), x, weight)[0] for way in (enlarged, resized))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_shapes_alone_can_be_asked_for():
    with torch.device("meta"):
        fused, sides = U2Net(2, 3, SMALL)(torch.empty(1, 2, 40, 72))
    assert {m.shape for m in (fused, *sides)} == {(1, 3, 40, 72)}


@torch.no_grad()
def test_logits_are_float32_in_mixed_precision():
    with torch.autocast("cpu", torch.bfloat16):
        fused, sides = small(2, 3)(torch.randn(1, 2, 64, 64))
    assert {m.dtype for m in (fused, *sides)} == {torch.float32}


# Official weights


def test_the_head_is_dropped_by_name_for_another_number_of_classes(rgb):
    net = small(3, 5)
    before = {name: value.clone() for name, value in to_official(net).items()}
    assert load_official(net, rgb) == HEAD
    after = to_official(net)
    assert all(torch.equal(after[n], before[n] if n in HEAD else rgb[n]) for n in after)


def test_the_head_stays_for_the_same_number_of_classes(rgb):
    net = small()
    assert load_official(net, rgb) == []
    assert all(torch.equal(value, rgb[name]) for name, value in to_official(net).items())


def test_a_checkpoint_without_head_leaves_the_networks_own(rgb):
    net = small()
    before = net.fuse.weight.clone()
    assert load_official(net, {n: v for n, v in rgb.items() if n not in HEAD}) == []
    assert torch.equal(net.fuse.weight, before)
    assert torch.equal(net.state_dict()["encoder.0.entry.conv.weight"], rgb[FIRST])


@torch.no_grad()
def test_a_widened_network_begins_as_exactly_the_rgb_network(rgb):
    narrow, wide = small(), small(bands=5)
    load_official(narrow, rgb)
    load_official(wide, rgb)
    x = formula_image(61, 83)
    more = torch.cat([x, torch.randn(1, 2, 61, 83)], dim=1)
    none = torch.cat([x, torch.zeros(1, 2, 61, 83)], dim=1)
    assert torch.equal(wide.fused(more), wide.fused(none))
    torch.testing.assert_close(wide.fused(more), narrow.fused(x), atol=2e-5, rtol=1e-5)


def test_round_trip_and_checkpoints_without_batch_counts(rgb):
    net, other = small(), small()
    load_official(net, {n: v for n, v in rgb.items() if not n.endswith("num_batches_tracked")})
    assert load_official(other, to_official(net)) == []
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True))


def without(state: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {n: v for n, v in state.items() if n not in names}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, FIRST), rf"\(1 faults?\): {FIRST} is missing"),
        (lambda s: without(s, "side3.bias"), "side3.bias is missing"),
        (lambda s: without(s, "outconv.weight"), "outconv.weight is missing"),
        (lambda s: {**s, "stage9.x": s[FIRST]}, r"\(1 faults?\): stage9.x is unknown"),
        (
            lambda s: {**s, "side2.weight": s[FIRST]},
            r"side2.weight has shape \(64, 3, 3, 3\), expected \(1, 64, 3, 3\)",
        ),
        (
            lambda s: {**s, FIRST: s[FIRST].repeat(1, 2, 1, 1)},
            rf"{FIRST} has shape \(64, 6, 3, 3\), expected \(64, 3, 3, 3\)",
        ),
        (lambda s: {**s, FIRST: s[FIRST][0, 0, 0]}, rf"{FIRST} has shape \(3,\), expected \(64, 3, 3, 3\)"),
        (
            lambda s: {**without(s, "side6.bias"), "more": s[FIRST], "outconv.bias": torch.zeros(4)},
            r"\(3 faults\): side6.bias is missing; more is unknown; outconv.bias has shape \(4,\), expected \(1,\)",
        ),
    ],
)
def test_weights_of_another_network_are_refused_by_name_and_shape(rgb, change, message):
    net = small()
    before = [value.clone() for value in net.state_dict().values()]
    with pytest.raises(ValueError, match=message):
        load_official(net, change(rgb))
    assert all(torch.equal(a, b) for a, b in zip(net.state_dict().values(), before, strict=True))


def test_weights_of_the_full_network_are_refused_by_the_small_one():
    with pytest.raises(ValueError, match=r"stage2.rebnconv1.conv_s1.weight has shape \(32, 128, 3, 3\), expected"):
        load_official(small(), to_official(U2Net(3, 1, FULL)))


# PatchGAN


@pytest.mark.parametrize(("size", "patches"), [(24, 1), (64, 6), (200, 23), (256, 30)])
@torch.no_grad()
def test_patches_of_a_map(size, patches):
    judge = PatchDiscriminator(4, 5, width=8)
    assert judge(torch.randn(2, 4, size, size), torch.rand(2, 5, size, size)).shape == (2, 1, patches, patches)


def test_a_patch_sees_70_by_70_pixels_of_bands_and_maps():
    judge = PatchDiscriminator(2, 3, width=4).eval()
    bands, maps = torch.randn(1, 2, 256, 256).requires_grad_(), torch.randn(1, 3, 256, 256).requires_grad_()
    patches = judge(bands, maps)
    for seen in torch.autograd.grad(patches[0, 0, 15, 15], (bands, maps)):
        rows, cols = seen.abs().sum(dim=(0, 1)).nonzero(as_tuple=True)
        assert [int(v.max() - v.min()) + 1 for v in (rows, cols)] == [70, 70]


@torch.no_grad()
def test_layers_and_first_weights_of_the_discriminator():
    torch.manual_seed(0)
    judge = PatchDiscriminator(4, 5)
    convolutions = [m for m in judge.modules() if isinstance(m, nn.Conv2d)]
    norms = [m for m in judge.modules() if isinstance(m, nn.BatchNorm2d)]
    leaks = [m for m in judge.modules() if isinstance(m, nn.LeakyReLU)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (9, 64, 2), (64, 128, 2), (128, 256, 2), (256, 512, 1), (512, 1, 1),
    ]  # fmt: skip
    assert {(c.kernel_size, c.padding) for c in convolutions} == {((4, 4), (1, 1))}
    assert [n.num_features for n in norms] == [128, 256, 512]
    assert [m.negative_slope for m in leaks] == [0.2] * 4
    assert all(float(c.weight.std()) == pytest.approx(0.02, rel=0.05) for c in convolutions)
    assert all(float(n.weight.mean() - 1) == pytest.approx(0, abs=0.01) for n in norms)
    assert all(float(n.weight.std()) == pytest.approx(0.02, rel=0.3) for n in norms)
    assert [float(c.bias.abs().sum()) for c in convolutions if c.bias is not None] == [0, 0]


# The tile head


@pytest.mark.parametrize("size", [64, 128, 200, 256])
def test_tile_head_at_any_tile_size(size):
    with torch.device("meta"):
        deepest = small(2).encode(torch.empty(2, 2, size, size))[-1]
    head = TileHead(64, 5)
    logits = head(torch.randn(deepest.shape))
    assert logits.shape == (2, 5)
    logits.sum().backward()
    assert all(p.grad is not None for p in head.parameters())


@torch.no_grad()
def test_the_average_changes_nothing_at_256_px():
    """The deepest map is 8 × 8 there: twice pooled it is 2 × 2 and could be flattened as it is."""
    head, deepest = TileHead(6, 3, width=4).eval(), torch.randn(2, 6, 8, 8)
    x = nn.functional.max_pool2d(deepest, 2)
    x = head.second(nn.functional.max_pool2d(head.first(x), 2))
    assert x.shape == (2, 4, 2, 2)
    assert torch.equal(head(deepest), head.linear(x.flatten(1)))


def test_the_tile_heads_logits_take_both_signs():
    torch.manual_seed(0)
    logits = TileHead(8, 6)(torch.randn(16, 8, 8, 8))
    assert (logits > 0).any()
    assert (logits < 0).any()


def test_tiles_of_64_px_need_more_than_one_in_a_batch():
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        TileHead(8, 2)(torch.randn(1, 8, 2, 2))
