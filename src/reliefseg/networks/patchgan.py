"""The 70 × 70 PatchGAN discriminator. Source: Isola et al., CVPR 2017, section 3.2 and appendix 6.1.2."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from reliefseg.networks.u2net import joined


class PatchDiscriminator(nn.Module):
    """Tells real from fake class maps, patch by patch of 70 × 70 px, seeing bands and class maps together.

    C64-C128-C256-C512 (for `width` 64), batch norm in the three middle layers. Patches lie 8 px apart: a map of
    256 px has 30 × 30; the smallest that has any is 24 px. Real and fake go through in separate batches.
    """

    def __init__(self, bands: int, classes: int, width: int = 64):
        super().__init__()
        widths = [width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = [nn.Conv2d(bands + classes, width, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        for narrow, wide, stride in zip(widths, widths[1:], (2, 2, 1), strict=False):
            layers += [
                nn.Conv2d(narrow, wide, 4, stride, 1, bias=False),
                nn.BatchNorm2d(wide),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers.append(nn.Conv2d(widths[-1], 1, 4, 1, 1))
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(
        self, bands: Float[Tensor, "n bands h w"], maps: Float[Tensor, "n classes h w"]
    ) -> Float[Tensor, "n 1 rows cols"]:
        """A logit a patch, positive for real. Maps are one-hot labels (real) or probabilities (fake)."""
        return self.layers(joined(bands, maps))


def _initialise(module: nn.Module) -> None:
    """Source: appendix 6.2; biases start at 0 as in the authors' code."""
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
