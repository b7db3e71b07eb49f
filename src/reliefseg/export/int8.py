"""A network in whole numbers of 8 bits, as ONNX, and what that was measured to cost."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ConfigDict, ValidationError

from reliefseg.raster.files import whole_folder

IN_INT8 = ["Conv", "Concat", "MaxPool", "Resize"]
"""What is computed in int8, in ONNX's words."""
FOLDER, NETWORK, COST = "int8", "network.onnx", "cost.json"


class Int8Cost(BaseModel):
    """What int8 costs: mean IoU, in [0, 1], of `scenes` validation scenes by the model as trained and in int8.

    `model` is the hash of the model's bundle, `network` of the int8 network: neither holds for another one. `engine`
    is what the int8 network was measured with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: str
    network: str
    engine: str
    scenes: int
    mean_iou: float
    mean_iou_int8: float

    def __str__(self) -> str:
        return (
            f"mean IoU of {self.scenes} validation scenes {100 * self.mean_iou_int8:.1f} in int8 ({self.engine}), "
            f"{100 * self.mean_iou:.1f} as trained"
        )


class Int8Network(NamedTuple):
    """An int8 network as ONNX, and its cost."""

    onnx: bytes
    cost: Int8Cost


def in_int8(onnx: bytes, windows: Float32[np.ndarray, "n bands window window"]) -> bytes:
    """A network in int8: weights signed, a scale a channel; activations unsigned, in the range they have on `windows`.

    Only what takes long is in int8; the last convolution and what comes after it stay in floats, so that probabilities
    are not in steps of 1/255 and sum to one.

    Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference, CVPR 2018, sections 2.1 and 3.
    """
    from onnx import load
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(windows)

        def get_next(self) -> dict[str, np.ndarray] | None:
            window = next(self._left, None)
            return None if window is None else {"windows": window[None]}

    with tempfile.TemporaryDirectory() as folder, _without_warnings():
        given, made = Path(folder) / "float.onnx", Path(folder) / NETWORK
        given.write_bytes(onnx)
        last = [node.name for node in load(given).graph.node if node.op_type == "Conv"][-1]
        quantize_static(
            given, made, Reader(), quant_format=QuantFormat.QDQ, per_channel=True, op_types_to_quantize=IN_INT8,
            nodes_to_exclude=[last], weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8,
        )  # fmt: skip
        return made.read_bytes()


def digest(onnx: bytes) -> str:
    """SHA-256 of a network's file."""
    return hashlib.sha256(onnx).hexdigest()


def save_int8(bundle: Path, network: Int8Network) -> None:
    """Writes the network and its cost into a bundle's folder."""
    with whole_folder(bundle / FOLDER) as aside:
        (aside / NETWORK).write_bytes(network.onnx)
        (aside / COST).write_text(network.cost.model_dump_json(indent=1) + "\n", encoding="utf-8")


def load_int8(bundle: Path, model: str) -> Int8Network | None:
    """The int8 network of the model with this hash; None where there is none, or not a whole one of this very model."""
    try:
        onnx = (bundle / FOLDER / NETWORK).read_bytes()
        cost = Int8Cost.model_validate_json((bundle / FOLDER / COST).read_bytes())
    except (OSError, ValidationError):
        return None
    return Int8Network(onnx, cost) if (cost.model, cost.network) == (model, digest(onnx)) else None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """ONNX Runtime advises, for every network, to optimise it first; batch norms are folded already."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
