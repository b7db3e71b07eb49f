"""Settings of whole-scene prediction."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PredictionSettings(BaseModel):
    """How scenes are cut into windows. Part of the model: the same in validation, prediction and exports."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    window: int | None = Field(None, ge=32)
    """Side of a window in network pixels; None: the tile size, which is what the network was trained on."""
    margin: int | None = Field(None, ge=0)
    """Outermost network pixels of a window that are thrown away; None: a sixteenth of the window."""
