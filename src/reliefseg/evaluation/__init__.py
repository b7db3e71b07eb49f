"""Figures, pictures and reports: how good a map is on scenes with labels."""

from reliefseg.evaluation.borders import (
    boundary_f1,
    count_boundaries,
    eroded_labels,
)
from reliefseg.evaluation.calibration import ReliabilityCounts, calibration_figures, count_reliability
from reliefseg.evaluation.confusion import classes_without_truth, confusion_matrix, scores_from_confusion
from reliefseg.evaluation.metrics import SplitEvaluation
from reliefseg.evaluation.original import count_squares, original_figures, trivial_figures

__all__ = [
    "ReliabilityCounts",
    "SplitEvaluation",
    "boundary_f1",
    "calibration_figures",
    "classes_without_truth",
    "confusion_matrix",
    "count_boundaries",
    "count_reliability",
    "count_squares",
    "eroded_labels",
    "original_figures",
    "scores_from_confusion",
    "trivial_figures",
]
