"""Logits made into probabilities that sum to one."""

from __future__ import annotations

from jaxtyping import Float, Float32
from torch import Tensor


def shares_of_classes(logits: Float[Tensor, "n k h w"], loss: str) -> Float32[Tensor, "n k h w"]:
    """Softmax over classes; where these are independent (`sigmoid`), the sigmoids divided by their sum."""
    logits = logits.float()
    if loss == "softmax":
        return logits.softmax(dim=1)
    independent = logits.sigmoid()
    return independent / independent.sum(dim=1, keepdim=True).clamp(min=1e-12)
