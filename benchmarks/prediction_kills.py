"""Predictions killed (`kill -9`) at random moments and taken up again: files must be those of one never interrupted.

    python benchmarks/prediction_kills.py [--times 20] [--side 3000] [--seed 0]

The network is a stand-in of one convolution; all results are asked for. Moments are drawn between the start of the
work and its end as measured once. Exit status 1 where any file differs.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import stand_in
from reliefseg.inference import plan
from reliefseg.workflow import Wanted, predict

BEGUN = "begun"


def child(folder, out):
    """Predicts; tells when it begins."""
    stand_in.take_the_place_of_networks()
    stand_in.StandIn.pause = 0.3  # so that most moments fall into the computing of windows
    plan.PIECE = 200  # so that there are many
    print(BEGUN, flush=True)
    predict(folder / "model", [folder / "scene.tif"], out, Wanted(True, True, True), engine="torch")


def started(folder, out):
    call = [sys.executable, __file__, "--one", str(folder), str(out)]
    process = subprocess.Popen(call, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == BEGUN
    return process


def finish(folder, out):
    """Predicts to the end; returns what came out and the seconds it took."""
    process, began = started(folder, out), time.perf_counter()
    if process.wait():
        sys.exit("a prediction failed")
    return contents(out), time.perf_counter() - began


def contents(out):
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("*")) if p.is_file()}


def kill_once(folder, out, moment):
    """Kills a prediction at a moment; returns what lay there then, None where it was done sooner."""
    process = started(folder, out)
    try:
        process.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return contents(out)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--side", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--one", nargs=2, type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return child(*arguments.one)
    draw, same = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stand_in.save_model(folder / "model")
        stand_in.write_scene(folder / "scene.tif", arguments.side, crs="EPSG:32632")
        whole, seconds = finish(folder, folder / "whole")
        print(f"not interrupted: {seconds:.1f} s, {len(whole)} files")
        killed = 0
        while killed < arguments.times:
            moment, out = draw.uniform(0, seconds), folder / "out"
            left = kill_once(folder, out, moment)
            if left is None:
                seconds = moment
            else:
                killed += 1
                pieces = sum("piece_" in path for path in left)
                final = sum(not path.startswith(".") for path in left)
                found, _ = finish(folder, out)
                same += found == whole
                told = "the same" if found == whole else "DIFFERENT"
                print(f"killed at {moment:.2f} s with {pieces} pieces and {final} results: {told}", flush=True)
            shutil.rmtree(out)
    print(f"{same} of {killed} times the same files")
    sys.exit(same != killed)


if __name__ == "__main__":
    main()
