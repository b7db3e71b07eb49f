"""Weights by the names of the authors' own code, so that published checkpoints can be loaded.

Source of the names: state entries of the official implementation of Qin et al. 2020.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
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
    parts = [("conv_s1", "conv", ("weight", "bias"))]
    parts.append(("bn_s1", "norm", ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")))
    return {
        f"{theirs}.{a}.{layer}.{kind}": f"{ours}.{b}.{mine}.{kind}"
        for a, b in pairs.items()
        for layer, mine, kinds in parts
        for kind in kinds
    }


def to_official(net: U2Net) -> dict[str, Tensor]:
    """The network's state under official names."""
    state = net.state_dict()
    return {theirs: state[ours] for theirs, ours in official_names(net).items()}


def load_official(net: U2Net, state: Mapping[str, Tensor]) -> list[str]:
    """Loads weights under official names into `net`; returns the names that were dropped.

    The head (side outputs and fusion) is dropped by name when it was made for another number of classes. Bands
    beyond those of the checkpoint start at zero, so that the widened network begins as exactly the narrower one.
    ValueError: every name that is missing or unknown and every shape that differs.
    """
    names, own = official_names(net), net.state_dict()
    given = dict(state)
    dropped = [] if _same_head(given, own, names) else sorted(n for n in given if n.startswith(HEAD))
    for name in dropped:
        del given[name]
    if FIRST_CONVOLUTION in given:
        given[FIRST_CONVOLUTION] = _widened(given[FIRST_CONVOLUTION], own[names[FIRST_CONVOLUTION]].shape[1])
    wanted = {n for n in names if not (dropped and n.startswith(HEAD))}
    faults = _faults(given, own, names, wanted)
    if faults:
        raise ValueError("not weights of this network: " + "; ".join(faults))
    net.load_state_dict({**own, **{names[n]: value for n, value in given.items()}})
    return dropped


def _same_head(given: Mapping[str, Tensor], own: Mapping[str, Tensor], names: Mapping[str, str]) -> bool:
    return "outconv.weight" in given and given["outconv.weight"].shape == own[names["outconv.weight"]].shape


def _widened(weight: Tensor, bands: int) -> Tensor:
    missing = bands - weight.shape[1]
    if missing <= 0:
        return weight
    return torch.cat([weight, weight.new_zeros(weight.shape[0], missing, *weight.shape[2:])], dim=1)


def _faults(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], names: Mapping[str, str], wanted: set[str]
) -> list[str]:
    faults = [f"{n} is missing" for n in sorted(wanted - given.keys()) if not n.endswith("num_batches_tracked")]
    faults += [f"{n} is unknown" for n in sorted(given.keys() - wanted)]
    for name in sorted(wanted & given.keys()):
        found, expected = tuple(given[name].shape), tuple(own[names[name]].shape)
        if found != expected:
            faults.append(f"{name} has shape {found}, expected {expected}")
    return faults
