"""Settings of pretraining and adversarial training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reliefseg.learning.losses import LossKind

Decay = Annotated[float, Field(ge=0, lt=1)]


class OptimiserSettings(BaseModel):
    """One optimiser and its learning rate over the steps of a phase."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Literal["adam", "adamw", "sgd"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    """Highest learning rate."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Adam's decay of first and second moments."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """For `sgd`."""
    weight_decay: float = Field(0.0, ge=0)
    schedule: Literal["cosine", "constant", "halving"] = "cosine"
    """`cosine` falls to 0; `halving` halves the rate after each of `halvings` + 1 equal parts but the last."""
    warmup: float = Field(0.02, ge=0, lt=1)
    """Share of the steps over which the rate rises linearly (`cosine` only)."""
    halvings: int = Field(1, ge=1)
    """How often `halving` halves."""
    clip: float = Field(1.0, ge=0)
    """Largest norm of the gradient; 0: not clipped."""


class PretrainSettings(BaseModel):
    """Weak pretraining: the encoder learns which classes a tile shows."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(300, ge=0)
    """0 turns pretraining off."""
    batch: int = Field(8, ge=2)
    """Tiles a step; at least 2, because batch norm cannot normalise a single small map."""
    validations: int = Field(6, ge=1)
    """How often the held-out tiles are looked at; the best encoder is kept."""
    optimiser: OptimiserSettings = OptimiserSettings()


class LossSettings(BaseModel):
    """What the generator minimises: a weighted sum; 0 turns a part off, exactly."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: LossKind = "softmax"
    fused: float = Field(1.0, ge=0)
    """Supervised loss of the fused map."""
    sides: float = Field(1.0, ge=0)
    """Supervised loss of each of the six side outputs (deep supervision); a plain U-Net has none."""
    l1: float = Field(1.0, ge=0)
    """L1 between fused probabilities and one-hot labels."""
    adversarial: float = Field(0.1, ge=0)
    """The discriminator's judgement; 0: no discriminator is built."""
    taught: float = Field(0.5, ge=0)
    """Supervised losses on what the averaged network makes of tile-labelled windows (`train.lessons`)."""
    shown: float = Field(0.3, ge=0)
    """How far the fused map of those windows is from showing exactly the classes of their tile labels."""


class LessonSettings(BaseModel):
    """Tile labels during training: the averaged network teaches the generator what tile-labelled windows are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: int = Field(0, ge=0)
    """Tile-labelled windows a batch, beside its tiles; 0: tile labels are for pretraining alone."""
    confidence: float = Field(0.8, ge=0, le=1)
    """The teacher's labels count where it is this sure, among the classes that the window shows."""
    jitter: float = Field(0.1, ge=0)
    """The generator sees the windows in colours changed this much (see `tiles.jitter`), the teacher as they are. Strong
    changes hurt: `docs/results.md`."""
    rise: float = Field(0.3, ge=0, le=1)
    """Share of the steps over which the teacher comes to be believed."""


class TrainSettings(BaseModel):
    """Adversarial training on pixel labels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: int = Field(1000, ge=1)
    batch: int = Field(4, ge=1)
    """Tiles that are in memory together."""
    accumulate: int = Field(1, ge=1)
    """So many batches, one after the other, make a step as one large batch would, but that batch norm sees each alone.
    With a discriminator the generator runs once more on each."""
    checkpoint_gradients: bool = False
    """Keep less for the way back and compute it again: the same weights, less memory, more time."""
    compile: bool = False
    """Let torch.compile make kernels for the generator: needs a C++ compiler and minutes at the start. Slower on the
    CPUs tried; measure before use."""
    loss: LossSettings = LossSettings()
    lessons: LessonSettings = LessonSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    discriminator_width: int = Field(64, ge=1)
    """Channels of the discriminator's first layer; pix2pix has 64. Half of them take a quarter of its work, which
    beside a small generator is much of a step's."""
    discriminator_lr: float = Field(2e-4, gt=0)
    """Adam with β₁ 0.5, as in pix2pix; its schedule is the generator's."""
    average: float = Field(0.999, ge=0, lt=1)
    """Decay of the averaged copy of the weights (EMA) that is validated and kept; 0: the weights themselves."""
    validations: int = Field(6, ge=1)
    """How often a run is validated on whole scenes."""
    checkpoint_minutes: float = Field(2.0, gt=0)
    """A checkpoint is written when this much time has passed since the last one, and at every validation."""

    @model_validator(mode="after")
    def _compiled_or_recomputed(self) -> TrainSettings:
        if self.compile and self.checkpoint_gradients:
            raise ValueError("compile and checkpoint_gradients do not go together; choose one")
        return self

    @property
    def tiles_a_step(self) -> int:
        """Of all batches of a step."""
        return self.batch * self.accumulate
