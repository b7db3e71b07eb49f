"""Which engine computes: by name, or the fastest that agrees with torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32

from reliefseg.errors import InputError
from reliefseg.export import ModelSpec
from reliefseg.hardware import pick_precision
from reliefseg.inference.computing import one_thread_each
from reliefseg.inference.engines import Engine, TorchEngine
from reliefseg.inference.onnx_engines import OnnxRuntimeEngine, OpenVinoEngine
from reliefseg.networks import Generator

EngineName = Literal["auto", "torch", "openvino", "onnxruntime"]
AGREEMENT = 0.999
"""Share of a first window's pixels on which an engine must give torch's class to be chosen by itself."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}

PACKAGES = {"torch": ("torch",), "openvino": ("openvino", "onnx"), "onnxruntime": ("onnxruntime", "onnx")}
"""What each engine needs: networks are handed on as ONNX, which torch writes by the package `onnx`."""


class Choice(NamedTuple):
    """An engine that was tried: seconds for the first windows, and its share of pixels with torch's class."""

    engine: Engine
    seconds: float
    agreement: float


class EngineMaker:
    """What engines are made of. The engine in use is kept ready, because scenes come one after the other.

    `best` is the full name of the engine that `auto` means on this machine; None: nothing has been tried yet.
    """

    def __init__(self, spec: ModelSpec, network: Generator, device: torch.device):
        self.spec, self.network, self.device = spec, network, device
        self.best: str | None = None
        self._ready: Engine | None = None

    def __reduce__(self) -> tuple[type[EngineMaker], tuple[ModelSpec, Generator, torch.device]]:
        """Other processes make engines of their own."""
        return EngineMaker, (self.spec, self.network, self.device)

    def open(self, full_name: str) -> Engine:
        """The engine that calls itself so, as `torch-bfloat16`."""
        if self._ready is None or self._ready.name != full_name:
            self._ready = self._made(full_name)
        return self._ready

    def full_name(self, name: str) -> str:
        """An engine's name with the precision that suits this machine; InputError where it is not installed."""
        _refuse_absent(name)
        precision = str(pick_precision("auto", self.device)).removeprefix("torch.")
        return "onnxruntime-float32" if name == "onnxruntime" else f"{name}-{precision}"

    def candidates(self) -> list[str]:
        """Engines to try on this machine, torch first."""
        torch_name = self.full_name("torch")
        if self.device.type != "cpu":
            return [torch_name]
        precisions = sorted({torch_name.split("-")[1], "float32"})
        found = [f"openvino-{p}" for p in precisions] if _installed("openvino") else []
        return [torch_name, *found, *(["onnxruntime-float32"] if _installed("onnxruntime") else [])]

    def tried(self, windows: Float32[np.ndarray, "n bands window window"]) -> list[Choice]:
        """All candidates on a scene's first windows, torch first; the best of them is kept."""
        choices: list[Choice] = []
        for name in self.candidates():
            engine = self._made(name)
            with one_thread_each():
                classes = engine(windows).argmax(axis=1)
                expected = choices[0].engine(windows).argmax(axis=1) if choices else classes
                seconds = _seconds(lambda e=engine: e(windows))  # type: ignore[misc]
            choices.append(Choice(engine, seconds, float((classes == expected).mean())))
        self._ready = fastest(choices).engine
        self.best = self._ready.name
        return choices

    def _made(self, full_name: str) -> Engine:
        name, precision = full_name.split("-")
        _refuse_absent(name)
        if name == "openvino":
            return OpenVinoEngine(self.spec, self.network, precision)
        if name == "onnxruntime":
            return OnnxRuntimeEngine(self.spec, self.network)
        return TorchEngine(self.spec, self.network, self.device, PRECISIONS[precision])


def fastest(choices: list[Choice]) -> Choice:
    """The fastest of those that agree with the first."""
    return min((c for c in choices if c.agreement >= AGREEMENT), key=lambda c: c.seconds)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _installed(name: str) -> bool:
    return all(find_spec(package) for package in PACKAGES[name])


def _refuse_absent(name: str) -> None:
    if name not in PACKAGES:
        raise InputError(f"engine {name!r}: unknown; known are auto, {', '.join(PACKAGES)}")
    if not _installed(name):
        raise InputError(f"engine {name!r}: is not installed here; pip install 'reliefseg[{name}]', or --engine torch")
