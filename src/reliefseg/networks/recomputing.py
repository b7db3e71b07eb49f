"""Memory for time: what is inside a part of a network is computed again on the way back instead of being kept."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def recomputed(part: nn.Module, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """`part(x)` with the very same gradients; of its inside nothing is kept.

    torch's own checkpointing would move batch norm's running moments twice and hide what it keeps from those who count.
    Source: Chen et al. 2016, Training deep nets with sublinear memory cost.
    """
    return _Recomputed.apply(part, x, *_moving(part)) if torch.is_grad_enabled() else part(x)


@contextmanager
def without_moments(network: nn.Module) -> Iterator[None]:
    """Within it batch norm in training leaves its running moments as they are; results stay the same."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def _moving(part: nn.Module) -> list[nn.Parameter]:
    return [p for p in part.parameters() if p.requires_grad]


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, part: nn.Module, x: Tensor, *parameters: Tensor) -> Tensor:
        kind = x.device.type
        ctx.part, ctx.kind = part, kind
        ctx.precision = {"dtype": torch.get_autocast_dtype(kind), "enabled": torch.is_autocast_enabled(kind)}
        ctx.save_for_backward(x)
        return part(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x = ctx.saved_tensors[0].detach().requires_grad_(ctx.needs_input_grad[1])
        wanted = [*([x] if x.requires_grad else []), *_moving(ctx.part)]
        with torch.enable_grad(), without_moments(ctx.part), torch.autocast(ctx.kind, **ctx.precision):
            again = ctx.part(x)
        found = torch.autograd.grad(again, wanted, gradient)
        return None, *([] if x.requires_grad else [None]), *found
