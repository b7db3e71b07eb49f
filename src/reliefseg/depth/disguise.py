"""Photographs made to look as if another camera had taken them through other air: so that a network trained on
generated scenes knows real ones. Source of the idea: Tobin et al., Domain randomization, IROS 2017.

All is drawn anew for every tile. What changes single pixels is done to the thumbnail too, because a scene's mean and
deviation are taken after it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Float32
from PIL import Image
from torch import Tensor

from reliefseg.depth.pool import Tiles

KNOTS = 6
"""Points of a random tone curve."""
ILL_LIT, ROUGH, COARSE, BLURRED, SHARPENED = 0.4, 0.5, 0.3, 0.5, 0.25
"""Shares of the tiles with uneven light, a strange texture, a coarser camera, blur, sharpening."""
PACKED, STRANGE, SHUFFLED, GREY = 0.4, 0.3, 0.3, 0.1
"""Shares of the tiles with JPEG, a tone curve that may fall, shuffled bands, no colours."""
TEXTURES = (4, 8, 16, 32)
"""A strange texture has features of so many to twice as many pixels."""


def disguised(tiles: Tiles, rng: np.random.Generator) -> Float32[Tensor, "n 3 h w"]:
    """Photographs of a batch, disguised and normalised: what the network sees in training."""
    n, _, height, width = tiles.photos.shape
    both = torch.cat([tiles.photos.flatten(2), tiles.thumbnails.flatten(2)], dim=2)
    both = _recoloured(both, rng)
    photos, thumbnails = both[:, :, : height * width].reshape(n, 3, height, width), both[:, :, height * width :]
    photos = _focused(_coarsened(_roughened(_unevenly_lit(photos, rng), rng), rng), rng)
    grain = torch.from_numpy(rng.standard_normal(photos.shape, dtype=np.float32))
    photos = (photos + grain * _drawn(rng, n, 0, 0.04)[:, None, None, None]).clamp(0, 1)
    photos = _packed(photos, rng)
    mean = thumbnails.mean(dim=2) + 0.03 * torch.from_numpy(rng.standard_normal((n, 3), dtype=np.float32))
    deviation = thumbnails.std(dim=2) * _drawn(rng, n, -0.2, 0.2).exp()[:, None]
    return normalised(photos, mean, deviation)


def normalised(
    photos: Float[Tensor, "n 3 h w"], mean: Float[Tensor, "n 3"], deviation: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 h w"]:
    """Photographs (0 … 1) by the mean and deviation of their scene's bands; a flat band stays as flat as it is."""
    return (photos - mean[:, :, None, None]) / deviation.clamp(min=0.02)[:, :, None, None]


def _recoloured(pixels: Float[Tensor, "n 3 p"], rng: np.random.Generator) -> Float[Tensor, "n 3 p"]:
    """Bands mixed, shuffled or made grey; a tone curve for each; haze."""
    pixels = torch.einsum("nij,njp->nip", torch.stack([_mixture(rng) for _ in range(len(pixels))]), pixels)
    pixels = _curved(pixels.clamp(0, 1), rng)
    haze = _drawn(rng, len(pixels), 0, 0.35)[:, None, None]
    air = torch.from_numpy(rng.uniform(0.3, 1, (len(pixels), 3, 1)).astype(np.float32))
    return pixels * (1 - haze) + haze * air


def _mixture(rng: np.random.Generator) -> Float32[Tensor, "3 3"]:
    matrix = np.eye(3) + rng.normal(0, 0.1, (3, 3))
    if rng.random() < SHUFFLED:
        matrix = matrix[rng.permutation(3)]
    grey = 1.0 if rng.random() < GREY else rng.uniform(0, 0.5)
    matrix = (1 - grey) * matrix + grey * np.tile(rng.dirichlet(np.full(3, 3.0)), (3, 1))
    return torch.from_numpy((matrix / np.abs(matrix).sum(axis=1, keepdims=True)).astype(np.float32))


def _curved(pixels: Float[Tensor, "n 3 p"], rng: np.random.Generator) -> Float[Tensor, "n 3 p"]:
    """A tone curve for each tile and band: gain and gamma, and bends between knots, linear in between."""
    n = len(pixels)
    at = np.linspace(0, 1, KNOTS)
    gamma = np.exp(rng.normal(0, 0.35, (n, 1, 1)) + rng.normal(0, 0.15, (n, 3, 1)))
    bends = np.where(rng.random((n, 1, 1)) < STRANGE, 0.18, 0.04)
    curves = at**gamma * np.exp(rng.normal(0, 0.25, (n, 1, 1))) + bends * rng.normal(0, 1, (n, 3, KNOTS))
    place = pixels * (KNOTS - 1)
    left = place.floor().clamp(max=KNOTS - 2)
    table = torch.from_numpy(curves.astype(np.float32))
    index = left.long()
    low, high = table.gather(2, index), table.gather(2, index + 1)
    return (low + (high - low) * (place - left)).clamp(0, 1)


def _unevenly_lit(photos: Float[Tensor, "n 3 h w"], rng: np.random.Generator) -> Float[Tensor, "n 3 h w"]:
    """Clouds and vignettes: a smooth change of brightness."""
    n = len(photos)
    strength = np.where(rng.random(n) < ILL_LIT, rng.uniform(0, 0.3, n), 0)[:, None, None, None]
    cells = torch.from_numpy((strength * rng.standard_normal((n, 1, 4, 4))).astype(np.float32))
    return photos * F.interpolate(cells, photos.shape[2:], mode="bicubic", align_corners=False).exp()


def _roughened(photos: Float[Tensor, "n 3 h w"], rng: np.random.Generator) -> Float[Tensor, "n 3 h w"]:
    """Textures that no generated ground or roof has: smooth noise of several sizes, the same in all bands."""
    n, _, height, width = photos.shape
    total = torch.zeros(n, 1, height, width)
    for size in TEXTURES:
        strength = np.where(rng.random(n) < ROUGH, rng.uniform(0, 0.1, n), 0)[:, None, None, None]
        cells = strength * rng.standard_normal((n, 1, height // size, width // size))
        total += F.interpolate(torch.from_numpy(cells.astype(np.float32)), (height, width), mode="bilinear")
    return photos * total.exp()


def _coarsened(photos: Float[Tensor, "n 3 h w"], rng: np.random.Generator) -> Float[Tensor, "n 3 h w"]:
    """Some were taken with up to three times fewer pixels, and enlarged."""
    size = photos.shape[2:]
    factors = np.where(rng.random(len(photos)) < COARSE, np.exp(rng.uniform(0, 1.1, len(photos))), 1.0)
    return torch.cat([_enlarged(photo, size, factor) for photo, factor in zip(photos.split(1), factors, strict=True)])


def _enlarged(photo: Float[Tensor, "1 3 h w"], size: Sequence[int], factor: float) -> Float[Tensor, "1 3 h w"]:
    if factor == 1:
        return photo
    few = [round(extent / factor) for extent in size]
    small = F.interpolate(photo, few, mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(small, tuple(size), mode="bicubic", align_corners=False).clamp(0, 1)


def _focused(photos: Float[Tensor, "n 3 h w"], rng: np.random.Generator) -> Float[Tensor, "n 3 h w"]:
    """Blurred by a Gaussian lens of up to 1.6 pixels, or sharpened by what such a lens takes away."""
    n = len(photos)
    kind = rng.random(n)
    amount = np.where(kind < BLURRED, 1.0, np.where(kind < BLURRED + SHARPENED, -rng.uniform(0, 1.5, n), 0.0))
    sigmas = rng.uniform(0.3, 1.6, n)
    change = _smoothed(photos, sigmas) - photos
    return photos + torch.from_numpy(amount.astype(np.float32))[:, None, None, None] * change


def _smoothed(photos: Float[Tensor, "n 3 h w"], sigmas: Float[np.ndarray, " n"]) -> Float[Tensor, "n 3 h w"]:
    kernels = np.exp(-0.5 * (np.arange(-3, 4) / sigmas[:, None]) ** 2)
    kernels = (kernels / kernels.sum(axis=1, keepdims=True)).repeat(3, axis=0)
    weights = torch.from_numpy(kernels.astype(np.float32))
    planes = F.pad(photos.flatten(0, 1)[None], (3, 3, 3, 3), mode="reflect")
    planes = F.conv2d(planes, weights[:, None, :, None], groups=len(weights))
    return F.conv2d(planes, weights[:, None, None, :], groups=len(weights)).reshape(photos.shape)


def _packed(photos: Float[Tensor, "n 3 h w"], rng: np.random.Generator) -> Float[Tensor, "n 3 h w"]:
    """Eight bits, and some through JPEG."""
    bytes_ = (photos * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    packed = [_jpeg(photo, int(rng.integers(25, 96))) if rng.random() < PACKED else photo for photo in bytes_]
    return torch.from_numpy(np.stack(packed)).permute(0, 3, 1, 2).float() / 255


def _jpeg(photo: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def _drawn(rng: np.random.Generator, n: int, low: float, high: float) -> Float32[Tensor, " n"]:
    return torch.from_numpy(rng.uniform(low, high, n).astype(np.float32))
