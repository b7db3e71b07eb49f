"""Photometric jitter: another sun, another camera. Image bands only; depth stays what it is."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from reliefseg.tiles.boxes import Stream, uniforms


def jittered(
    tiles: Float[Tensor, "n bands h w"], strength: float, image_bands: int, seed: int, step: int, first: int = 0
) -> Float[Tensor, "n bands h w"]:
    """Gain and offset a tile and, weaker, a band, on normalised values.

    `strength` is the largest common offset in standard deviations, the common gain lies in exp(±strength), and each
    band's own part is at most half as strong. The first `image_bands` bands change. Pure in (seed, step, index); the
    tiles' indices begin with `first`.
    """
    n, bands = tiles.shape[:2]
    if not strength or not image_bands:
        return tiles
    u = uniforms(seed, Stream.JITTER, step, first + n, 2 + 2 * image_bands)[first:] * 2 - 1
    gain, offset = np.ones((n, bands)), np.zeros((n, bands))
    gain[:, :image_bands] = np.exp(strength * (u[:, :1] + 0.5 * u[:, 2 : 2 + image_bands]))
    offset[:, :image_bands] = strength * (u[:, 1:2] + 0.5 * u[:, 2 + image_bands :])

    def spread(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(tiles.device, tiles.dtype)[:, :, None, None]

    return torch.addcmul(spread(offset), tiles, spread(gain))
