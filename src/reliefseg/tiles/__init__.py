"""What networks see: random boxes, the bank of scenes on the device, augmentation."""

from reliefseg.tiles.arrays import Normalisation, SceneArrays
from reliefseg.tiles.bank import SceneBank, TileBatch
from reliefseg.tiles.boxes import Boxes, BoxLayout, Stream, draw_boxes, turned, uniforms
from reliefseg.tiles.jitter import jittered
from reliefseg.tiles.sampling import oversampling
from reliefseg.tiles.settings import TileSettings

__all__ = [
    "BoxLayout",
    "Boxes",
    "Normalisation",
    "SceneArrays",
    "SceneBank",
    "Stream",
    "TileBatch",
    "TileSettings",
    "draw_boxes",
    "jittered",
    "oversampling",
    "turned",
    "uniforms",
]
