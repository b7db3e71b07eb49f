"""Engines: what computes a batch of windows."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from reliefseg.export import ModelSpec
from reliefseg.hardware import placed
from reliefseg.networks import Generator, folded, shares_of_classes


@runtime_checkable
class Engine(Protocol):
    """Computes windows. Several threads may call it at once; equal batches give equal bytes on one kind of machine."""

    @property
    def name(self) -> str:
        """The engine and its precision, as `torch-bfloat16`."""

    @property
    def workers(self) -> int:
        """How many threads should call it at once to keep the machine busy."""

    def __call__(
        self, windows: Float32[np.ndarray, "n bands window window"]
    ) -> Float32[np.ndarray, "n classes keep keep"]:
        """Class probabilities, which sum to one, of what is kept of each window: all but the margin."""


class KeptProbabilities(nn.Module):
    """A network with what comes after it: the margin cut off, logits made into probabilities that sum to one."""

    def __init__(self, network: nn.Module, loss: str, margin: int):
        super().__init__()
        self.network, self.loss, self.margin = network, loss, margin

    def forward(self, x: Float[Tensor, "n bands h w"]) -> Float32[Tensor, "n classes keep keep"]:
        """Normalised bands to probabilities."""
        height, width = x.shape[2:]
        kept = self.network(x)[:, :, self.margin : height - self.margin, self.margin : width - self.margin]
        return shares_of_classes(kept, self.loss)


class FusedMap(nn.Module):
    """U²-Net's fused map alone, batch norm folded into the convolutions before it."""

    def __init__(self, network: Generator):
        super().__init__()
        self.network = folded(network)

    def forward(self, x: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits."""
        return self.network.fused(x)


class TorchEngine:
    """PyTorch on any device: folded batch norm, channels-last, bfloat16 or float32 throughout.

    On a processor every worker computes with one thread, so that results do not depend on how many cores there are
    and nothing waits for the slowest core after every layer. There is a worker a core; a GPU has two, one prepares
    while the other computes.
    """

    def __init__(self, spec: ModelSpec, network: Generator, device: torch.device | str, precision: torch.dtype):
        self.device, self.precision = torch.device(device), precision
        self.workers = torch.get_num_threads() if self.device.type == "cpu" else 2
        fused = placed(FusedMap(network), self.device).to(precision)
        self._network = KeptProbabilities(fused, spec.loss, spec.margin)

    @property
    def name(self) -> str:
        """With the precision."""
        return f"torch-{str(self.precision).removeprefix('torch.')}"

    @torch.inference_mode()
    def __call__(
        self, windows: Float32[np.ndarray, "n bands window window"]
    ) -> Float32[np.ndarray, "n classes keep keep"]:
        """See `Engine`."""
        x = torch.from_numpy(windows).to(self.device, self.precision, memory_format=torch.channels_last)
        return self._network(x).cpu().numpy()
