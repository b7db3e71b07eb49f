"""The public API: train, evaluate, predict and the rest as functions that join the rooms."""

from reliefseg.inference.choosing import EngineName
from reliefseg.inference.results import Wanted
from reliefseg.workflow.ablation import Ablation, ablate
from reliefseg.workflow.ablation_factors import full_grid, one_at_a_time
from reliefseg.workflow.demo import run_demo
from reliefseg.workflow.evaluating import evaluate
from reliefseg.workflow.finding import HeightFiles, find_scenes
from reliefseg.workflow.label_curve import LabelCurve, label_curve
from reliefseg.workflow.making_depth import make_depth_rasters
from reliefseg.workflow.models import Model, load_model
from reliefseg.workflow.predicting import merge, predict
from reliefseg.workflow.quantising import quantise
from reliefseg.workflow.running import RunResult, refuse_errors, run_all
from reliefseg.workflow.scene_work import Shard
from reliefseg.workflow.training import pretrain, train

__all__ = [
    "Ablation",
    "EngineName",
    "HeightFiles",
    "LabelCurve",
    "Model",
    "RunResult",
    "Shard",
    "Wanted",
    "ablate",
    "evaluate",
    "find_scenes",
    "full_grid",
    "label_curve",
    "load_model",
    "make_depth_rasters",
    "merge",
    "one_at_a_time",
    "predict",
    "pretrain",
    "quantise",
    "refuse_errors",
    "run_all",
    "run_demo",
    "train",
]
