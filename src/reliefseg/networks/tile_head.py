"""The head that makes U²-Net's encoder say which classes a tile shows."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from reliefseg.networks.u2net import ConvBlock, pooled


class TileHead(nn.Module):
    """Twice max-pool (rounding up), convolution, batch norm, ReLU; an average to 2 × 2; then linear.

    It sees the encoder's deepest map: `channels` channels, a 32nd of the tile's size (a 64th in u2net-relief, a 16th in
    plain U-Nets). On maps of 8 × 8 (tiles of 256 px) the average changes nothing. Maps of 4 × 4 and less (128 px; in
    u2net-relief 256 px) come down to 1 × 1 before it; training on a batch of one is refused there by batch norm
    (ValueError), which needs more than one value a channel.
    """

    def __init__(self, channels: int, classes: int, width: int | None = None):
        super().__init__()
        width = width or channels
        self.first, self.second = ConvBlock(channels, width), ConvBlock(width, width)
        self.linear = nn.Linear(4 * width, classes)

    def forward(self, deepest: Float[Tensor, "n channels h w"]) -> Float[Tensor, "n classes"]:
        """Logits, one a class: independent, for a sigmoid each."""
        x = self.second(pooled(self.first(pooled(deepest))))
        return self.linear(F.adaptive_avg_pool2d(x, 2).flatten(1))
