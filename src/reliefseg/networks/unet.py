"""A plain U-Net: what U²-Net is held against.

Source: Ronneberger, Fischer and Brox, MICCAI 2015, fig. 1, with batch norm, padded convolutions and bilinear resizing
in place of up-convolutions.
"""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from reliefseg.networks.recomputing import recomputed
from reliefseg.networks.u2net import ConvBlock, U2NetOutput, joined, pooled, resized

LEVELS = 5
WIDTHS = {"unet": 76, "unet-small": 12}
"""Channels of the finest maps, by the names that settings use: about as many weights as `u2net` and `u2net-small`."""


class UNet(nn.Module):
    """U-Net for any number of bands and classes; logits of one map, no side outputs.

    Every level is two 3 × 3 convolutions, with twice the channels of the one above it. Any height and width will do.
    With `recomputes` the inside of a level is not kept for the way back but computed again.
    """

    def __init__(self, bands: int, classes: int, width: int):
        super().__init__()
        self.recomputes = False
        widths = [width * 2**level for level in range(LEVELS)]
        self.encoder = nn.ModuleList(_two_convolutions(i, o) for i, o in pairwise([bands, *widths]))
        ups = pairwise(reversed(widths))
        self.decoder = nn.ModuleList(_two_convolutions(below + skip, skip) for below, skip in ups)
        self.head = nn.Conv2d(width, classes, 1)
        self.deepest_channels = widths[-1]

    def encode(self, x: Float[Tensor, "n bands h w"]) -> tuple[Tensor, ...]:
        """The encoder's five maps, finest first; each has half the height and width of the one before, rounded up."""
        maps = []
        for i, block in enumerate(self.encoder):
            x = self._level(block, pooled(x) if i else x)
            maps.append(x)
        return tuple(maps)

    def _level(self, block: nn.Module, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
        return recomputed(block, x) if self.recomputes else block(x)

    def forward(self, x: Float[Tensor, "n bands h w"]) -> U2NetOutput:
        """Logits of the one map."""
        return U2NetOutput(self.fused(x), ())

    def fused(self, x: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n classes h w"]:
        """The same map."""
        maps = list(self.encode(x))
        y = maps.pop()
        for block in self.decoder:
            skip = maps.pop()
            y = self._level(block, joined(resized(y, skip), skip))
        return self.head(y).float()


def _two_convolutions(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(ConvBlock(inputs, outputs), ConvBlock(outputs, outputs))
