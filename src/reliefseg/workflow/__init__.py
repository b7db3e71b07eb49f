"""The public API: train, evaluate, predict and the rest as functions that join the rooms."""

from reliefseg.workflow.demo import run_demo
from reliefseg.workflow.evaluating import evaluate
from reliefseg.workflow.predicting import HeightFiles, Model, find_scenes, load_model, predict
from reliefseg.workflow.preparing import make_depth_rasters
from reliefseg.workflow.running import RunResult, refuse_errors, run_all
from reliefseg.workflow.training import pretrain, train

__all__ = [
    "HeightFiles",
    "Model",
    "RunResult",
    "evaluate",
    "find_scenes",
    "load_model",
    "make_depth_rasters",
    "predict",
    "pretrain",
    "refuse_errors",
    "run_all",
    "run_demo",
    "train",
]
