"""From light to numbers: what a camera above makes of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from reliefseg.generate.character import Character
from reliefseg.generate.light import SKYLIGHT
from reliefseg.generate.spectra import BANDS

GAIN, GAMMA = 1.75, 0.66
HAZE = {"nir": 0.5, "red": 0.8, "green": 1.0, "blue": 1.5}
"""How much of a scene's haze each band shows."""


def expose(
    albedo: Float32[np.ndarray, "bands height width"],
    sunlight: Float32[np.ndarray, "height width"],
    skylight: Float32[np.ndarray, "height width"],
    bands: tuple[str, ...],
    character: Character,
    rng: np.random.Generator,
) -> UInt8[np.ndarray, "bands height width"]:
    """The image, 1 … 255: light thrown back, blurred by the lens, with haze, noise and a camera's tone curve."""
    planes = []
    for plane, band in zip(albedo, bands, strict=True):
        sky = np.float32(min(0.45, SKYLIGHT[band] * character.ambient))
        light = plane * (sunlight * (1 - sky) + skylight * sky)
        ndimage.gaussian_filter(light, character.blur, output=light, truncate=2.5)
        gain = np.float32(GAIN * character.exposure * character.balance[BANDS.index(band)])
        tone = np.power(gain * light + np.float32(HAZE[band] * character.haze), np.float32(GAMMA * character.contrast))
        noise = rng.standard_normal(tone.shape, dtype=np.float32) * np.float32(character.noise)
        planes.append(np.clip(np.rint(255 * _shoulder(tone) + noise), 1, 255).astype(np.uint8))
    return np.stack(planes)


def _shoulder(tone: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """A tone curve that bends before white, so that light roofs keep their texture."""
    over = np.maximum(0, tone - np.float32(0.7))
    return np.minimum(tone, np.float32(0.7)) + over / (1 + over / np.float32(0.3))
