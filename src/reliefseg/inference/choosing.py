"""Which engine computes: by name, or the fastest that agrees with torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Literal, NamedTuple, cast

import numpy as np
import torch
from jaxtyping import Float32

from reliefseg.errors import InputError
from reliefseg.export import ModelSpec
from reliefseg.export.int8 import Int8Network
from reliefseg.hardware import Precision, pick_precision
from reliefseg.inference.computing import one_thread_each
from reliefseg.inference.engines import Engine, TorchEngine
from reliefseg.inference.onnx_engines import OnnxRuntimeEngine, OpenVinoEngine, as_onnx
from reliefseg.networks import Generator

EngineName = Literal[
    "auto", "torch", "torch-float32", "torch-bfloat16", "openvino", "openvino-float32", "openvino-bfloat16",
    "openvino-int8", "onnxruntime",
]  # fmt: skip
"""Without a precision: the one that suits the machine."""
INT8: EngineName = "openvino-int8"
"""Never chosen by itself: what it costs in accuracy is for the user to weigh."""
AGREEMENT = 0.999
"""Share of a first window's pixels on which an engine must give torch's class to be chosen by itself."""
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

PACKAGES = {
    **dict.fromkeys(("torch", "torch-float32", "torch-bfloat16"), ("torch",)),
    **dict.fromkeys(("openvino", "openvino-float32", "openvino-bfloat16"), ("openvino", "onnx")),
    INT8: ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx"),
}
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

    def __init__(self, spec: ModelSpec, network: Generator, device: torch.device, int8: Int8Network | None = None):
        self.spec, self.network, self.device, self.int8 = spec, network, device, int8
        self.best: str | None = None
        self._ready: Engine | None = None

    def __reduce__(self) -> tuple[type[EngineMaker], tuple[ModelSpec, Generator, torch.device, Int8Network | None]]:
        """Other processes make engines of their own."""
        return EngineMaker, (self.spec, self.network, self.device, self.int8)

    def open(self, full_name: str) -> Engine:
        """The engine that calls itself so, as `torch-bfloat16`."""
        if self._ready is None or self._ready.name != full_name:
            self._ready = self._made(full_name)
        return self._ready

    def full_name(self, name: str) -> str:
        """An engine's name with its precision; InputError where the machine has not the one or the other."""
        refuse_absent(name)
        if name == "onnxruntime":
            return "onnxruntime-float32"
        engine, asked = _with_precision(name)
        device = self.device if engine == "torch" else torch.device("cpu")
        if engine == "openvino" and asked == "bfloat16" and pick_precision("auto", device) != torch.bfloat16:
            raise InputError(f"engine {name!r}: this processor has no bfloat16; take openvino-float32")
        precision = str(pick_precision(asked, device)).removeprefix("torch.")
        return f"{engine}-{precision}"

    def candidates(self) -> list[str]:
        """Engines to try on this machine, torch first."""
        torch_name = self.full_name("torch")
        if self.device.type != "cpu":
            return [torch_name]
        precisions = sorted({torch_name.split("-")[1], "float32"})
        found = [f"openvino-{p}" for p in precisions] if installed("openvino") else []
        return [torch_name, *found, *(["onnxruntime-float32"] if installed("onnxruntime") else [])]

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

    def int8_network(self) -> Int8Network:
        """The model's int8 network; InputError where it has none."""
        if self.int8 is None:
            raise InputError(
                f"engine {INT8!r}: there is no int8 network of this very model; `reliefseg quantise RUN DATASET` makes "
                "one and measures what it costs in accuracy"
            )
        return self.int8

    def _made(self, full_name: str) -> Engine:
        name, _, precision = full_name.rpartition("-")
        refuse_absent(name)
        if name == INT8:
            return OpenVinoEngine(self.spec, self.int8_network().onnx, full_name)
        if name == "openvino":
            return OpenVinoEngine(self.spec, as_onnx(self.spec, self.network), full_name)
        if name == "onnxruntime":
            return OnnxRuntimeEngine(as_onnx(self.spec, self.network))
        return TorchEngine(self.spec, self.network, self.device, PRECISIONS[precision])


def fastest(choices: list[Choice]) -> Choice:
    """The fastest of those that agree with the first."""
    return min((c for c in choices if c.agreement >= AGREEMENT), key=lambda c: c.seconds)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _with_precision(name: str) -> tuple[str, Precision]:
    """An engine's name and the precision it asks for."""
    engine, _, precision = name.rpartition("-")
    return (engine, cast(Precision, precision)) if precision in PRECISIONS else (name, "auto")


def installed(name: str) -> bool:
    """Whether all that an engine needs is there."""
    return all(find_spec(package) for package in PACKAGES[name])


def refuse_absent(name: str) -> None:
    """InputError where what an engine needs is not installed."""
    if name not in PACKAGES:
        raise InputError(f"engine {name!r}: unknown; known are auto, {', '.join(PACKAGES)}")
    if not installed(name):
        extra = name.split("-")[0]
        raise InputError(f"engine {name!r}: is not installed here; pip install 'reliefseg[{extra}]', or --engine torch")
