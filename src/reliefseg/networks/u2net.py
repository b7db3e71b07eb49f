"""U²-Net as a table of eleven stages and one block.

Source: Qin et al., Pattern Recognition 106 (2020), fig. 5 and table 1.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from reliefseg.networks.recomputing import recomputed


class Stage(NamedTuple):
    """One row of the table: a residual U-block.

    `depth` is the number of its encoder layers without the input layer and the bottom (RSU-7: 6 … RSU-4: 3);
    `middle` and `out` are its channels inside and out. `dilated` blocks keep their size and widen their sight by
    dilation instead of pooling (RSU-4F).
    """

    depth: int
    middle: int
    out: int
    dilated: bool = False


ENCODER_STAGES = 6

FULL = (
    Stage(6, 32, 64), Stage(5, 32, 128), Stage(4, 64, 256), Stage(3, 128, 512),
    Stage(3, 256, 512, True), Stage(3, 256, 512, True),
    Stage(3, 256, 512, True), Stage(3, 128, 256), Stage(4, 64, 128), Stage(5, 32, 64), Stage(6, 16, 64),
)  # fmt: skip
"""Stages En_1 … En_6, De_5 … De_1 of the full network."""

SMALL = (
    Stage(6, 16, 64), Stage(5, 16, 64), Stage(4, 16, 64), Stage(3, 16, 64),
    Stage(3, 16, 64, True), Stage(3, 16, 64, True),
    Stage(3, 16, 64, True), Stage(3, 16, 64), Stage(4, 16, 64), Stage(5, 16, 64), Stage(6, 16, 64),
)  # fmt: skip
"""The same of the small one (U²-Net†)."""

STAGES = {"u2net": FULL, "u2net-small": SMALL}
"""The tables by the names that settings use: 44.07 M and 1.15 M parameters with 4 bands and 5 classes."""


class U2NetOutput(NamedTuple):
    """Logits at the input's size, in float32: the fused map, and the six side outputs, finest first."""

    fused: Float[Tensor, "n classes h w"]
    sides: tuple[Float[Tensor, "n classes h w"], ...]


class ConvBlock(nn.Module):
    """3 × 3 convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, outputs: int, dilation: int = 1):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n outputs h w"]:
        """Same height and width."""
        return F.relu(self.norm(self.conv(x)), inplace=True)


class ResidualUBlock(nn.Module):
    """RSU-L (L = depth + 1): a U-Net inside a residual block.

    The dilated one doubles the dilation from layer to layer and halves it on the way back, instead of pooling and
    resizing. Source: section 3.1, fig. 2(e).
    """

    def __init__(self, inputs: int, stage: Stage):
        super().__init__()
        depth, middle, out, dilated = stage
        grow = [2**i if dilated else 1 for i in range(depth + 1)]
        bottom = grow[-1] if dilated else 2
        self.dilated = dilated
        self.entry = ConvBlock(inputs, out)
        self.down = nn.ModuleList(ConvBlock(middle if i else out, middle, grow[i]) for i in range(depth))
        self.bottom = ConvBlock(middle, middle, bottom)
        self.up = nn.ModuleList(ConvBlock(2 * middle, middle if i else out, grow[i]) for i in reversed(range(depth)))

    def forward(self, x: Float[Tensor, "n inputs h w"]) -> Float[Tensor, "n out h w"]:
        """Same height and width."""
        entry = self.entry(x)
        skips, x = [], entry
        for i, block in enumerate(self.down):
            x = block(x if i == 0 or self.dilated else pooled(x))
            skips.append(x)
        x = self.bottom(x)
        for block in self.up:
            skip = skips.pop()
            x = block(joined(resized(x, skip), skip))
        return x + entry


def pooled(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Half the height and width, rounded up."""
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def resized(x: Float[Tensor, "n c h w"], like: Float[Tensor, "n c2 h2 w2"]) -> Float[Tensor, "n c h2 w2"]:
    """Bilinear, to the height and width of `like`."""
    size = like.shape[2:]
    return x if x.shape[2:] == size else F.interpolate(x, size, mode="bilinear", align_corners=False)


def enlarged(x: Float[Tensor, "n c h w"], like: Float[Tensor, "n c2 h2 w2"]) -> Float[Tensor, "n c h2 w2"]:
    """The same as `resized` for maps of few channels.

    From a quarter of the size and less as two matrix products: a head of five classes, losses and gradients counted,
    takes 88 ms that way and 144 ms with `resized` alone (batch 4 at 256 px, one thread).
    """
    if 3 * x.shape[2] > like.shape[2]:
        return resized(x, like)
    # int: exported networks get the matrices as constants.
    down, across = (_bilinear(int(x.shape[axis]), int(like.shape[axis]), x) for axis in (2, 3))
    return down @ x @ across.mT


def _bilinear(size: int, wanted: int, like: Tensor) -> Float[Tensor, "wanted size"]:
    """What each new place takes of the old ones."""
    each = torch.eye(size, dtype=like.dtype, device=like.device)
    return F.interpolate(each[None], wanted, mode="linear", align_corners=False)[0].mT


def _full_precision(device: str) -> AbstractContextManager[object]:
    """Float32 inside mixed precision; shapes alone (device `meta`) have no precision."""
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def joined(*maps: Float[Tensor, "n _ h w"]) -> Float[Tensor, "n total h w"]:
    """The maps' channels one after the other."""
    return _Joined.apply(*maps) if torch.is_grad_enabled() else torch.cat(maps, dim=1)


class _Joined(torch.autograd.Function):
    """`torch.cat` whose gradients are whole tensors in the memory format they came in, not strided views.

    On views of a `channels_last` gradient, sums and ReLU's backward are some ten times slower on a CPU: a step of the
    small network took 0.34 s an image with `torch.cat` and takes 0.29 s with this.
    """

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        ctx.widths = [m.shape[1] for m in maps]
        return torch.cat(maps, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        last = gradient.is_contiguous(memory_format=torch.channels_last)
        kept = torch.channels_last if last else torch.contiguous_format
        parts = zip(gradient.split(ctx.widths, dim=1), ctx.needs_input_grad, strict=True)
        return tuple(part.contiguous(memory_format=kept) if needed else None for part, needed in parts)


class U2Net(nn.Module):
    """U²-Net for any number of bands and classes; returns logits, in training and evaluation alike.

    `stages` are eleven rows like those of `FULL`. Any height and width will do, also odd ones; the deepest maps
    have a 32nd of them. A side output is computed at its stage's size and resized to the input's. Source: fig. 5.
    With `recomputes` the inside of a stage is not kept for the way back but computed again.
    """

    def __init__(self, bands: int, classes: int, stages: tuple[Stage, ...] = FULL):
        super().__init__()
        self.recomputes = False
        down, up = stages[:ENCODER_STAGES], stages[ENCODER_STAGES:]
        inputs = [bands, *(s.out for s in down[:-1])]
        self.encoder = nn.ModuleList(ResidualUBlock(i, s) for i, s in zip(inputs, down, strict=True))
        below = [down[-1].out, *(s.out for s in up[:-1])]
        skips = [s.out for s in reversed(down[:-1])]
        self.decoder = nn.ModuleList(ResidualUBlock(b + k, s) for b, k, s in zip(below, skips, up, strict=True))
        widths = [*(s.out for s in reversed(up)), down[-1].out]
        self.sides = nn.ModuleList(nn.Conv2d(w, classes, 3, padding=1) for w in widths)
        self.fuse = nn.Conv2d(len(widths) * classes, classes, 1)
        self.deepest_channels = down[-1].out

    def encode(self, x: Float[Tensor, "n bands h w"]) -> tuple[Tensor, ...]:
        """The encoder's six maps, finest first; each has half the height and width of the one before, rounded up."""
        maps = []
        for i, block in enumerate(self.encoder):
            x = self._stage(block, pooled(x) if i else x)
            maps.append(x)
        return tuple(maps)

    def _stage(self, block: nn.Module, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c2 h w"]:
        return recomputed(block, x) if self.recomputes else block(x)

    def forward(self, x: Float[Tensor, "n bands h w"]) -> U2NetOutput:
        """Logits of the fused map and of the six side outputs."""
        maps = list(self.encode(x))
        y = maps.pop()
        deep = [y]
        for block in self.decoder:
            skip = maps.pop()
            y = self._stage(block, joined(resized(y, skip), skip))
            deep.append(y)
        maps = [conv(m).contiguous() for conv, m in zip(self.sides, reversed(deep), strict=True)]
        with _full_precision(x.device.type):
            sides = tuple(enlarged(m.to(self.fuse.weight.dtype), x) for m in maps)
            return U2NetOutput(self.fuse(torch.cat(sides, dim=1)), sides)

    def fused(self, x: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n classes h w"]:
        """Logits of the fused map alone: what prediction needs, the same numbers as `forward(x).fused`."""
        return self(x).fused
