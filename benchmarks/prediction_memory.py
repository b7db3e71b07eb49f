"""Peak memory of prediction on a large scene and on one a quarter its size.

    python benchmarks/prediction_memory.py [--side 30000] [--folder FOLDER] [--plain] [--real]

The scene is a VRT that shows one small generated file again and again; the network is a stand-in of one convolution.
Each size is predicted in a process of its own, for peak memory belongs to a process. `--plain` leaves out the
georeferencing, `--real` takes the small U²-Net instead.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio

import stand_in
from reliefseg.raster.opening import quiet_georeferencing
from reliefseg.workflow import load_model, predict
from stand_in import BANDS

TILE = 1000
WHERE = "<SRS>EPSG:32632</SRS><GeoTransform>300000,0.1,0,5000000,0,-0.1</GeoTransform>"


def write_scene(folder, side, where):
    """A VRT of `side` × `side` pixels made of one file."""
    tile = folder / "tile.tif"
    pixels = np.random.default_rng(0).integers(1, 255, (BANDS, TILE // 8, TILE // 8), dtype=np.uint8)
    profile = {"height": TILE, "width": TILE, "count": BANDS, "dtype": "uint8", "tiled": True, "compress": "deflate"}
    with quiet_georeferencing(), rasterio.open(tile, "w", **profile) as file:
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
    path.write_text(f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">{where}{"".join(bands)}</VRTDataset>')
    return path


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder, side, where, network):
    """Predicts one scene; prints megabytes after loading, at the peak, and the tally."""
    stand_in.save_model(folder / "model")
    if network == "stand-in":
        stand_in.take_the_place_of_networks()
    load_model(folder / "model")
    loaded = peak_mb()
    scene, out = write_scene(folder, side, where), folder / f"out_{side}"
    (tally,) = predict(folder / "model", [scene], out, engine="auto" if network == "real" else "torch")
    print(
        f"{side}: {loaded:.0f} MB after loading, {peak_mb():.0f} MB at the peak, {tally['seconds']:.0f} s, "
        f"{tally['engine']}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=30000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--real", action="store_true")
    arguments = parser.parse_args()
    if arguments.one:
        return measure(
            arguments.folder, arguments.side, "" if arguments.plain else WHERE, "real" if arguments.real else "stand-in"
        )
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for side in (arguments.side // 2, arguments.side):
            call = [sys.executable, __file__, "--one", "--side", str(side), "--folder", folder]
            subprocess.run(call + ["--plain"] * arguments.plain + ["--real"] * arguments.real, check=True)


if __name__ == "__main__":
    main()
