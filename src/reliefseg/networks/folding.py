"""Networks as prediction wants them."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from reliefseg.networks.u2net import ConvBlock

Network = TypeVar("Network", bound=nn.Module)


def folded(network: Network) -> Network:
    """A copy in float32 on the processor, batch norms folded into the convolutions before them; it learns no more."""
    copied = copy.deepcopy(network).float().cpu().eval()
    for block in [m for m in copied.modules() if isinstance(m, ConvBlock)]:
        block.conv = fuse_conv_bn_eval(block.conv, block.norm)
        block.norm = nn.Identity()  # type: ignore[assignment]
    return copied
