"""What training minimises. All in float32, all divided by the valid pixels of the whole batch."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from reliefseg.networks import shares_of_classes
from reliefseg.raster import IGNORE_INDEX

LossKind = Literal["softmax", "sigmoid"]
"""`softmax`: one class a pixel, cross-entropy. `sigmoid`: independent classes, binary cross-entropy (original)."""

SURELY = 0.01
"""Share of a window's pixels that must have a class it shows."""
TINY = 1e-4
"""Shares are taken as no smaller, so that one pixel's loss has a bound."""


def one_hot(labels: UInt8[Tensor, "n h w"], classes: int) -> Float[Tensor, "n classes h w"]:
    """Class maps 0/1; ignored pixels are zero in every class."""
    ids = torch.arange(classes, device=labels.device, dtype=labels.dtype)
    return (labels[:, None] == ids[:, None, None]).float()


def probabilities(logits: Float[Tensor, "n k h w"], kind: LossKind) -> Float[Tensor, "n k h w"]:
    """Float32 probabilities as the network means them: softmax over classes, or a sigmoid each."""
    logits = logits.float()
    return logits.softmax(dim=1) if kind == "softmax" else logits.sigmoid()


def shown_loss(
    logits: Float[Tensor, "n k h w"], shown: Bool[Tensor, "n k"], seen: Bool[Tensor, "n h w"], kind: LossKind
) -> Float[Tensor, ""]:
    """No pixel has a class that the window does not show, and some pixels have each class that it does.

    The first is −log of the shown classes' share, mean over pixels seen (Jin & Ghahramani, Learning with multiple
    labels, NIPS 2002); the second −log of a shown class's mean share over the pixels that have most of it, as many as
    `SURELY` says, mean over windows and classes (Pinheiro & Collobert, CVPR 2015, there with log-sum-exp).
    """
    shares = shares_of_classes(logits, kind) * seen[:, None]
    possible = (shares * shown[:, :, None, None]).sum(1).clamp(min=TINY)
    excluded = -(possible.log() * seen).sum() / seen.sum().clamp(min=1)
    count = max(1, round(SURELY * seen[0].numel()))
    surest = shares.flatten(2).topk(count, dim=2).values.mean(2).clamp(min=TINY)
    missing = -(surest.log() * shown).sum() / shown.sum().clamp(min=1)
    return excluded + missing


def supervised_loss(
    logits: Float[Tensor, "n k h w"], labels: UInt8[Tensor, "n h w"], kind: LossKind
) -> Float[Tensor, ""]:
    """Cross-entropy of one map: mean over valid pixels (`sigmoid`: and over classes); 0 without valid pixels."""
    if kind == "softmax":
        total = F.cross_entropy(logits.float(), labels.long(), ignore_index=IGNORE_INDEX, reduction="sum")
        return total / valid_pixels(labels)
    weight = (labels != IGNORE_INDEX)[:, None].float().expand_as(logits)
    target = one_hot(labels, logits.shape[1])
    total = F.binary_cross_entropy_with_logits(logits.float(), target, weight=weight, reduction="sum")
    return total / (valid_pixels(labels) * logits.shape[1])


def l1_loss(
    fake: Float[Tensor, "n k h w"], real: Float[Tensor, "n k h w"], labels: UInt8[Tensor, "n h w"]
) -> Float[Tensor, ""]:
    """Mean absolute difference of class maps over valid pixels and classes. Source: Isola et al. 2017, eq. 3."""
    return (fake - real).abs().sum() / (valid_pixels(labels) * fake.shape[1])


def valid_pixels(labels: UInt8[Tensor, "n h w"]) -> Float[Tensor, ""]:
    """Pixels with a class in the whole batch, at least 1."""
    return (labels != IGNORE_INDEX).sum().clamp(min=1).float()


def judged(patch_logits: Float[Tensor, "..."], *, real: bool) -> Float[Tensor, ""]:
    """Binary cross-entropy of patches against all real or all fake. Source: Isola et al. 2017, eq. 1."""
    target = torch.full_like(patch_logits, float(real), dtype=torch.float32)
    return F.binary_cross_entropy_with_logits(patch_logits.float(), target)


def masked(maps: Float[Tensor, "n k h w"], valid: Bool[Tensor, "n h w"]) -> Float[Tensor, "n k h w"]:
    """Class maps with zeros at ignored pixels: the discriminator sees the same there in real and fake."""
    return maps * valid[:, None]
