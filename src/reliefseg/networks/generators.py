"""The networks that can be the generator, by the names that settings use."""

from __future__ import annotations

from reliefseg.networks.packed import PackedU2Net
from reliefseg.networks.u2net import STAGES, U2Net
from reliefseg.networks.unet import WIDTHS, UNet

Generator = U2Net | PackedU2Net | UNet
"""What any of them offers: `encoder`, `encode`, `deepest_channels`, `fused`, and `U2NetOutput` when called."""


def recompute_stages(generator: Generator) -> None:
    """From now on the inside of its stages is not kept for the way back but computed again: less memory, more time."""
    for module in generator.modules():
        if isinstance(module, U2Net | UNet):
            module.recomputes = True


def build_generator(name: str, bands: int, classes: int) -> Generator:
    """The network of that name with untrained weights; KeyError where there is none."""
    if name in STAGES:
        return U2Net(bands, classes, STAGES[name])
    if name == "u2net-relief":
        return PackedU2Net(bands, classes)
    return UNet(bands, classes, WIDTHS[name])
