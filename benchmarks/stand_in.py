"""A network of one convolution in place of the real one, for benchmarks of everything around it."""

import time

import numpy as np
import rasterio
import torch

from reliefseg.depth import DepthSettings
from reliefseg.export import BundleClass, ModelSpec, save_bundle
from reliefseg.inference import predict as in_memory
from reliefseg.inference.choosing import EngineMaker

BANDS, CLASSES = 4, 6
SPEC = ModelSpec(
    network="u2net-small", bands=tuple("nrgb"), scene_bands=tuple("nrgb"), loss="softmax",
    classes=tuple(BundleClass(name=f"class {i}", color=(40 * i, 9, 9)) for i in range(CLASSES)),
    mean=(128.0,) * BANDS, std=(60.0,) * BANDS, working_scale=1.0, reference_gsd=None, window=256, margin=16,
    depth=DepthSettings(source="none"),
)  # fmt: skip


class StandIn:
    """One convolution and softmax; takes `pause` seconds longer a batch, as a real network would."""

    name, workers, pause = "torch-float32", 2, 0.0

    def __init__(self, *_):
        torch.manual_seed(0)
        self.convolution = torch.nn.Conv2d(BANDS, CLASSES, 3, padding=1)

    @torch.inference_mode()
    def __call__(self, windows):
        time.sleep(self.pause)
        keep = slice(SPEC.margin, SPEC.window - SPEC.margin)
        return self.convolution(torch.from_numpy(windows))[:, :, keep, keep].softmax(dim=1).numpy()


def save_model(folder, spec=SPEC):
    """A bundle of the small network with random weights."""
    torch.manual_seed(0)
    save_bundle(folder, spec, spec.build_network())


def take_the_place_of_networks():
    """Whatever engine is asked for in this process, it is the stand-in."""
    in_memory.TorchEngine = StandIn
    EngineMaker.open = lambda self, name: StandIn()


def write_scene(path, side, crs=None, **layout):
    """A generated scene with 4 bands, in squares of 8 × 8 equal pixels."""
    rng = np.random.default_rng(0)
    profile = {"height": side, "width": side, "count": BANDS, "dtype": "uint8", "compress": "deflate", "zlevel": 1}
    where = {} if crs is None else {"crs": crs, "transform": rasterio.Affine(0.1, 0, 3e5, 0, -0.1, 5e6)}
    with rasterio.open(path, "w", **profile, **where, **({"tiled": True} | layout)) as file:
        for row in range(0, side, 4096):
            rows = min(4096, side - row)
            pixels = rng.integers(1, 255, (BANDS, -(-rows // 8), -(-side // 8)), dtype=np.uint8)
            file.write(pixels.repeat(8, 1).repeat(8, 2)[:, :rows, :side], window=((row, row + rows), (0, side)))
