"""Engines that run the network as ONNX on a processor: OpenVINO and ONNX Runtime, where they are installed."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from reliefseg.export import ModelSpec
from reliefseg.export.onnx import to_onnx
from reliefseg.inference.engines import FusedMap, KeptProbabilities
from reliefseg.networks import Generator

Windows = Float32[np.ndarray, "n bands window window"]
Probabilities = Float32[np.ndarray, "n classes keep keep"]


def as_onnx(spec: ModelSpec, network: Generator) -> bytes:
    """The network with what comes after it, as ONNX."""
    return to_onnx(KeptProbabilities(FusedMap(network), spec.loss, spec.margin), spec.inputs, spec.window)


class OpenVinoEngine:
    """OpenVINO: one stream a core, each of one thread, so that results do not depend on how many there are.

    Windows are computed one by one: as fast as in batches (42 against 46 to 55 ms a window of 256 px, small U²-Net,
    bfloat16, two cores), and a last, smaller batch costs no more than its windows.
    """

    def __init__(self, spec: ModelSpec, onnx: bytes, name: str):
        """The network as `as_onnx` or `in_int8` write it; the name ends with the precision of what is not int8."""
        import openvino

        self.name, self.workers = name, torch.get_num_threads()
        core = openvino.Core()
        model = core.read_model(onnx)
        model.reshape([1, spec.inputs, spec.window, spec.window])
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if name.endswith("bfloat16") else "f32",
            "INFERENCE_NUM_THREADS": self.workers,
            "NUM_STREAMS": self.workers,
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._own = threading.local()

    def __call__(self, windows: Windows) -> Probabilities:
        """See `Engine`."""
        request = self._request()
        found: list[Any] = [request.infer({0: window[None]}, share_inputs=True)[0] for window in windows]
        return np.concatenate(found)

    def _request(self) -> Any:
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return self._own.request


class OnnxRuntimeEngine:
    """ONNX Runtime in float32; every worker computes with one thread."""

    def __init__(self, onnx: bytes):
        import onnxruntime

        self.name, self.workers = "onnxruntime-float32", torch.get_num_threads()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])

    def __call__(self, windows: Windows) -> Probabilities:
        """See `Engine`."""
        return self._session.run(None, {"windows": windows})[0]
