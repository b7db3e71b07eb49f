"""U²-Net, what it is held against, PatchGAN and the tile head."""

from reliefseg.networks.folding import folded
from reliefseg.networks.generators import Generator, build_generator, recompute_stages
from reliefseg.networks.official import load_official, official_names
from reliefseg.networks.packed import PackedU2Net, load_relief
from reliefseg.networks.patchgan import PatchDiscriminator
from reliefseg.networks.recomputing import without_moments
from reliefseg.networks.shares import shares_of_classes
from reliefseg.networks.tile_head import TileHead
from reliefseg.networks.u2net import FULL, SMALL, STAGES, Stage, U2Net, U2NetOutput
from reliefseg.networks.unet import UNet

__all__ = [
    "FULL",
    "SMALL",
    "STAGES",
    "Generator",
    "PackedU2Net",
    "PatchDiscriminator",
    "Stage",
    "TileHead",
    "U2Net",
    "U2NetOutput",
    "UNet",
    "build_generator",
    "folded",
    "load_official",
    "load_relief",
    "official_names",
    "recompute_stages",
    "shares_of_classes",
    "without_moments",
]
