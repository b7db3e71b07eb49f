"""Pretraining and adversarial training."""

from reliefseg.learning.labelled_tiles import LabelledTiles
from reliefseg.learning.loop import Hooks
from reliefseg.learning.pretraining import pretrain
from reliefseg.learning.processes import is_first_process
from reliefseg.learning.run_folder import Log, NoLog, RunLog, held
from reliefseg.learning.settings import LossSettings, OptimiserSettings, PretrainSettings, TrainSettings
from reliefseg.learning.training import Training, seconds_per_step, train

__all__ = [
    "Hooks",
    "LabelledTiles",
    "Log",
    "LossSettings",
    "NoLog",
    "OptimiserSettings",
    "PretrainSettings",
    "RunLog",
    "TrainSettings",
    "Training",
    "held",
    "is_first_process",
    "pretrain",
    "seconds_per_step",
    "train",
]
