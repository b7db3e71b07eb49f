"""U²-Net, PatchGAN and the tile head."""

from reliefseg.networks.official import load_official, official_names, to_official
from reliefseg.networks.patchgan import PatchDiscriminator
from reliefseg.networks.recomputing import without_moments
from reliefseg.networks.tile_head import TileHead
from reliefseg.networks.u2net import FULL, SMALL, STAGES, Stage, U2Net, U2NetOutput

__all__ = [
    "FULL",
    "SMALL",
    "STAGES",
    "PatchDiscriminator",
    "Stage",
    "TileHead",
    "U2Net",
    "U2NetOutput",
    "load_official",
    "official_names",
    "to_official",
    "without_moments",
]
