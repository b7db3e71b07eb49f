"""All settings of a run: one model put together from those that each room defines for itself."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reliefseg.depth import DepthSettings
from reliefseg.hardware import Precision
from reliefseg.inference import PredictionSettings
from reliefseg.learning.settings import PretrainSettings, TrainSettings
from reliefseg.tiles import TileSettings

SHRINKS = {"u2net": 32, "u2net-small": 32, "u2net-relief": 64}
"""How many times smaller these networks' deepest maps are than tiles; plain U-Nets end in more than one value."""


class NetworkSettings(BaseModel):
    """Which network is the generator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["u2net", "u2net-small", "u2net-relief", "unet", "unet-small"] = "u2net-small"
    """`u2net`: 44 million weights; `u2net-small`: 1.1 million (Qin et al. 2020, table 1). `u2net-relief`: the shape of
    the depth network, 1.8 million weights, an eighth of the small one's work. `unet`, `unet-small`: plain U-Nets with
    as many weights as the first two, to compare with."""
    init: Literal["random", "builtin"] = "random"
    """`builtin`: `u2net-relief` starts as the depth network (`depth.weights`, or the one that comes with the package),
    which has learnt from generated scenes seen from above; its heads start anew, bands it does not know at zero."""
    weights: str | None = None
    """Official U²-Net weights (.safetensors) to start from; their head is dropped, extra bands start at zero."""

    @model_validator(mode="after")
    def _init_fits(self) -> NetworkSettings:
        if self.init == "builtin" and self.name != "u2net-relief":
            raise ValueError(
                f"init = 'builtin' is for name = 'u2net-relief', the depth network's shape, not {self.name!r}; "
                "with another network take init = 'random'"
            )
        return self


class ValidationSettings(BaseModel):
    """What checkpoints are picked on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    blocks: bool = False
    """Instead of validation scenes: a quarter of each pixel-labelled scene's labels, with a margin of one tile."""


class Settings(BaseModel):
    """All settings of a run; `config.toml` in the run folder holds them resolved."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seed: int = Field(0, ge=0, lt=2**63)
    device: str = "auto"
    """`auto`, `cpu` or `cuda`."""
    devices: int = Field(1, ge=1)
    """GPUs of a node that learn together; on the CPU, processes. torchrun and SLURM say it by their own variables."""
    nodes: int = Field(1, ge=1)
    """Machines that learn together, each with so many devices."""
    precision: Precision = "auto"
    """`auto`: bfloat16 where the processor has it, float16 (with scaled gradients) on older GPUs that have that, else
    float32. Weights, losses and optimisers are float32 always."""
    threads: int = Field(0, ge=0)
    """Processor threads a process; 0: torch's choice, one a core. CPU results repeat exactly for the same number."""
    network: NetworkSettings = NetworkSettings()
    depth: DepthSettings = DepthSettings()
    tiles: TileSettings = TileSettings()
    pretrain: PretrainSettings = PretrainSettings()
    train: TrainSettings = TrainSettings()
    prediction: PredictionSettings = PredictionSettings()
    validation: ValidationSettings = ValidationSettings()

    @model_validator(mode="after")
    def _normalisable(self) -> Settings:
        if self.train.batch == 1 and self.tiles.size <= SHRINKS.get(self.network.name, 0):
            raise ValueError(
                f"train.batch = 1: a tile of {self.tiles.size} px ends in a single value, which batch norm cannot "
                "normalise; take train.batch = 2 or larger tiles"
            )
        return self

    @property
    def uses_tile_labels(self) -> bool:
        """Whether a run reads tile labels, for pretraining or during training."""
        return bool(self.pretrain.steps or self.train.lessons.batch)
