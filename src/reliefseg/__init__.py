"""Segmentation of aerial and drone orthophotos from very few labels, with depth as a band.

What a notebook needs: `load_dataset`, `load_settings`, `train`, `evaluate`, `load_model(run).predict(image)`.
"""

from typing import TYPE_CHECKING

from reliefseg.lookup import looked_up

if TYPE_CHECKING:
    from reliefseg.config import load_settings
    from reliefseg.errors import InputError
    from reliefseg.raster import load_dataset
    from reliefseg.workflow import evaluate, load_model, predict, train

__all__ = ["InputError", "evaluate", "load_dataset", "load_model", "load_settings", "predict", "train"]

_HOMES = {
    "InputError": "errors",
    "evaluate": "workflow",
    "load_dataset": "raster",
    "load_model": "workflow",
    "load_settings": "config",
    "predict": "workflow",
    "train": "workflow",
}

__getattr__ = looked_up(__name__, _HOMES)  # So that reading rasters does not load torch.
