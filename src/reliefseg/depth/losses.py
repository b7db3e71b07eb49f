"""What a depth network is told about its heights: how wrong, up to a common error, and in their edges."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from reliefseg.depth.heights import metres
from reliefseg.networks import U2NetOutput

LEVEL = 0.5
"""Share of a common error of a whole tile that the scale-invariant loss forgives. Source: Eigen et al., eq. 4."""
GRADIENT_SCALES = 4
"""Gradients are matched at full size and at so many minus one halvings. Source: MiDaS, eq. 11."""
SIDES, GRADIENT, IN_METRES = 0.15, 0.5, 0.05
"""Weights of the losses beside the fused map's scale-invariant one."""


def fitting_loss(
    seen: U2NetOutput,
    true_m: Float[Tensor, "n h w"],
    known: Bool[Tensor, "n h w"],
) -> Float[Tensor, ""]:
    """Loss of a batch of tiles; heights in metres above ground count where they are `known`.

    The network answers log(1 + metres), and so heights are compared: 1 m at the ground weighs as much as 10 m on a
    tower.
    """
    truth = true_m.clamp(min=0).log1p()
    fused = seen.fused[:, 0].float()
    loss = scale_invariant(fused, truth, known) + GRADIENT * gradient_matching(fused, truth, known)
    for side in seen.sides:
        loss = loss + SIDES * scale_invariant(side[:, 0].float(), truth, known)
    tall = (F.smooth_l1_loss(metres(fused), true_m.clamp(min=0), reduction="none", beta=2.0) * known).sum()
    tall = tall / known.sum().clamp(min=1)
    return loss + IN_METRES * tall


def scale_invariant(
    seen: Float[Tensor, "n h w"], truth: Float[Tensor, "n h w"], known: Bool[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    """Mean squared difference, less `LEVEL` of each tile's squared mean difference, its root over the batch.

    Source: Eigen, Puhrsch & Fergus, Depth map prediction, NeurIPS 2014, eq. 4.
    """
    count = known.sum(dim=(1, 2)).clamp(min=1)
    difference = (seen - truth) * known
    squared = (difference**2).sum(dim=(1, 2)) / count
    mean = difference.sum(dim=(1, 2)) / count
    return (squared - LEVEL * mean**2 + 1e-6).sqrt().mean()


def gradient_matching(
    seen: Float[Tensor, "n h w"], truth: Float[Tensor, "n h w"], known: Bool[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    """Mean absolute difference of gradients, at several scales: edges where they are, flat where it is flat.

    Source: Ranftl et al., MiDaS, TPAMI 2022, eq. 11.
    """
    total = seen.new_zeros(())
    difference, valid = (seen - truth) * known, known
    for _ in range(GRADIENT_SCALES):
        for axis in (1, 2):
            size = difference.shape[axis] - 1
            pairs = valid.narrow(axis, 1, size) & valid.narrow(axis, 0, size)
            steps = (difference.narrow(axis, 1, size) - difference.narrow(axis, 0, size)).abs() * pairs
            total = total + steps.sum() / pairs.sum().clamp(min=1)
        difference, valid = difference[:, ::2, ::2], valid[:, ::2, ::2]
    return total / GRADIENT_SCALES
