"""Speed of whole-scene prediction beside common practice and beside the bare engine on the same windows: `make bench`.

    python benchmarks/prediction.py [--engines torch openvino openvino-int8 onnxruntime] [--side 6144]
    python benchmarks/prediction.py --run RUN DATASET

The network is the small U²-Net with random weights, windows of 256 px with a margin of 16; the scene is generated.
Common practice: eager float32 PyTorch, windows of 256 px with half overlap, whole windows averaged in memory. It and
the bare engine are timed before and after each prediction, because machines change their pace. Writes its section of
RESULTS.md. `--run` gives the mean IoU of both on a data set's validation scenes instead of speed: a model's own windows
are what it was validated with.
"""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

import stand_in
from reliefseg.depth import make_depth
from reliefseg.evaluation import confusion_matrix, scores_from_confusion
from reliefseg.export.int8 import Int8Cost, Int8Network, digest, in_int8, save_int8
from reliefseg.hardware import use_processor
from reliefseg.inference import ScenePredictor, windows
from reliefseg.inference.choosing import INT8
from reliefseg.inference.computing import one_thread_each, windows_over
from reliefseg.inference.onnx_engines import as_onnx
from reliefseg.inference.source import FileSource
from reliefseg.raster import load_dataset
from reliefseg.raster.opening import quiet_georeferencing
from reliefseg.raster.spread import Spread
from reliefseg.workflow import load_model, predict
from results import machine, write_section

PRACTICE_WINDOW = 256
WARM_UP = 2


def seconds_of(batch_of_windows, count):
    """Seconds a call takes, after some that do not count."""
    for call in range(-WARM_UP, count):
        if call == 0:
            began = time.perf_counter()
        batch_of_windows()
    return (time.perf_counter() - began) / count


def practice_rate(model, plan):
    """Megapixels of the scene a second, from the time of some windows: all take the same."""
    x = torch.randn(4, model.spec.inputs, PRACTICE_WINDOW, PRACTICE_WINDOW)
    with torch.inference_mode():
        each = seconds_of(lambda: model.predictor.network.fused(x).softmax(dim=1), 4) / len(x)
    count = np.prod([max(1, -(-2 * side // PRACTICE_WINDOW) - 1) for side in (plan.rows, plan.cols)])
    return megapixels(plan) / (each * count)


def bare_rate(engine, plan, bands, calls=20):
    """Megapixels of the scene a second that the engine alone would do, by as many threads as it wants."""
    batch = np.random.default_rng(0).normal(size=(plan.batch, bands, plan.window, plan.window)).astype(np.float32)
    workers = engine.workers
    with one_thread_each(), ThreadPoolExecutor(workers) as pool:
        each = pool.map(lambda _: seconds_of(lambda: engine(batch), calls), range(workers))
        windows_a_second = sum(plan.batch / seconds for seconds in each)
    return megapixels(plan) * windows_a_second / plan.window_count


def give_int8(bundle, scene):
    """What `quantise` would make of the network; random weights have no accuracy to lose."""
    model = load_model(bundle)
    opened = model.open(scene)
    source = FileSource(opened, model.spec.bands, None)
    shown = windows_over(model.plan(opened), source, model.spec.normalisation, 16)
    onnx = in_int8(as_onnx(model.spec, model.predictor.network), np.stack(list(shown)))
    cost = Int8Cost(model=model.hash, network=digest(onnx), engine=INT8, scenes=0, mean_iou=0, mean_iou_int8=0)
    save_int8(bundle, Int8Network(onnx, cost))


def megapixels(plan):
    return plan.height * plan.width / 1e6


def speed(folder, engines, side):
    """A table: each engine's rate end to end, alone, and common practice's beside it."""
    spec = stand_in.SPEC.model_copy(update={"window": PRACTICE_WINDOW, "margin": PRACTICE_WINDOW // 16})
    stand_in.save_model(folder / "model", spec)
    scene = folder / "scene.tif"
    with quiet_georeferencing():
        stand_in.write_scene(scene, side)
    if INT8 in engines:
        give_int8(folder / "model", scene)
    model = load_model(folder / "model")
    plan = model.plan(model.open(scene))
    maker = model.engines
    lines = [
        f"{machine()}; a scene of {side:,} × {side:,} px, {spec.inputs} bands, {len(spec.classes)} classes; MP/s.\n",
        "| engine | end to end | of the bare engine | bare engine | common practice | times common practice |",
        "|---|---|---|---|---|---|",
    ]
    for name in engines:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        engine = maker.open(maker.full_name(name))
        before = practice_rate(model, plan), bare_rate(engine, plan, spec.inputs)
        (tally,) = predict(folder / "model", [scene], folder / name, engine=name)
        after = practice_rate(model, plan), bare_rate(engine, plan, spec.inputs)
        practice, bare = np.mean([before, after], axis=0)
        rate = tally["megapixels_per_second"]
        figures = f"{rate:.3f} | {rate / bare:.0%} | {bare:.3f} | {practice:.3f} | {rate / practice:.1f}"
        lines.append(f"| {tally['engine']} | {figures} |")
    return "\n".join(lines)


def accuracy(run, dataset):
    model, data = load_model(run), load_dataset(dataset)
    scenes = data.split("validation")
    depth = make_depth(scenes, model.spec.depth, data.cache)
    arrays = [model.predictor.read(scene, depth.get(scene.name), with_labels=True) for scene in scenes]
    print(f"mean IoU of {len(scenes)} validation scenes, windows of {model.spec.window}: "
          f"{mean_iou(model.predictor, arrays):.4f}", flush=True)  # fmt: skip
    spec = model.spec.model_copy(update={"window": PRACTICE_WINDOW, "margin": 0})
    windows.OVERLAP, Spread._ramp = 2, lambda spread: np.ones(spread.window)
    practice = ScenePredictor(spec, model.predictor.network, precision=torch.float32)
    print(f"common practice: {mean_iou(practice, arrays):.4f}")


def mean_iou(predictor, scenes):
    names = predictor.spec.class_table.names
    total = sum(confusion_matrix(s.labels, predictor.class_ids(s), len(names)) for s in scenes)
    return scores_from_confusion(total, names)["mean_iou"]


def main():
    parser = argparse.ArgumentParser()
    known = [name for name in ("torch", "openvino", "onnxruntime") if find_spec(name)]
    known += [INT8] if set(known) >= {"openvino", "onnxruntime"} else []
    parser.add_argument("--engines", nargs="+", default=known)
    parser.add_argument("--side", type=int, default=6144)
    parser.add_argument("--run", nargs=2, type=Path)
    arguments = parser.parse_args()
    if arguments.run:
        return accuracy(*arguments.run)
    use_processor(0)  # as predict does
    with tempfile.TemporaryDirectory() as folder:
        table = speed(Path(folder), arguments.engines, arguments.side)
    print(table)
    if set(arguments.engines) >= {"torch", "openvino"}:
        write_section("prediction", table)


if __name__ == "__main__":
    main()
