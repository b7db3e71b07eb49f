"""Procedural scenes of towns with exact labels and heights: numpy and scipy, no torch."""

from reliefseg.generate.character import Sun
from reliefseg.generate.dataset import fitting_jobs, generate_dataset
from reliefseg.generate.scene import generate_scene
from reliefseg.generate.settings import GenerateSettings, split_counts
from reliefseg.generate.spectra import BANDS, CLASSES

__all__ = [
    "BANDS",
    "CLASSES",
    "GenerateSettings",
    "Sun",
    "fitting_jobs",
    "generate_dataset",
    "generate_scene",
    "split_counts",
]
