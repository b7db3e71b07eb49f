"""Whole-scene prediction."""

from reliefseg.inference.predict import ScenePredictor
from reliefseg.inference.settings import PredictionSettings

__all__ = ["PredictionSettings", "ScenePredictor"]
