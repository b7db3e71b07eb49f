"""Settings of tiles: what networks see of a scene."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[float, Field(gt=0)]
Wanted = Literal["auto", "device", "memory", "disk"]


class TileSettings(BaseModel):
    """How boxes are drawn and turned into tiles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bands: tuple[str, ...] | None = None
    """Image bands that networks see, by name; None: all; [] with a depth source: depth alone."""
    size: int = Field(256, ge=32)
    """Height and width of a tile, network pixels."""
    box: float | None = Field(None, gt=0)
    """Side of a box of factor 1 in pixels of the scene; None: the tile size. `size / box` is the working scale."""
    centres: Literal["random", "grid"] = "random"
    """`grid`: boxes of factor 1 side by side from each scene's top-left corner, one as often as another, as if the
    scenes had been cut up beforehand; needs `box_factor = [1, 1]`."""
    box_factor: tuple[Positive, Positive] = (0.6, 1.6)
    """The random factor is log-uniform between these two; equal values draw boxes of one size."""
    box_balance: float = Field(0.0, ge=0, le=1)
    """Share of boxes whose centre is drawn class by class instead of pixel by pixel: rare classes more often."""
    min_valid: float = Field(0.5, ge=0, le=1)
    """A box with a smaller share of labelled pixels is drawn again, eight times at most (then the best is kept)."""
    turns: bool = True
    """Flips and quarter turns: all eight orientations equally often."""
    jitter: float = Field(0.2, ge=0)
    """Photometric change of image bands (never depth), in standard deviations of a band; 0 turns it off."""

    bank: Wanted = "auto"
    """Where scenes lie while a run learns: memory of the device or of the machine, or a mapped file in the cache.
    `auto`: the fastest that has room. Tiles are the same bits from everywhere, so a resumed run may choose anew."""

    @model_validator(mode="after")
    def _factor_is_ordered(self) -> TileSettings:
        if self.box_factor[0] > self.box_factor[1]:
            raise ValueError(f"box_factor must be [smallest, largest], found {list(self.box_factor)}")
        if self.centres == "grid" and self.box_factor != (1.0, 1.0):
            raise ValueError(f"centres = 'grid' needs box_factor [1, 1], found {list(self.box_factor)}")
        return self

    @property
    def box_side(self) -> float:
        """Side of a box of factor 1, pixels of the scene."""
        return float(self.size if self.box is None else self.box)

    @property
    def working_scale(self) -> float:
        """Network pixels per scene pixel."""
        return self.size / self.box_side
