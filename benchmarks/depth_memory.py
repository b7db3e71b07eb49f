"""Peak memory of depth on a large scene and on one a quarter its size.

    python benchmarks/depth_memory.py [--side 20000] [--source transformers] [--folder FOLDER]

The scene is a VRT that shows one small generated file again and again. Source `transformers` runs a stand-in network
of three channels by windows of 518 px, which are then fitted to each other; source `builtin` runs the shipped network
at the scene's gsd of 9 cm. Each size is made in a process of its own, for peak memory belongs to a process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio

from reliefseg.depth import DepthSettings, depth_raster, relative
from reliefseg.hardware import use_processor
from reliefseg.raster import ClassTable, open_scene
from reliefseg.raster.opening import quiet_georeferencing

TILE, BANDS, GSD = 1000, 3, 0.09


class StandIn:
    """Sees the mean of three channels, each window in units of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def look(self, photo):
        return self.rng.uniform(0.5, 2) * photo.mean(axis=2, dtype=np.float32) + self.rng.uniform(-9, 9)


def write_scene(folder, side):
    """A VRT of `side` × `side` pixels made of one file."""
    pixels = np.random.default_rng(0).integers(1, 255, (BANDS, TILE // 8, TILE // 8), dtype=np.uint8)
    profile = {"height": TILE, "width": TILE, "count": BANDS, "dtype": "uint8", "tiled": True, "compress": "deflate"}
    with quiet_georeferencing(), rasterio.open(folder / "tile.tif", "w", **profile) as file:
        file.write(pixels.repeat(8, axis=1).repeat(8, axis=2))
    bands = []
    for band in range(1, BANDS + 1):
        parts = [
            f'<SimpleSource><SourceFilename relativeToVRT="1">tile.tif</SourceFilename><SourceBand>{band}</SourceBand>'
            f'<SrcRect xOff="0" yOff="0" xSize="{w}" ySize="{h}"/>'
            f'<DstRect xOff="{col}" yOff="{row}" xSize="{w}" ySize="{h}"/></SimpleSource>'
            for row in range(0, side, TILE) for col in range(0, side, TILE)
            for h, w in [(min(TILE, side - row), min(TILE, side - col))]
        ]  # fmt: skip
        bands.append(f'<VRTRasterBand dataType="Byte" band="{band}">{"".join(parts)}</VRTRasterBand>')
    path = folder / f"scene_{side}.vrt"
    path.write_text(f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">{"".join(bands)}</VRTDataset>')
    return path


def scene_of(folder, side):
    path = write_scene(folder, side)
    return open_scene(path, bands=("red", "green", "blue"), classes=ClassTable(()), stated_gsd=GSD)


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder, side, source):
    """Makes one scene's depth; prints megabytes after loading and at the peak."""
    use_processor(0)
    relative.require_transformers = lambda: None
    relative.find_model = lambda model, allow_download: folder
    relative.load_network = lambda *_: StandIn()
    settings = DepthSettings(source=source)
    small = scene_of(folder, 600)
    depth_raster(small, settings, folder / f"small_{side}")
    loaded, began = peak_mb(), time.monotonic()
    scene = open_scene(
        write_scene(folder, side), bands=("red", "green", "blue"), classes=ClassTable(()), stated_gsd=GSD
    )
    depth_raster(scene, settings, folder / f"out_{side}")
    print(
        f"{source} {side}: {loaded:.0f} MB after loading, {peak_mb():.0f} MB at the peak, "
        f"{time.monotonic() - began:.0f} s", flush=True,
    )  # fmt: skip


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=20000)
    parser.add_argument("--source", choices=("transformers", "builtin"), default="transformers")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return measure(arguments.folder, arguments.side, arguments.source)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for side in (arguments.side // 2, arguments.side):
            call = [sys.executable, __file__, "--one", "--side", str(side), "--folder", folder]
            subprocess.run([*call, "--source", arguments.source], check=True)


if __name__ == "__main__":
    main()
