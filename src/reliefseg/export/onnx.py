"""Networks as ONNX, for engines that are not PyTorch."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

OPSET = 17


def to_onnx(network: nn.Module, bands: int, window: int) -> bytes:
    """The network for any number of windows of one size: `windows` in, `probabilities` out; opset 17, IR version 8."""
    example = torch.zeros(1, bands, window, window)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The older exporter needs no package but onnx; what it warns of, sizes that become constants, is meant.
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        path = Path(folder) / "network.onnx"
        torch.onnx.export(
            network.eval(), (example,), str(path), opset_version=OPSET, dynamo=False,
            input_names=["windows"], output_names=["probabilities"],
            dynamic_axes={"windows": {0: "n"}, "probabilities": {0: "n"}},
        )  # fmt: skip
        return path.read_bytes()
