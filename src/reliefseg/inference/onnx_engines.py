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


def _as_onnx(spec: ModelSpec, network: Generator) -> bytes:
    return to_onnx(KeptProbabilities(FusedMap(network), spec.loss, spec.margin), spec.inputs, spec.window)


class OpenVinoEngine:
    """OpenVINO: one stream a core, each of one thread, so that results do not depend on how many there are.

    Windows are computed in batches of just `batch`; a smaller one is filled up with zeros.
    """

    def __init__(self, spec: ModelSpec, network: Generator, precision: str, batch: int):
        import openvino

        self.name, self.workers, self._batch = f"openvino-{precision}", torch.get_num_threads(), batch
        core = openvino.Core()
        model = core.read_model(_as_onnx(spec, network))
        model.reshape([batch, spec.inputs, spec.window, spec.window])
        settings = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": self.workers,
            "NUM_STREAMS": self.workers,
        }
        self._compiled = core.compile_model(model, "CPU", settings)
        self._own = threading.local()

    def __call__(self, windows: Windows) -> Probabilities:
        """See `Engine`."""
        count = len(windows)
        if count < self._batch:
            windows = np.concatenate([windows, np.zeros((self._batch - count, *windows.shape[1:]), np.float32)])
        found: Any = self._request().infer({0: windows}, share_inputs=True)
        return np.array(found[0][:count])

    def _request(self) -> Any:
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        return self._own.request


class OnnxRuntimeEngine:
    """ONNX Runtime in float32; every worker computes with one thread."""

    def __init__(self, spec: ModelSpec, network: Generator):
        import onnxruntime

        self.name, self.workers = "onnxruntime-float32", torch.get_num_threads()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            _as_onnx(spec, network), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, windows: Windows) -> Probabilities:
        """See `Engine`."""
        return self._session.run(None, {"windows": windows})[0]
