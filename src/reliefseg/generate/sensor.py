"""From light to numbers: what a camera above makes of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt8
from scipy import ndimage

from reliefseg.generate.character import Character
from reliefseg.generate.light import SKYLIGHT
from reliefseg.generate.spectra import BANDS

GAIN, GAMMA = 1.75, 0.66
GREY = 0.17
"""Light thrown back by a common town, averaged over its pixels and bands."""
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
    camera = character.camera
    tones = np.empty_like(albedo)
    for light, plane, band in zip(tones, albedo, bands, strict=True):
        sky = np.float32(min(0.45, SKYLIGHT[band] * character.ambient))
        np.multiply(plane, sunlight * (1 - sky) + skylight * sky, out=light)
        ndimage.gaussian_filter(light, camera.blur, output=light, truncate=2.5)
    opened = camera.exposure * (GREY / max(float(tones.mean()), 0.02)) ** camera.metering
    for tone, band in zip(tones, bands, strict=True):
        tone *= np.float32(GAIN * opened * camera.balance[BANDS.index(band)])
        tone += np.float32(HAZE[band] * camera.haze)
        np.power(tone, np.float32(GAMMA * camera.contrast), out=tone)
    _saturate(tones, camera.saturation)
    for tone in tones:
        _sharpen(tone, camera.sharpening)
        tone += rng.standard_normal(tone.shape, dtype=np.float32) * np.float32(camera.noise / 255)
    return np.clip(np.rint(255 * _shoulder(tones)), 1, 255).astype(np.uint8)


def _saturate(tones: Float32[np.ndarray, "bands height width"], share: float) -> None:
    """Moves all bands away from their mean, or towards it."""
    grey = tones.mean(0)
    tones -= grey
    tones *= np.float32(share)
    tones += grey
    np.maximum(tones, 0, out=tones)


def _sharpen(tone: Float32[np.ndarray, "height width"], strength: float) -> None:
    """An unsharp mask, as camera software and image services apply it."""
    if strength > 0:
        tone += np.float32(strength) * (tone - ndimage.gaussian_filter(tone, 1.2, truncate=2.5))


def _shoulder(tone: Float32[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """A tone curve that bends before white, so that light roofs keep their texture."""
    over = np.maximum(0, tone - np.float32(0.7))
    return np.minimum(tone, np.float32(0.7)) + over / (1 + over / np.float32(0.3))
