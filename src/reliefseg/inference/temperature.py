"""One temperature for all probabilities of a model, so that they say how often it is right."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from reliefseg.inference.computing import STEPS

SMALLEST = np.float32(0.5 / STEPS)
"""What a probability of 0 counts as: pieces keep nothing below half a step."""
TEMPERATURES: Float64[np.ndarray, " temperatures"] = 2.0 ** np.linspace(-3, 3, 61)
"""Where the loss is looked at: 1/8 to 8, 7 % apart."""


def tempered(
    probabilities: Float32[np.ndarray, " classes *pixels"], temperature: float
) -> Float32[np.ndarray, " classes *pixels"]:
    """Probabilities to the power of 1 / temperature, over their sum: above 1 less sure, below 1 surer, 1 as they are.

    The order of the classes, and with it the map, stays; only probabilities that differ in their last digit may come
    out equal. Where probabilities are the softmax of logits this is the softmax of logits / temperature.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2 (temperature scaling); after
    the blending of windows rather than before, as Rahaman and Thiery, Uncertainty Quantification and Deep Ensembles,
    NeurIPS 2021, advise for averages of predictions.
    """
    if temperature == 1:
        return probabilities
    powers = np.maximum(probabilities, SMALLEST)
    np.power(powers, np.float32(1 / temperature), out=powers)
    powers /= powers.sum(axis=0)
    return powers


def log_losses(
    probabilities: Float32[np.ndarray, "classes pixels"], class_ids: UInt8[np.ndarray, " pixels"]
) -> Float64[np.ndarray, " temperatures"]:
    """−log of the true classes' probabilities (nats, mean over pixels) at each of TEMPERATURES."""
    logs = np.log(np.maximum(probabilities, SMALLEST), dtype=np.float64)
    true = np.take_along_axis(logs, class_ids[None].astype(np.intp), axis=0).mean()
    sums = [np.log(np.exp(logs / t).sum(axis=0)).mean() for t in TEMPERATURES]
    return np.array(sums) - true / TEMPERATURES


def best_temperature(losses: Float64[np.ndarray, " temperatures"]) -> float:
    """The temperature with the least loss: the vertex of the parabola through the least of TEMPERATURES and its
    neighbours, on a logarithmic scale; at an end of the range that end; 1 where they are all the same (one class)."""
    if np.ptp(losses) < 1e-9:
        return 1.0
    i = int(losses.argmin())
    if i in (0, len(losses) - 1):
        return float(TEMPERATURES[i])
    before, least, after = losses[i - 1 : i + 2]
    step = np.log(TEMPERATURES[1] / TEMPERATURES[0])
    return float(TEMPERATURES[i] * np.exp(step * 0.5 * (before - after) / (before - 2 * least + after)))
