"""U²-Net on squares of pixels: the shape of the depth network, as a generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from reliefseg.networks.u2net import Stage, U2Net, U2NetOutput

PIXELS = 2
"""The network sees so many pixels by so many as one, each of them in channels of its own."""

RELIEF = (
    Stage(6, 16, 32), Stage(5, 16, 48), Stage(4, 24, 64), Stage(3, 32, 96),
    Stage(3, 32, 96, True), Stage(3, 32, 96, True),
    Stage(3, 32, 96, True), Stage(3, 32, 64), Stage(4, 24, 48), Stage(5, 16, 32), Stage(6, 16, 32),
)  # fmt: skip
"""The small U²-Net with narrower fine stages and wider coarse ones: 1.8 million weights to 1.1, and on squares of
pixels an eighth of the work."""


class PackedU2Net(nn.Module):
    """U²-Net that sees `PIXELS` × `PIXELS` pixels as one and answers for each of them; logits as U²-Net's.

    Working at half the size costs a quarter: the pixels of a square become channels, and so do its answers. Any
    height and width will do; odd ones are filled up by repeating the last row or column. Source: Shi et al., CVPR
    2016, section 3.2, for the way back.
    """

    def __init__(self, bands: int, classes: int):
        super().__init__()
        self.body = U2Net(bands * PIXELS**2, classes * PIXELS**2, RELIEF)
        self.deepest_channels = self.body.deepest_channels

    @property
    def encoder(self) -> nn.ModuleList:
        """The body's."""
        return self.body.encoder

    def encode(self, x: Float[Tensor, "n bands h w"]) -> tuple[Tensor, ...]:
        """The encoder's six maps, finest first, which has half the height and width of `x`, rounded up."""
        return self.body.encode(_packed(x))

    def forward(self, x: Float[Tensor, "n bands h w"]) -> U2NetOutput:
        """Logits of the fused map and of the six side outputs."""
        output = self.body(_packed(x))
        return U2NetOutput(_unpacked(output.fused, x), tuple(_unpacked(side, x) for side in output.sides))

    def fused(self, x: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits of the fused map alone."""
        return _unpacked(self.body.fused(_packed(x)), x)


HEADS = ("sides.", "fuse.")
FIRST = "encoder.0.entry.conv.weight"


def load_relief(net: PackedU2Net, state: Mapping[str, Tensor], shown: Sequence[int]) -> None:
    """Gives the network the depth network's weights (`state` of its body), but for the heads, which stay as they are.

    `shown` are the bands that the depth network sees as red, green and blue; the other bands start at zero, so that
    at first the features are those of the depth network. Without any the first convolution stays as it is.
    """
    taken = {name: value for name, value in state.items() if not name.startswith(HEADS)}
    own = net.body.state_dict()
    taken[FIRST] = _spread(state[FIRST], own[FIRST], shown)
    net.body.load_state_dict({**own, **taken})


def _spread(weight: Tensor, like: Tensor, shown: Sequence[int]) -> Tensor:
    """The first convolution's weights, moved to the bands they are for."""
    if not shown:
        return like
    spread = torch.zeros_like(like)
    of_band = spread.unflatten(1, (-1, PIXELS**2))
    for channel, band in enumerate(shown):
        of_band[:, band] += weight.unflatten(1, (-1, PIXELS**2))[:, channel]
    return spread


def _packed(x: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n more_bands h2 w2"]:
    below, right = (-x.shape[axis] % PIXELS for axis in (2, 3))
    return F.pixel_unshuffle(F.pad(x, (0, right, 0, below), mode="replicate") if below or right else x, PIXELS)


def _unpacked(maps: Float[Tensor, "n more h2 w2"], like: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n _ h w"]:
    return F.pixel_shuffle(maps, PIXELS)[:, :, : like.shape[2], : like.shape[3]]
