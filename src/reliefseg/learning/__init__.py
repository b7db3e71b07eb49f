"""Pretraining and adversarial training."""

from reliefseg.learning.pretraining import LabelledTiles, pretrain
from reliefseg.learning.run_folder import RunLog, held
from reliefseg.learning.settings import LossSettings, OptimiserSettings, PretrainSettings, TrainSettings
from reliefseg.learning.training import Hooks, Training, seconds_per_step, train

__all__ = [
    "Hooks",
    "LabelledTiles",
    "LossSettings",
    "OptimiserSettings",
    "PretrainSettings",
    "RunLog",
    "TrainSettings",
    "Training",
    "held",
    "pretrain",
    "seconds_per_step",
    "train",
]
