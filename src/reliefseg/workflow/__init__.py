"""The public API: train, evaluate, predict and the rest as functions that join the rooms."""

from typing import TYPE_CHECKING

from reliefseg.lookup import looked_up

if TYPE_CHECKING:
    from reliefseg.inference.choosing import EngineName
    from reliefseg.inference.results import Wanted
    from reliefseg.learning.processes import is_first_process
    from reliefseg.workflow.ablation import Ablation, ablate
    from reliefseg.workflow.ablation_factors import full_grid, one_at_a_time
    from reliefseg.workflow.demo import run_demo
    from reliefseg.workflow.depth_fitting import FIT_SETTINGS, FitSettings, fit_depth
    from reliefseg.workflow.depth_previews import preview_depth
    from reliefseg.workflow.evaluating import evaluate
    from reliefseg.workflow.finding import HeightFiles, find_scenes
    from reliefseg.workflow.label_efficiency import LabelCurve, label_curve
    from reliefseg.workflow.making_depth import make_depth_rasters
    from reliefseg.workflow.models import Model, load_model
    from reliefseg.workflow.predicting import merge, predict
    from reliefseg.workflow.quantising import quantise
    from reliefseg.workflow.record import DATA
    from reliefseg.workflow.running import RunResult, checked_dataset, run_all
    from reliefseg.workflow.scene_work import Shard
    from reliefseg.workflow.training import pretrain, train

__all__ = [
    "DATA",
    "FIT_SETTINGS",
    "Ablation",
    "EngineName",
    "FitSettings",
    "HeightFiles",
    "LabelCurve",
    "Model",
    "RunResult",
    "Shard",
    "Wanted",
    "ablate",
    "checked_dataset",
    "evaluate",
    "find_scenes",
    "fit_depth",
    "full_grid",
    "is_first_process",
    "label_curve",
    "load_model",
    "make_depth_rasters",
    "merge",
    "one_at_a_time",
    "predict",
    "pretrain",
    "preview_depth",
    "quantise",
    "run_all",
    "run_demo",
    "train",
]

_HOMES = {
    "Ablation": "workflow.ablation",
    "DATA": "workflow.record",
    "EngineName": "inference.choosing",
    "FIT_SETTINGS": "workflow.depth_fitting",
    "FitSettings": "workflow.depth_fitting",
    "HeightFiles": "workflow.finding",
    "LabelCurve": "workflow.label_efficiency",
    "Model": "workflow.models",
    "RunResult": "workflow.running",
    "Shard": "workflow.scene_work",
    "Wanted": "inference.results",
    "ablate": "workflow.ablation",
    "checked_dataset": "workflow.running",
    "evaluate": "workflow.evaluating",
    "find_scenes": "workflow.finding",
    "fit_depth": "workflow.depth_fitting",
    "full_grid": "workflow.ablation_factors",
    "is_first_process": "learning.processes",
    "label_curve": "workflow.label_efficiency",
    "load_model": "workflow.models",
    "make_depth_rasters": "workflow.making_depth",
    "merge": "workflow.predicting",
    "one_at_a_time": "workflow.ablation_factors",
    "predict": "workflow.predicting",
    "pretrain": "workflow.training",
    "preview_depth": "workflow.depth_previews",
    "quantise": "workflow.quantising",
    "run_all": "workflow.running",
    "run_demo": "workflow.demo",
    "train": "workflow.training",
}

__getattr__ = looked_up(__name__, _HOMES)  # So that what does not learn does not load what learns.
