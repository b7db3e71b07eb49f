"""Settings of a generated data set, and how its scenes are shared out among the splits."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reliefseg.errors import InputError
from reliefseg.raster import explain

SHARES = {"pixel_labelled": 3, "tile_labelled": 23, "validation": 3, "test": 7}
"""Scenes of a split among 36, as in the original's protocol."""
TILE = 256
"""Side of a window with tile labels, pixels."""


class GenerateSettings(BaseModel):
    """What `reliefseg generate` makes. The same settings give the same bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenes: int = Field(36, ge=1, le=10_000)
    """How many scenes; scene number `i` is the same however many there are."""
    size: int = Field(1500, ge=64, le=8192)
    """Height and width of a scene, pixels."""
    gsd: float = Field(0.09, ge=0.02, le=2.0)
    """Ground sampling distance, metres a pixel."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Another seed gives other towns."""
    bands: Literal["nir red green", "red green blue"] = "nir red green"
    """Bands of the images, in the files' order."""

    label_shift: int = Field(0, ge=0, le=32)
    """Labels are moved against the image by up to so many pixels down and right, drawn for each scene."""

    @property
    def band_names(self) -> tuple[str, ...]:
        """The bands one by one."""
        return tuple(self.bands.split())

    @property
    def tile(self) -> int:
        """Side of a window with tile labels, pixels; a small scene is one window."""
        return min(TILE, self.size)

    @classmethod
    def checked(cls, **values: Any) -> GenerateSettings:
        """The settings from loose values; an `InputError` names all that are wrong and what they may be."""
        try:
            return cls(**values)
        except ValidationError as error:
            raise InputError(explain(error, cls, "generate")) from error


def split_counts(scenes: int) -> dict[str, int]:
    """How many scenes each split gets: 3 : 23 : 3 : 7, as in the original's protocol.

    Fewer or more scenes are shared out in proportion, rounded half up, with at least one pixel-labelled scene,
    from two scenes on at least one for test, from four on at least one for validation; what is left is
    tile-labelled.
    """
    least = {"pixel_labelled": 1, "validation": int(scenes >= 4), "test": int(scenes >= 2)}
    counts = {name: max(low, int(scenes * SHARES[name] / 36 + 0.5)) for name, low in least.items()}
    counts["tile_labelled"] = scenes - sum(counts.values())
    return {name: counts[name] for name in SHARES}
