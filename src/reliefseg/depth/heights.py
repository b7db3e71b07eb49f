"""Our own depth network: a small U²-Net that says metres above ground, and the file its weights live in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from reliefseg.errors import InputError, first_line
from reliefseg.networks import U2Net
from reliefseg.networks.packed import PIXELS, RELIEF
from reliefseg.raster.files import whole_file

FORMAT = 1
WORKING_GSD = 0.25
"""Metres a pixel at which the network is scored, and sees a scene whose gsd is assumed."""
TALLEST_M = 150.0
"""No prediction is higher."""


class Seen(NamedTuple):
    """What the network makes of photographs: log(1 + metres above ground) at every pixel, fused and of the six side
    outputs."""

    fused: Float[Tensor, "n h w"]
    sides: tuple[Float[Tensor, "n h w"], ...]


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


class HeightNetwork(nn.Module):
    """A small U²-Net on photographs seen 2 × 2 pixels at a time.

    Working at half the size costs a quarter and loses nothing that the weights could not carry: the pixels of a
    square become channels, and each square answers with four heights. Source of that: Shi et al., CVPR 2016.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = U2Net(3 * PIXELS**2, PIXELS**2, RELIEF)

    def forward(self, photos: Float[Tensor, "n 3 h w"]) -> Seen:
        """Photographs, normalised by the mean and deviation of their scene; height and width are even."""
        output = self.body(F.pixel_unshuffle(photos, PIXELS))
        return Seen(_heights(output.fused), tuple(_heights(side) for side in output.sides))


def metres(log_heights: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Metres above ground, 0 … `TALLEST_M`, from log(1 + metres)."""
    return torch.expm1(log_heights.float()).clamp(0, TALLEST_M)


def save_heights(path: Path, network: HeightNetwork, card: HeightCard) -> None:
    """Writes weights as float16 with the card in the file's header, whole or not at all."""
    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items() if v.is_floating_point()}
    halves = {name: value.to(torch.float16) for name, value in state.items()}
    with whole_file(path) as part:
        save_file(halves, part, {"reliefseg_heights": card.model_dump_json()})


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


def _heights(output: Float[Tensor, "n four h w"]) -> Float[Tensor, "n h2 w2"]:
    return F.pixel_shuffle(output, PIXELS)[:, 0]
