"""Does a batch fit into memory? Estimated from what autograd keeps for a small one, before the first step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from reliefseg.errors import InputError
from reliefseg.hardware import free_memory
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.processes import over_all

TRIED, TRIED_SIDE = 2, 128
"""Tiles of the small batch (batch norm refuses one where the deepest map is 1 × 1), and their largest size."""
HEADROOM = 1.3
"""Memory a step takes over what autograd keeps: gradients on their way, work space. Measured: DESIGN.md, 6."""


class KeptTensors:
    """Counts, as a context, the bytes that autograd keeps for the way back, those of some tensors excepted."""

    def __init__(self, but: Sequence[Tensor] = ()) -> None:
        self.peak = self._now = 0
        self._holders: Counter[int] = Counter()
        self._others = {tensor.untyped_storage().data_ptr() for tensor in but}
        self._hooks = torch.autograd.graph.saved_tensors_hooks(self._keep, lambda kept: kept.tensor)

    def __enter__(self) -> KeptTensors:
        self._hooks.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.__exit__(*error)

    def _keep(self, tensor: Tensor) -> _Kept:
        storage = tensor.untyped_storage()
        size = 0 if storage.data_ptr() in self._others else storage.nbytes()
        return _Kept(self, tensor, storage.data_ptr(), size)

    def add(self, storage: int, size: int) -> None:
        """Somebody holds a storage; views share one and count once."""
        self._holders[storage] += 1
        if self._holders[storage] == 1:
            self._now += size
            self.peak = max(self.peak, self._now)

    def remove(self, storage: int, size: int) -> None:
        """Somebody lets go of it."""
        self._holders[storage] -= 1
        if not self._holders[storage]:
            self._now -= size
            del self._holders[storage]


class _Kept:
    """A tensor that autograd keeps, for as long as it does."""

    def __init__(self, kept: KeptTensors, tensor: Tensor, *entry: int):
        self.tensor, self._kept, self._entry = tensor, kept, entry
        kept.add(*entry)

    def __del__(self) -> None:
        self._kept.remove(*self._entry)


def bytes_a_tile(learn_from: Callable[[Tensor], object], networks: Sequence[nn.Module], bands: int, size: int) -> float:
    """What a tile of this size takes at the height of a step, from one step on a few smaller, empty ones."""
    side = min(size, TRIED_SIDE)
    parameters = [p for network in networks for p in network.parameters()]
    with KeptTensors(parameters) as kept:
        learn_from(torch.zeros(TRIED, bands, side, side, device=parameters[0].device))
    return HEADROOM * kept.peak / TRIED * (size / side) ** 2


def refuse_large_batch(
    setting: str,
    batch: int,
    learn_from: Callable[[Tensor], object],
    networks: Sequence[nn.Module],
    bands: int,
    size: int,
    fabric: Fabric,
) -> None:
    """InputError, naming the largest batch that fits, where a step on `batch` tiles takes more than is free.

    `batch` counts the tiles of all processes; on the CPU those of one node share its memory.
    """
    tile = bytes_a_tile(learn_from, networks, bands, size)
    moments = 3 * sum(p.numel() * p.element_size() for network in networks for p in network.parameters())
    here = fabric.world_size // getattr(fabric.strategy, "num_nodes", 1) if fabric.device.type == "cpu" else 1
    free = torch.tensor(free_memory(fabric.device) / here, dtype=torch.float64, device=fabric.device)
    free = over_all(free, fabric, "min")
    largest = fabric.world_size * int(max(0.0, float(free) - moments) // tile)
    if batch > largest:
        needed = (batch / fabric.world_size * tile + moments) * here
        instead = f"the largest that fits is {largest}" if largest else "not one tile a process fits: lower tiles.size"
        raise InputError(
            f"setting {setting}: {batch} tiles of {size} px a step take about {needed / 1e9:.1f} GB, "
            f"{float(free) * here / 1e9:.1f} GB are free; {instead}"
        )
