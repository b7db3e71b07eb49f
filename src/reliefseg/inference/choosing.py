"""Engines by name."""

from __future__ import annotations

from typing import Literal

import torch

from reliefseg.export import ModelSpec
from reliefseg.inference.engines import Engine, TorchEngine
from reliefseg.networks import U2Net

EngineName = Literal["auto", "torch"]
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def open_engine(name: str, spec: ModelSpec, network: U2Net, device: torch.device) -> Engine:
    """The engine that calls itself `name`, as `torch-bfloat16`."""
    _, precision = name.split("-")
    return TorchEngine(spec, network, device, PRECISIONS[precision])
