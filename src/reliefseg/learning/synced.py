"""What several processes must do as one: batch norm over all their tiles, losses divided by all their pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from reliefseg.hardware import Network
from reliefseg.learning.adversarial import Player
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.processes import over_all
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import TileBatch


class JointBatchNorm(nn.BatchNorm2d):
    """Batch norm over the tiles of all processes, for the CPU, which torch's own SyncBatchNorm refuses.

    All processes see equally many tiles of one size.
    """

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Same shape; in evaluation as ever."""
        if not self.training:
            return super().forward(x)
        values = x.to(self.weight.dtype)
        mean = _Mean.apply(values.mean((0, 2, 3)))
        centred = values - mean[:, None, None]
        variance = _Mean.apply(centred.square().mean((0, 2, 3)))
        if self.track_running_stats:
            self._remember(mean, variance, x.numel() // x.shape[1])
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, here: int) -> None:
        count = here * torch.distributed.get_world_size()
        self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr, arg-type]
        self.running_var.lerp_(variance * count / max(1, count - 1), self.momentum)  # type: ignore[union-attr, arg-type]
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]


class _Mean(torch.autograd.Function):
    """Mean over processes, and so is its gradient."""

    @staticmethod
    def forward(ctx: Any, here: Tensor) -> Tensor:
        return _mean(here)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _mean(gradient)


def _mean(here: Tensor) -> Tensor:
    total = here.clone(memory_format=torch.contiguous_format)
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()


def synchronised(network: Network, fabric: Fabric) -> Network:
    """The network with batch norm over all processes; one process has its own."""
    if fabric.world_size == 1:
        return network
    if fabric.device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        if type(module) is nn.BatchNorm2d:
            module.__class__ = JointBatchNorm
    return network


def joint_player(fabric: Fabric, network: nn.Module, optimiser: torch.optim.Optimizer, clip: float) -> Player:
    """A network and its optimiser as Fabric carries them: device, precision, gradients averaged over processes."""
    network, joint = fabric.setup(synchronised(network, fabric), optimiser)
    alone: Any = nullcontext if fabric.world_size == 1 else fabric.no_backward_sync
    return Player(network.train(), joint, clip, fabric.backward, alone, _scaled_back(fabric, optimiser))


def _scaled_back(fabric: Fabric, optimiser: torch.optim.Optimizer) -> Callable[[], object]:
    """Gradients of float16 are scaled back before they are clipped."""
    scaler = getattr(fabric.strategy.precision, "scaler", None)
    return (lambda: None) if scaler is None else (lambda: scaler.unscale_(optimiser))


def bare(network: nn.Module) -> nn.Module:
    """The network inside Fabric's wrapper."""
    return getattr(network, "module", network)


def shares_of_pixels(batches: Sequence[TileBatch], fabric: Fabric) -> list[Float[Tensor, ""]]:
    """Factors for means over each batch's valid pixels; their sum, averaged over processes, is one mean over all."""
    here = torch.stack([(batch.labels != IGNORE_INDEX).sum() for batch in batches]).float()
    return list(here / over_all(here.sum(), fabric, "mean").clamp(min=1 / fabric.world_size))
