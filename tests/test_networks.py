"""Networks: U²-Net against the authors' own numbers, PatchGAN's patches, the tile head's sizes."""

import json
from hashlib import sha256
from math import prod, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reliefseg.networks import (
    FULL,
    SMALL,
    STAGES,
    U2Net,
    load_official,
    official_names,
    to_official,
)  # fmt: skip

GOLDEN = json.loads((Path(__file__).parent / "golden" / "u2net_golden.json").read_text("utf-8"))
OFFICIAL = {"u2net": "u2net", "u2netp": "u2net-small"}
HEAD = sorted(
    f"{layer}.{kind}" for layer in [*(f"side{i}" for i in range(1, 7)), "outconv"] for kind in ("weight", "bias")
)


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
def rgb() -> U2Net:
    net = U2Net(3, 1, SMALL).eval()
    load_official(net, formula_state(net))
    return net


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


@pytest.mark.parametrize(("height", "width"), [(1, 1), (33, 64), (65, 31), (97, 130)])
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
