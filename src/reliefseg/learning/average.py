"""An averaged copy of a network (EMA): float32, with warm-up, batch norm's running moments averaged too."""

from __future__ import annotations

import copy
from typing import Generic

import torch
from torch import nn

from reliefseg.hardware import Network


class AveragedNetwork(Generic[Network]):
    """Exponential moving average of a network's weights and buffers.

    The decay of update t is min(decay, (1 + t) / (10 + t)), so that the first weights are soon forgotten.
    Source: Polyak & Juditsky 1992; warm-up as in TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: Network, decay: float):
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Moves towards `network` after step number `step` (from 0)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        mine, theirs = self.network.state_dict(), network.state_dict()
        floating = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[n] for n in floating], [theirs[n] for n in floating], share)
        for name in mine.keys() - set(floating):
            mine[name].copy_(theirs[name])
