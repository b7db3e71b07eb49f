"""A trained model in int8, with its loss measured on validation scenes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from reliefseg.errors import InputError
from reliefseg.evaluation import confusion_matrix, scores_from_confusion
from reliefseg.export.bundle import bundle_folder
from reliefseg.export.int8 import Int8Cost, Int8Network, digest, in_int8, save_int8
from reliefseg.inference import ScenePredictor
from reliefseg.inference.choosing import INT8, installed
from reliefseg.inference.computing import windows_over
from reliefseg.inference.onnx_engines import OpenVinoEngine, as_onnx
from reliefseg.inference.source import FileSource
from reliefseg.learning.run_folder import held
from reliefseg.raster import Dataset, Scene
from reliefseg.workflow.evaluating import refuse_other_data, refuse_unscored
from reliefseg.workflow.making_depth import depth_rasters, taken_as
from reliefseg.workflow.models import Model, load_model
from reliefseg.workflow.saying import SILENT, Sayer, Tick

WINDOWS = 64
"""From at most so many windows, spread over the training scenes, the ranges of activations are taken."""

Depth = Mapping[str, Path]


def quantise(run: Path, dataset: Dataset, *, say: Sayer = SILENT) -> Int8Cost:
    """Makes the int8 network of a run's model, for `predict` by the engine `openvino-int8`, and measures its cost.

    Ranges come from training scenes, the cost from validation scenes. InputError: packages that are missing, a data
    set without labelled validation scenes or with other classes.
    """
    if not (installed("onnxruntime") and installed("openvino")):
        raise InputError("int8: OpenVINO or ONNX Runtime is not installed here; pip install 'reliefseg[int8]'")
    refuse_unscored(dataset, "validation")
    model = load_model(run)
    with held(run):
        refuse_other_data(model.spec, dataset)
        training = [*dataset.split("pixel_labelled"), *dataset.split("tile_labelled")]
        some, scenes = _spread(training), dataset.split("validation")
        seen = [taken_as(scene, model.spec.reference_gsd) for scene in (*some, *scenes)]
        depth = depth_rasters(seen, model.spec.depth, dataset.cache, say)
        windows = _windows(model, some, depth)
        if not windows:
            raise InputError(f"data set {dataset.name}: no training scene shows anything; int8 takes its ranges there")
        say.note(f"int8: ranges from {len(windows)} windows of {len(some)} training scenes")
        onnx = in_int8(as_onnx(model.spec, model.predictor.network), np.stack(windows))
        rounded = copy.copy(model.predictor)
        rounded.engine = OpenVinoEngine(model.spec, onnx, model.engines.full_name(INT8))
        with say.progress("measuring int8") as tick:
            trained, int8 = _mean_ious((model.predictor, rounded), scenes, depth, tick)
        cost = Int8Cost(
            model=model.hash, network=digest(onnx), engine=rounded.engine.name, scenes=len(scenes), mean_iou=trained,
            mean_iou_int8=int8,
        )  # fmt: skip
        save_int8(bundle_folder(run), Int8Network(onnx, cost))
    return cost


def _spread(scenes: Sequence[Scene]) -> list[Scene]:
    """At most `WINDOWS` of them, evenly chosen."""
    count = min(WINDOWS, len(scenes))
    return [scenes[i * len(scenes) // count] for i in range(count)]


def _windows(model: Model, scenes: Sequence[Scene], depth: Depth) -> list[Float32[np.ndarray, "bands window window"]]:
    found: list[np.ndarray] = []
    for scene in scenes:
        source = FileSource(scene, model.spec.bands, depth.get(scene.name))
        found += windows_over(model.plan(scene), source, model.spec.normalisation, WINDOWS // len(scenes))
    return found


def _mean_ious(predictors: Sequence[ScenePredictor], scenes: Sequence[Scene], depth: Depth, tick: Tick) -> list[float]:
    """The mean IoU of each predictor over all scenes, in [0, 1]."""
    names = predictors[0].spec.class_table.names
    totals = [np.zeros((len(names), len(names)), np.int64) for _ in predictors]
    for done, scene in enumerate(scenes, 1):
        arrays = predictors[0].read(scene, depth.get(scene.name), with_labels=True)
        for total, predictor in zip(totals, predictors, strict=True):
            total += confusion_matrix(arrays.labels, predictor.class_ids(arrays), len(names))
        tick(done, len(scenes))
    return [float(scores_from_confusion(total, names)["mean_iou"]) for total in totals]
