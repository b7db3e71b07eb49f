"""The original's training step and its loader, re-created in our own wording to measure against.

As its author described it: the generator runs twice a step, the discriminator's gradient flows through the
generator, everything stays in float32 and in torch's own memory format, targets are five planes of floats; a tile
is a file of float64 values on disk, resized when it is read. Maps are joined by `torch.cat` and enlarged by
`interpolate`, as in U²-Net's own code: what our network does in their place counts as ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reliefseg.networks import PatchDiscriminator, U2Net, U2NetOutput, patchgan, u2net

FILE_SIDE = 200
"""Pixels a side of a tile on disk."""
L1_WEIGHT = 100.0


@contextmanager
def plain_maps() -> Iterator[None]:
    """Within it our networks join and enlarge maps by what torch has for it."""
    with (
        patch.object(u2net, "joined", _cat),
        patch.object(patchgan, "joined", _cat),
        patch.object(u2net, "enlarged", u2net.resized),
    ):
        yield


def _cat(*maps: Tensor) -> Tensor:
    return torch.cat(maps, dim=1)


class OriginalStep:
    """Networks and optimisers of the original (Adam, β₁ 0.5) and one step of them."""

    def __init__(self, network: U2Net, judge: PatchDiscriminator, device: torch.device):
        self.network, self.judge = network.to(device).train(), judge.to(device).train()
        self.of_network, self.of_judge = (
            torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in (network, judge)
        )

    def __call__(self, bands: Tensor, masks: Tensor) -> None:
        """The discriminator's turn, then the generator's, each with a pass of its own through the generator."""
        fake = self.network(bands).fused.sigmoid()
        loss = (_against(self.judge(bands, masks), 1.0) + _against(self.judge(bands, fake), 0.0)) / 2
        self.of_judge.zero_grad()
        loss.backward()
        self.of_judge.step()

        output: U2NetOutput = self.network(bands)
        maps = [m.sigmoid() for m in (output.fused, *output.sides)]
        loss = torch.stack([F.binary_cross_entropy(m, masks) for m in maps]).sum()
        loss = loss + L1_WEIGHT * F.l1_loss(maps[0], masks) + _against(self.judge(bands, maps[0]), 1.0)
        self.of_network.zero_grad()
        loss.backward()
        self.of_network.step()


def _against(patches: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(patches, torch.full_like(patches, target))


def write_tiles(folder: Path, count: int, bands: int, classes: int) -> None:
    """`count` tiles as the original keeps them: an image and a mask of one plane a class, float64."""
    rng = np.random.default_rng(0)
    for i in range(count):
        ids = rng.integers(0, classes, (FILE_SIDE, FILE_SIDE))
        np.save(folder / f"{i}_image.npy", rng.random((FILE_SIDE, FILE_SIDE, bands)))
        np.save(folder / f"{i}_mask.npy", np.eye(classes)[ids])


def read_batch(folder: Path, tiles: list[int], size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Bands and masks of these tiles, each read, resized in float64 and made float32 by itself."""
    pairs = [[_read(folder / f"{i}_{what}.npy", size) for what in ("image", "mask")] for i in tiles]
    bands, masks = (torch.stack(planes).to(device) for planes in zip(*pairs, strict=True))
    return bands, masks


def _read(path: Path, size: int) -> Tensor:
    planes = torch.from_numpy(np.load(path)).permute(2, 0, 1)
    return F.interpolate(planes[None], (size, size), mode="bilinear", align_corners=False)[0].float()
