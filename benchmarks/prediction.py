"""Speed of whole-scene prediction beside common practice and beside the bare engine on the same windows.

    python benchmarks/prediction.py MODEL SCENE [--engines torch openvino onnxruntime]

Common practice: eager float32 PyTorch, windows of 256 px with half overlap, whole windows averaged in memory.
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from reliefseg.inference.choosing import EngineMaker
from reliefseg.inference.computing import one_thread_each
from reliefseg.workflow import load_model, predict

PRACTICE_WINDOW = 256


def practice_rate(model, megapixels, plan, windows=12):
    """Megapixels of the scene a second, from the time of some windows: all take the same."""
    x = torch.randn(4, model.spec.inputs, PRACTICE_WINDOW, PRACTICE_WINDOW)
    with torch.inference_mode():
        model.predictor.network.fused(x)
        began = time.perf_counter()
        for _ in range(windows // 4):
            model.predictor.network.fused(x).softmax(dim=1)
        each = (time.perf_counter() - began) / windows
    count = np.prod([-(-2 * side // PRACTICE_WINDOW) for side in (plan.rows, plan.cols)])
    return megapixels / (each * count)


def bare_rate(engine, plan, megapixels, bands, seconds=8.0):
    """Megapixels of the scene a second that the engine alone would do, by as many threads as it wants."""
    batch = np.random.default_rng(0).normal(size=(plan.batch, bands, plan.window, plan.window)).astype(np.float32)

    def work(_):
        engine(batch)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            engine(batch)
            done += plan.batch
        return done / (time.perf_counter() - began)

    with one_thread_each(), ThreadPoolExecutor(engine.workers) as pool:
        rate = sum(pool.map(work, range(engine.workers)))
    return megapixels * rate / plan.window_count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--engines", nargs="+", default=["torch", "openvino", "onnxruntime"])
    arguments = parser.parse_args()
    model = load_model(arguments.model)
    plan = model.plan(model.open(arguments.scene))
    megapixels = plan.height * plan.width / 1e6
    practice = practice_rate(model, megapixels, plan)
    print(f"common practice: {practice:.3f} MP/s")
    maker = EngineMaker(model.spec, model.predictor.network, model.predictor.device, plan.batch)
    for name in arguments.engines:
        bare = bare_rate(maker.named(name), plan, megapixels, model.spec.inputs)
        with tempfile.TemporaryDirectory() as out:
            (tally,) = predict(arguments.model, [arguments.scene], Path(out), engine=name)
        rate = tally["megapixels_per_second"]
        print(
            f"{tally['engine']}: {rate:.3f} MP/s end to end, {rate / bare:.0%} of the bare engine's {bare:.3f}, "
            f"{rate / practice:.1f} times common practice",
            flush=True,
        )


if __name__ == "__main__":
    main()
