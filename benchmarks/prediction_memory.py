"""Peak memory of prediction on a large scene and on one a quarter its size.

    python benchmarks/prediction_memory.py [--side 30000] [--folder FOLDER]

The scene is a VRT that shows one small generated file again and again; the network is a stand-in of one convolution.
Each size is predicted in a process of its own, for peak memory belongs to a process.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import rasterio
import torch

from reliefseg.depth import DepthSettings
from reliefseg.export import BundleClass, ModelSpec, save_bundle
from reliefseg.inference import predict as in_memory
from reliefseg.inference.choosing import EngineMaker
from reliefseg.raster.opening import quiet_georeferencing
from reliefseg.workflow import predicting

TILE, BANDS, CLASSES = 1000, 4, 6
SPEC = ModelSpec(
    network="u2net-small", bands=tuple("nrgb"), scene_bands=tuple("nrgb"), loss="softmax",
    classes=tuple(BundleClass(name=f"class {i}", color=(40 * i, 9, 9)) for i in range(CLASSES)),
    mean=(128.0,) * BANDS, std=(60.0,) * BANDS, working_scale=1.0, reference_gsd=None, window=256, margin=16,
    depth=DepthSettings(source="none"),
)  # fmt: skip


class StandIn:
    """One convolution and softmax."""

    name, workers = "torch-float32", 2

    def __init__(self, *_):
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(BANDS, CLASSES, 3, padding=1)

    @torch.inference_mode()
    def __call__(self, windows):
        keep = slice(SPEC.margin, SPEC.window - SPEC.margin)
        return self.convolution(torch.from_numpy(windows))[:, :, keep, keep].softmax(dim=1).numpy()


def write_scene(folder, side):
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
    path.write_text(f'<VRTDataset rasterXSize="{side}" rasterYSize="{side}">{"".join(bands)}</VRTDataset>')
    return path


def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(folder, side):
    """Predicts one scene; prints megabytes after loading, at the peak, and the tally."""
    torch.manual_seed(0)
    save_bundle(folder / "model", SPEC, SPEC.build_network())
    in_memory.TorchEngine = StandIn
    EngineMaker.open = lambda self, name: StandIn()
    predicting.load_model(folder / "model")
    loaded = peak_mb()
    scene, out = write_scene(folder, side), folder / f"out_{side}"
    (tally,) = predicting.predict(folder / "model", [scene], out, engine="torch")
    print(
        f"{side}: {loaded:.0f} MB after loading, {peak_mb():.0f} MB at the peak, {tally['seconds']:.0f} s", flush=True
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--side", type=int, default=30000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        return measure(arguments.folder, arguments.side)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for side in (arguments.side // 2, arguments.side):
            call = [sys.executable, __file__, "--one", "--side", str(side), "--folder", folder]
            subprocess.run(call, check=True)


if __name__ == "__main__":
    main()
