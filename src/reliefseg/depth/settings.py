"""Settings of the depth band."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

SourceName = Literal["auto", "none", "raster", "builtin", "transformers"]
HUB_MODEL = "depth-anything/Depth-Anything-V2-Small-hf"


class DepthSettings(BaseModel):
    """Where depth comes from and how it is scaled. The model bundle keeps them: prediction makes depth the same way."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    source: SourceName = "auto"
    """`raster`: heights of the data set; `builtin`: the package's own depth network; `transformers`: another one;
    `none`: no depth band. `auto`: `raster` where every used scene has heights, else `builtin`."""
    range_m: float = Field(30.0, gt=0)
    """Sources in metres: so many metres above ground are depth 1; below 0 and above are clipped."""
    weights: str | None = Field(None, min_length=1)
    """`builtin`: a file that `depth fit` wrote; None: the weights that come with the package."""
    model: str = Field(HUB_MODEL, min_length=1)
    """`transformers`: a local folder or a hub id of a depth estimation network with safetensors weights."""
    larger_is: Literal["auto", "near", "far"] = "auto"
    """What larger numbers of the network mean. `auto`: far for networks that give distances (Depth Anything's metric
    models, ZoeDepth, GLPN), near for all others (Depth Anything, DPT and MiDaS give inverse depth)."""
    window: int = Field(518, ge=32)
    """`transformers`: pixels of the scene the network sees at once; its image processor resizes them to what it takes.
    """
    overlap: float = Field(0.25, ge=0.05, le=0.5)
    """Least share of a window that its neighbour sees too; they are blended there."""
    turns: int = Field(1, ge=1, le=4)
    """Quarter turns of each window that are looked at and averaged: takes as often as long, and takes out the habit of
    networks trained on photographs to see the bottom of a picture as near."""
    allow_download: bool = False
    """Whether a model that is not on this machine may be fetched from the hub; nothing uses the network otherwise."""
