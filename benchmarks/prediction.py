"""Speed of whole-scene prediction beside common practice and beside the bare engine on the same windows.

    python benchmarks/prediction.py [--engines torch openvino onnxruntime] [--side 4096]
    python benchmarks/prediction.py --run RUN DATASET

The network is the small U²-Net with random weights, windows of 256 px with a margin of 32; the scene is generated.
Common practice: eager float32 PyTorch, windows of 256 px with half overlap, whole windows averaged in memory. `--run`
gives the mean IoU of both on a data set's validation scenes instead of speed: a model's own windows are what it was
validated with.
"""

import argparse
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
from reliefseg.hardware import use_processor
from reliefseg.inference import ScenePredictor, windows
from reliefseg.inference.choosing import EngineMaker
from reliefseg.inference.computing import one_thread_each
from reliefseg.raster import load_dataset
from reliefseg.raster.opening import quiet_georeferencing
from reliefseg.workflow import load_model, predict

PRACTICE_WINDOW = 256
WARM_UP = 2


def practice_rate(model, megapixels, plan, batches=4):
    """Megapixels of the scene a second, from the time of some windows: all take the same."""
    x = torch.randn(4, model.spec.inputs, PRACTICE_WINDOW, PRACTICE_WINDOW)
    with torch.inference_mode():
        for batch in range(-WARM_UP, batches):
            if batch == 0:
                began = time.perf_counter()
            model.predictor.network.fused(x).softmax(dim=1)
        each = (time.perf_counter() - began) / (4 * batches)
    count = np.prod([-(-2 * side // PRACTICE_WINDOW) for side in (plan.rows, plan.cols)])
    return megapixels / (each * count)


def bare_rate(engine, plan, megapixels, bands, seconds=8.0):
    """Megapixels of the scene a second that the engine alone would do, by as many threads as it wants."""
    batch = np.random.default_rng(0).normal(size=(plan.batch, bands, plan.window, plan.window)).astype(np.float32)

    def work(_):
        for _ in range(WARM_UP):
            engine(batch)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            engine(batch)
            done += plan.batch
        return done / (time.perf_counter() - began)

    with one_thread_each(), ThreadPoolExecutor(engine.workers) as pool:
        rate = sum(pool.map(work, range(engine.workers)))
    return megapixels * rate / plan.window_count


def speed(folder, engines, side):
    spec = stand_in.SPEC.model_copy(update={"window": PRACTICE_WINDOW, "margin": PRACTICE_WINDOW // 8})
    stand_in.save_model(folder / "model", spec)
    scene = folder / "scene.tif"
    with quiet_georeferencing():
        stand_in.write_scene(scene, side)
    model = load_model(folder / "model")
    plan = model.plan(model.open(scene))
    megapixels = plan.height * plan.width / 1e6
    practice = practice_rate(model, megapixels, plan)
    print(f"{megapixels:.1f} MP, {torch.get_num_threads()} threads; common practice: {practice:.3f} MP/s", flush=True)
    use_processor(0)  # as predict does; common practice does not
    maker = EngineMaker(model.spec, model.predictor.network, model.predictor.device, plan.batch)
    for name in engines:
        bare = bare_rate(maker.named(name), plan, megapixels, model.spec.inputs)
        (tally,) = predict(folder / "model", [scene], folder / name, engine=name)
        rate = tally["megapixels_per_second"]
        print(
            f"{tally['engine']}: {rate:.3f} MP/s end to end, {rate / bare:.0%} of the bare engine's {bare:.3f}, "
            f"{rate / practice:.1f} times common practice",
            flush=True,
        )


def accuracy(run, dataset):
    model, scenes = load_model(run), load_dataset(dataset).split("validation")
    depth = make_depth(scenes, model.spec.depth, model.cache_for(scenes[0]))
    arrays = [model.predictor.read(scene, depth.get(scene.name), with_labels=True) for scene in scenes]
    print(f"mean IoU of {len(scenes)} validation scenes, windows of {model.spec.window}: "
          f"{mean_iou(model.predictor, arrays):.4f}", flush=True)  # fmt: skip
    spec = model.spec.model_copy(update={"window": PRACTICE_WINDOW, "margin": 0})
    windows.OVERLAP, windows.Axis._ramp = 2, lambda axis: np.ones(axis.keep)
    practice = ScenePredictor(spec, model.predictor.network, precision=torch.float32)
    print(f"common practice: {mean_iou(practice, arrays):.4f}")


def mean_iou(predictor, scenes):
    names = predictor.spec.class_table.names
    total = sum(confusion_matrix(s.labels, predictor.class_ids(s), len(names)) for s in scenes)
    return scores_from_confusion(total, names)["mean_iou"]


def main():
    parser = argparse.ArgumentParser()
    known = [name for name in ("torch", "openvino") if find_spec(name)]
    parser.add_argument("--engines", nargs="+", default=known)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--run", nargs=2, type=Path)
    arguments = parser.parse_args()
    if arguments.run:
        return accuracy(*arguments.run)
    with tempfile.TemporaryDirectory() as folder:
        speed(Path(folder), arguments.engines, arguments.side)


if __name__ == "__main__":
    main()
