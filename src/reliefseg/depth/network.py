"""A monocular depth network of the transformers family: loaded with care, run on one window at a time.

transformers is imported inside functions: a cached depth raster does not need it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from reliefseg.depth.hub import INSTALL
from reliefseg.errors import InputError, first_line

FAR_FAMILIES = ("zoedepth", "glpn")
"""Model types whose output is a distance although their configuration does not say "metric"."""


@dataclass(frozen=True)
class DepthNetwork:
    """A network and what prepares photographs for it; `sign` is -1 where larger numbers are farther away.

    Seen from straight above, distances are linear in height; inverse depth (Depth Anything, DPT, MiDaS) is nearly
    so as long as the camera flies much higher than the houses are.
    """

    module: Any
    processor: Any
    sign: Literal[1, -1]
    device: Any

    def look(self, photo: UInt8[np.ndarray, "height width 3"]) -> Float32[np.ndarray, "height width"]:
        """Relative depth of a photograph at its own size, larger = nearer, up to a scale and shift of its own."""
        import torch
        from torch.nn.functional import interpolate

        options = {"do_pad": False} if getattr(self.processor, "do_pad", False) else {}  # ZoeDepth frames photos
        prepared = self.processor(images=[photo], return_tensors="pt", input_data_format="channels_last", **options)
        with torch.inference_mode():
            seen = self.module(pixel_values=prepared["pixel_values"].to(self.device)).predicted_depth
            seen = seen.float().reshape(1, 1, *seen.shape[-2:])
            seen = interpolate(seen, photo.shape[:2], mode="bilinear", align_corners=False, antialias=True)
        return self.sign * seen[0, 0].cpu().numpy()


def require_transformers() -> None:
    """`InputError` where transformers is not installed."""
    if find_spec("transformers") is None:
        raise InputError(f"depth source `transformers`: the package transformers is not installed; {INSTALL}")


def load_network(folder: Path, larger_is: Literal["auto", "near", "far"]) -> DepthNetwork:
    """The network in a model folder, from safetensors only, on the GPU where there is one.

    `InputError` where the folder holds no depth network, is damaged, or lacks weights the output depends on.
    """
    from reliefseg.hardware import pick_device

    device = pick_device("auto")
    module, processor, missing = _load(folder)
    network = DepthNetwork(module.to(device).eval(), processor, _sign(module.config, larger_is), device)
    _refuse_untrained(network, missing, folder)
    return network


def _load(folder: Path) -> tuple[Any, Any, list[str]]:
    """Network, image processor and the names of weights that the files lack."""
    from transformers import AutoImageProcessor, AutoModelForDepthEstimation

    try:
        with _quiet_transformers():
            processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True, **_without_torchvision())
            module, info = AutoModelForDepthEstimation.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, output_loading_info=True, dtype="float32"
            )
    except _loading_errors() as error:
        raise InputError(
            f"depth.model {folder}: cannot be loaded ({first_line(error)}); expected a "
            f"network for AutoModelForDepthEstimation, for example Depth Anything V2 Small or DPT"
        ) from error
    return module, processor, sorted(info["missing_keys"])


def _loading_errors() -> tuple[type[Exception], ...]:
    """What loading can end in: files that are missing or damaged, settings that fit no network."""
    from huggingface_hub import errors
    from safetensors import SafetensorError

    settings = getattr(errors, "StrictDataclassError", ValueError)
    return (
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        TypeError,
        AttributeError,
        ImportError,
        SafetensorError,
        settings,
    )


def _sign(config: Any, larger_is: Literal["auto", "near", "far"]) -> Literal[1, -1]:
    if larger_is != "auto":
        return 1 if larger_is == "near" else -1
    metric = getattr(config, "depth_estimation_type", "relative") == "metric"
    return -1 if metric or config.model_type in FAR_FAMILIES else 1


def _refuse_untrained(network: DepthNetwork, missing: list[str], folder: Path) -> None:
    """transformers fills missing weights with random numbers. Some are never used (DPT's first fusion layer has such),
    so each output is looked at with and without a change to them."""
    if not missing:
        return
    import torch

    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    before = network.look(photo)
    state = network.module.state_dict()
    with torch.no_grad():
        for name in missing:
            state[name].add_(1)
    if not np.array_equal(before, network.look(photo)):
        raise InputError(
            f"depth.model {folder}: {len(missing)} weights are missing from its files ({', '.join(missing[:3])}, …); "
            f"expected a whole depth network, not a backbone alone"
        )


def _without_torchvision() -> dict[str, Any]:
    """The option by which transformers takes the PIL image processors, so that results do not hang on torchvision."""
    import transformers

    return {"backend": "pil"} if int(transformers.__version__.split(".")[0]) >= 5 else {"use_fast": False}


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Without transformers' progress bars and notes; as they were afterwards."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
