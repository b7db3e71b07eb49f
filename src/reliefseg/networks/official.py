"""Weights by the names of the authors' own code, so that published checkpoints can be loaded.

Source of the names: state entries of the official implementation of Qin et al. 2020 (xuebinqin/U-2-Net).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from reliefseg.networks.u2net import ResidualUBlock, U2Net

HEAD = ("side1.", "side2.", "side3.", "side4.", "side5.", "side6.", "outconv.")
"""Names of what maps features to classes."""
FIRST_CONVOLUTION = "stage1.rebnconvin.conv_s1.weight"


def official_names(net: U2Net) -> dict[str, str]:
    """Our state names by official name."""
    names: dict[str, str] = {}
    for i, block in enumerate(net.encoder, 1):
        names |= _block_names(block, f"stage{i}", f"encoder.{i - 1}")
    for i, block in enumerate(net.decoder):
        names |= _block_names(block, f"stage{5 - i}d", f"decoder.{i}")
    for kind in ("weight", "bias"):
        names |= {f"side{i + 1}.{kind}": f"sides.{i}.{kind}" for i in range(6)} | {f"outconv.{kind}": f"fuse.{kind}"}
    return names


def _block_names(block: torch.nn.Module, theirs: str, ours: str) -> dict[str, str]:
    assert isinstance(block, ResidualUBlock)
    depth = len(block.down)
    pairs = {"rebnconvin": "entry", f"rebnconv{depth + 1}": "bottom"}
    pairs |= {f"rebnconv{i + 1}": f"down.{i}" for i in range(depth)}
    pairs |= {f"rebnconv{depth - i}d": f"up.{i}" for i in range(depth)}
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    parts: tuple[tuple[str, str, tuple[str, ...]], ...]
    parts = (("conv_s1", "conv", ("weight", "bias")), ("bn_s1", "norm", norm))
    return {
        f"{theirs}.{a}.{layer}.{kind}": f"{ours}.{b}.{mine}.{kind}"
        for a, b in pairs.items()
        for layer, mine, kinds in parts
        for kind in kinds
    }


def load_official(net: U2Net, state: Mapping[str, Tensor]) -> list[str]:
    """Loads weights under official names into `net`; returns the names that were dropped.

    The head (side outputs and fusion) is dropped by name where it was made for another number of classes; a state
    that has none at all leaves the network's own (take it out by `HEAD` to start from the features alone). The
    checkpoint's bands are the network's first; those beyond start at zero, so that the widened network begins as
    exactly the narrower one. ValueError: every name that is missing or unknown and every shape that differs; then
    nothing was loaded.
    """
    names, own = official_names(net), net.state_dict()
    expected = {theirs: own[ours] for theirs, ours in names.items()}
    dropped = _other_head(state, expected)
    given = {n: _widened(v, expected[n]) if n == FIRST_CONVOLUTION else v for n, v in state.items() if n not in dropped}
    if not any(n.startswith(HEAD) for n in given):
        expected = {n: v for n, v in expected.items() if not n.startswith(HEAD)}
    faults = _faults(given, expected)
    if faults:
        raise ValueError(f"not weights of this network ({len(faults)} faults): " + "; ".join(faults))
    net.load_state_dict({**own, **{names[n]: value for n, value in given.items()}})
    return dropped


def _other_head(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    """The names of a head for another number of classes."""
    fusion = state.get("outconv.weight")
    if fusion is None or len(fusion) == len(expected["outconv.weight"]):
        return []
    return sorted(n for n in state if n.startswith(HEAD))


def _widened(weight: Tensor, like: Tensor) -> Tensor:
    """The first convolution with zeros for the bands that it lacks; anything else stays as it is, to be refused."""
    if weight.dim() != 4 or weight.shape[1] >= like.shape[1]:
        return weight
    return F.pad(weight, (0, 0, 0, 0, 0, like.shape[1] - weight.shape[1]))


def _faults(given: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    missing = sorted(expected.keys() - given.keys())
    faults = [f"{n} is missing" for n in missing if not n.endswith("num_batches_tracked")]
    faults += [f"{n} is unknown" for n in sorted(given.keys() - expected.keys())]
    shapes = {n: (tuple(given[n].shape), tuple(expected[n].shape)) for n in sorted(given.keys() & expected.keys())}
    return faults + [f"{n} has shape {a}, expected {b}" for n, (a, b) in shapes.items() if a != b]
