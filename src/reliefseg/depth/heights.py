"""Our own depth network: a small U²-Net that says metres above ground, and the file its weights live in."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from reliefseg.errors import InputError, first_line
from reliefseg.networks import PackedU2Net
from reliefseg.networks.packed import PIXELS
from reliefseg.networks.tensors import write_tensors
from reliefseg.raster.files import whole_file

FORMAT = 1
WORKING_GSD = 0.25
"""Metres a pixel at which the network is scored, and sees a scene whose gsd is assumed."""
TALLEST_M = 150.0
"""No prediction is higher."""


class HeightCard(BaseModel):
    """What a file of weights says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = FORMAT
    range_m: float = Field(gt=0)
    """99th percentile of the training scenes' heights: depth 1 in scenes whose gsd is unknown, metres."""
    window: int = Field(ge=32, multiple_of=PIXELS)
    """Side of the windows it was trained on, its own pixels."""
    trained: dict[str, str | float | int] = {}
    """How it was made: command, data, seeds, figures."""


class HeightNetwork(PackedU2Net):
    """Sees photographs, normalised by the mean and deviation of their scene.

    Its one output a pixel, fused and of each side, is log(1 + metres above ground).
    """

    def __init__(self) -> None:
        super().__init__(bands=3, classes=1)


def metres(log_heights: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Metres above ground, 0 … `TALLEST_M`, from log(1 + metres)."""
    return torch.expm1(log_heights.float()).clamp(0, TALLEST_M)


def save_heights(path: Path, network: HeightNetwork, card: HeightCard) -> None:
    """Writes weights as float16 with the card in the file's header, whole or not at all."""
    state = network.state_dict()
    halves = {name: value.to(torch.float16) for name, value in state.items() if value.is_floating_point()}
    with whole_file(path) as part:
        write_tensors(part, halves, {"reliefseg_heights": card.model_dump_json()})


def load_heights(path: Path) -> tuple[HeightNetwork, HeightCard]:
    """The network in a file, float32, for prediction; `InputError` where it is none of ours or damaged."""
    card = read_card(path)
    network = HeightNetwork()
    try:
        given = {name: value.float() for name, value in load_file(path).items()}
        own = network.state_dict()
        expected = {name for name, value in own.items() if value.is_floating_point()}
        if given.keys() != expected:
            raise RuntimeError(f"{len(expected ^ given.keys())} weights are missing or unknown")
        network.load_state_dict(own | given)  # batch norm's counters are not in the file
    except (RuntimeError, SafetensorError) as error:
        raise InputError(
            f"depth weights {path}: cannot be loaded ({error}); train them with reliefseg depth fit"
        ) from None
    return network.eval(), card


def read_card(path: Path) -> HeightCard:
    """What the file says of itself, without its weights."""
    try:
        with safe_open(path, "pt") as file:
            raw = json.loads((file.metadata() or {})["reliefseg_heights"])
        if raw.get("format", FORMAT) > FORMAT:
            raise InputError(
                f"depth weights {path}: format {raw['format']}; this version reads {FORMAT}: update reliefseg"
            )
        return HeightCard.model_validate(raw)
    except OSError:
        raise InputError(
            f"depth weights {path}: no such file; train one with reliefseg depth fit, or use --set depth.source=none"
        ) from None
    except (SafetensorError, KeyError, ValueError, ValidationError) as error:
        raise InputError(
            f"depth weights {path}: no weights of reliefseg depth fit ({type(error).__name__}: {first_line(error)})"
        ) from None
