"""Optimisers and learning rates; the rate is a pure function of the step, so there is no scheduler to save."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi

import torch
from torch import nn

from reliefseg.learning.settings import OptimiserSettings


def build_optimiser(parameters: Iterable[nn.Parameter], settings: OptimiserSettings) -> torch.optim.Optimizer:
    """The optimiser that the settings name."""
    if settings.name == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    kind = torch.optim.Adam if settings.name == "adam" else torch.optim.AdamW
    return kind(parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay, fused=True)


def build_discriminator_optimiser(parameters: Iterable[nn.Parameter], lr: float) -> torch.optim.Optimizer:
    """Adam with β₁ 0.5. Source: Isola et al. 2017, section 3.3."""
    return torch.optim.Adam(parameters, lr=lr, betas=(0.5, 0.999), fused=True)


def rate_factor(settings: OptimiserSettings, step: int, steps: int) -> float:
    """Learning rate of step (0 … steps−1) as a share of the highest."""
    done = step / steps
    if settings.schedule == "constant":
        return 1.0
    if settings.schedule == "halving":
        return 0.5 ** int(done * (settings.halvings + 1))
    if done < settings.warmup:
        return (step + 1) / (settings.warmup * steps + 1)
    return 0.5 * (1 + cos(pi * (done - settings.warmup) / (1 - settings.warmup)))


def set_rate(optimiser: torch.optim.Optimizer, highest: float, factor: float) -> None:
    """Sets the learning rate of all parameters."""
    for group in optimiser.param_groups:
        group["lr"] = highest * factor
