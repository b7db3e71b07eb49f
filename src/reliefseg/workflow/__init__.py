"""The public API: train, evaluate, predict and the rest as functions that join the rooms."""

from reliefseg.inference.choosing import EngineName
from reliefseg.inference.results import Wanted
from reliefseg.workflow.demo import run_demo
from reliefseg.workflow.evaluating import evaluate
from reliefseg.workflow.finding import HeightFiles, find_scenes
from reliefseg.workflow.models import Model, load_model
from reliefseg.workflow.predicting import merge, predict
from reliefseg.workflow.preparing import make_depth_rasters
from reliefseg.workflow.running import RunResult, refuse_errors, run_all
from reliefseg.workflow.scene_work import Shard
from reliefseg.workflow.training import pretrain, train

__all__ = [
    "EngineName",
    "HeightFiles",
    "Model",
    "RunResult",
    "Shard",
    "Wanted",
    "evaluate",
    "find_scenes",
    "load_model",
    "make_depth_rasters",
    "merge",
    "predict",
    "pretrain",
    "refuse_errors",
    "run_all",
    "run_demo",
    "train",
]
