"""How often the bytes of a file are read when a scene is predicted from it: strips, tiles, and a copy as COG.

    python benchmarks/prediction_reading.py [--side 8192]

Pieces are read as `predict` reads them, by two threads; no network computes. Counted is what the process read
(`/proc/self/io`, Linux only) over the size of the file. Each layout is read in a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import stand_in
from reliefseg.inference.computing import Computed, Job, Workers
from reliefseg.inference.layout import Layout
from reliefseg.inference.plan import Plan
from reliefseg.inference.sampling import read_window
from reliefseg.inference.source import FileSource
from reliefseg.raster import ClassSpec, ClassTable, open_scene
from reliefseg.raster.opening import quiet_georeferencing
from reliefseg.tiles import Normalisation

BANDS = stand_in.SPEC.bands
LAYOUTS = {
    "strips": {"tiled": False, "blockysize": 1, "interleave": "pixel"},
    "strips, band by band": {"tiled": False, "blockysize": 1, "interleave": "band"},
    "tiles of 512": {"tiled": True, "blockxsize": 512, "blockysize": 512, "interleave": "pixel"},
    "tiles of 4096": {"tiled": True, "blockxsize": 4096, "blockysize": 4096, "interleave": "pixel"},
}


class Idle:
    """Has pieces read and computes nothing."""

    name, workers = "idle", 2


class Reading(Job):
    """A job that only reads."""

    def compute(self, piece, read, calls=map):
        read(read_window(self.plan, piece))
        return Computed(None, np.ones((piece.core.height, piece.core.width), bool), 0)


def bytes_read():
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(lines[0].split()[1])


def measure(path, own_handles):
    scene = open_scene(path, bands=BANDS, classes=ClassTable((ClassSpec("any", (1, 1, 1), 0),)))
    plan = Plan.of(scene.grid.height, scene.grid.width, 1.0, window=256, margin=32, batch=4)
    source, layout = FileSource(scene, BANDS, None), Layout.of(path)
    before, began = bytes_read(), time.perf_counter()
    with layout.reading(source, plan) as suited:
        job = Reading(plan, source if own_handles else suited, Idle(), Normalisation((0.0,) * 4, (1.0,) * 4))
        workers = Workers(job, plan.pieces if own_handles else layout.in_order(plan.pieces), lambda *_: None)
        with workers.running():
            workers.wait_for_all()
    times = (bytes_read() - before) / path.stat().st_size
    print(f"{times:.2f} times its bytes in {time.perf_counter() - began:.1f} s; {layout.advice(path, plan) or 'fine'}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=8192)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--own-handles", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return measure(arguments.one, arguments.own_handles)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene.tif"
        for name, layout in LAYOUTS.items():
            with quiet_georeferencing():
                stand_in.write_scene(path, arguments.side, **layout)
            for more in ([], ["--own-handles"]):
                print(f"{name}{', a handle a thread in the order of pieces' if more else ''}: ", end="", flush=True)
                subprocess.run([sys.executable, __file__, "--one", path, *more], check=True)


if __name__ == "__main__":
    main()
