"""Probabilities that say how often they are right: the temperature, its fit, and what evaluation says of it."""

import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from scipy.special import log_softmax, softmax

from reliefseg.errors import InputError
from reliefseg.evaluation.calibration import (
    ReliabilityCounts,
    calibration_figures,
    count_reliability,
    expected_calibration_error,
)
from reliefseg.export import load_bundle
from reliefseg.inference import ScenePredictor
from reliefseg.inference.results import Wanted
from reliefseg.inference.temperature import SMALLEST, TEMPERATURES, best_temperature, log_losses, tempered
from reliefseg.learning.fabric import Fabric
from reliefseg.tiles import SceneArrays
from reliefseg.workflow import calibrating, load_model, predict
from reliefseg.workflow.preparing import ValidationScene
from test_predicting import save_model, write_scene


def drawn(temperature, pixels=40_000, classes=5, seed=0):
    """Probabilities of made-up logits, and labels drawn from softmax(logits / temperature)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(classes, pixels)) * 3
    chances = softmax(logits / temperature, axis=0)
    labels = (chances.cumsum(axis=0) < rng.random(pixels)).sum(axis=0).clip(max=classes - 1)
    return softmax(logits, axis=0).astype(np.float32), labels.astype(np.uint8)


def reliability(probabilities, labels):
    return count_reliability(labels[None], probabilities.argmax(axis=0).astype(np.uint8)[None],
                             probabilities.max(axis=0)[None])  # fmt: skip


# Counting


def test_the_calibration_error_of_a_hand_made_case():
    truth = np.array([[0, 0, 1, 1, 0, 255]], np.uint8)
    predicted = np.array([[0, 0, 0, 1, 1, 1]], np.uint8)
    confidence = np.array([[0.9, 0.9, 0.9, 0.5, 0.52, 1.0]], np.float32)
    counts = count_reliability(truth, predicted, confidence)
    # 0.9 three times (two right) lies in the 14th bin of 15, 0.5 and 0.52 (one right) in the 8th.
    assert expected_calibration_error(counts) == pytest.approx((abs(2 - 2.7) + abs(1 - 1.02)) / 5, abs=1e-6)
    figures = calibration_figures(counts, 1.5)
    assert figures["temperature"] == 1.5
    assert [i for i, one in enumerate(figures["bins"]) if one["pixels"]] == [7, 13]
    assert figures["bins"][13] == {"confidence": pytest.approx(0.9), "accuracy": pytest.approx(2 / 3), "pixels": 3}
    assert figures["bins"][0] == {"confidence": None, "accuracy": None, "pixels": 0}
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_counts_of_scenes_add_up_and_bins_have_their_upper_bound():
    probabilities, labels = drawn(1.0, 1000)
    halves = [reliability(probabilities[:, part], labels[part]) for part in (slice(500), slice(500, None))]
    together = ReliabilityCounts.none().plus(halves[0]).plus(halves[1])
    for one, other in zip(together, reliability(probabilities, labels), strict=True):
        np.testing.assert_allclose(one, other)
    edges = np.array([[0.0, 1 / 15, 0.0667, 1.0, 1.00001]], np.float32)
    zeros = np.zeros(edges.shape, np.uint8)
    assert count_reliability(zeros, zeros, edges).pixels.tolist() == [1, 2] + [0] * 12 + [2]


def test_without_labels_the_calibration_error_is_undefined():
    figures = calibration_figures(ReliabilityCounts.none(), 1.0)
    assert figures["expected_calibration_error"] is None
    assert len(figures["bins"]) == 15


# The temperature


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.0, 4.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature):
    probabilities, labels = drawn(temperature)
    assert best_temperature(log_losses(probabilities, labels)) == pytest.approx(temperature, rel=0.05)


def test_of_equal_losses_no_temperature_is_fitted():
    assert best_temperature(1.6 + 1e-15 * np.arange(len(TEMPERATURES))) == 1


def test_of_one_class_no_temperature_is_fitted():
    assert best_temperature(np.zeros(len(TEMPERATURES))) == 1


def test_losses_are_those_of_the_softmax_of_logits_over_the_temperature():
    logits = np.random.default_rng(1).normal(size=(4, 200))
    labels = np.random.default_rng(2).integers(0, 4, 200).astype(np.uint8)
    losses = log_losses(softmax(logits, axis=0).astype(np.float32), labels)
    expected = [-log_softmax(logits / t, axis=0)[labels, np.arange(200)].mean() for t in TEMPERATURES]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_at_the_end_of_the_range_it_is_the_end():
    sure = np.array([[0.9, 0.9], [0.1, 0.1]], np.float32)
    assert best_temperature(log_losses(sure, np.array([0, 0], np.uint8))) == 1 / 8
    assert best_temperature(log_losses(sure, np.array([1, 1], np.uint8))) == 8


def test_an_overconfident_model_has_a_lower_calibration_error_after():
    probabilities, labels = drawn(2.0)
    fitted = best_temperature(log_losses(*drawn(2.0, seed=1)))
    before = expected_calibration_error(reliability(probabilities, labels))
    after = expected_calibration_error(reliability(tempered(probabilities, fitted), labels))
    assert before > 0.1
    assert after < 0.02


def test_tempered_probabilities_are_the_softmax_of_logits_over_the_temperature():
    logits = np.random.default_rng(3).normal(size=(4, 30, 20))
    probabilities = softmax(logits, axis=0).astype(np.float32)
    for temperature in (0.5, 3.0):
        found = tempered(probabilities, temperature)
        np.testing.assert_allclose(found, softmax(logits / temperature, axis=0), atol=1e-5)
        np.testing.assert_array_equal(found.argmax(axis=0), probabilities.argmax(axis=0))
    assert tempered(probabilities, 1.0) is probabilities


def test_a_probability_of_nothing_counts_as_half_a_step_of_what_pieces_keep():
    certain = np.array([1.0, 0.0], np.float32).reshape(2, 1, 1)
    np.testing.assert_allclose(tempered(certain, 2.0)[1], SMALLEST**0.5, rtol=0.01)
    assert np.isfinite(log_losses(certain[..., 0], np.array([1], np.uint8))).all()


# Fitted on validation scenes


def scene_of(probabilities, labels, name):
    """A validation scene whose 'bands' are what the network is to say of it."""
    side = probabilities[0].size // 100
    arrays = SceneArrays(probabilities.reshape(-1, side, 100), np.ones((side, 100), bool),
                         labels.reshape(side, 100), None)  # fmt: skip
    return ValidationScene(name, lambda: arrays)


class Told(ScenePredictor):
    """Says what the scenes hold."""

    def __init__(self):
        self.spec = SimpleNamespace(classes=range(5))

    @contextmanager
    def blocks(self, arrays):
        yield SimpleNamespace(probabilities=lambda window: arrays.bands[(slice(None), *window.slices)])


def losses_of(*scenes):
    named = [scene_of(*one, f"scene{i}") for i, one in enumerate(scenes)]
    return calibrating.validation_losses(Told(), named, Fabric(accelerator="cpu", devices=1), lambda done, of: None)


def test_every_labelled_pixel_weighs_the_same_however_many_are_drawn(monkeypatch):
    large, small = drawn(3.0, 40_000), drawn(1.0, 2_000, seed=1)
    together = [np.concatenate(parts, axis=-1) for parts in zip(large, small, strict=True)]
    everything = losses_of(large, small)
    assert everything.pixels == 42_000
    np.testing.assert_allclose(everything.at, log_losses(*together))
    monkeypatch.setattr(calibrating, "MOST_PIXELS", 2_000)
    some = losses_of(large, small)
    np.testing.assert_allclose(some.at, everything.at, rtol=0.1)
    np.testing.assert_array_equal(some.at, losses_of(large, small).at)


def test_ignored_labels_count_nowhere():
    probabilities, labels = drawn(2.0)
    half = np.where(np.arange(labels.size) % 2, labels, 255).astype(np.uint8)
    losses = losses_of((probabilities, half))
    assert losses.pixels == 20_000
    np.testing.assert_allclose(losses.at, log_losses(probabilities[:, 1::2], labels[1::2]))
    assert losses_of((probabilities, np.full_like(labels, 255))) is None


# In the bundle and in prediction


def test_bundles_without_a_temperature_load_with_1(tmp_path):
    model = save_model(tmp_path / "model", temperature=2.5)
    assert load_bundle(model)[0].temperature == 2.5
    older = json.loads((model / "config.json").read_text())
    del older["temperature"]
    (model / "config.json").write_text(json.dumps(older | {"format": 1}))
    assert load_bundle(model)[0].temperature == 1.0
    (model / "config.json").write_text(json.dumps(older | {"temperature": 0.0}))
    with pytest.raises(InputError, match="temperature"):
        load_bundle(model)


def test_prediction_uses_the_temperature_and_classes_stay(tmp_path):
    scene = write_scene(tmp_path / "city.tif")
    everything, found = Wanted(probabilities=True), {}
    for temperature in (1.0, 3.0):
        model = save_model(tmp_path / f"model{temperature}", temperature=temperature)
        (tally,) = predict(model, [scene], tmp_path / f"out{temperature}", everything)
        with rasterio.open(tally["files"]["uncertainty"]) as file:
            uncertainty = file.read(1)
        with rasterio.open(tally["files"]["probabilities"]) as file:
            probabilities = file.read()
        with rasterio.open(tally["files"]["classes"]) as file:
            class_ids = file.read(1)
        exact = load_model(model).probabilities(scene)
        valid = class_ids != 255
        np.testing.assert_allclose(probabilities[:, valid] / 254, exact[:, valid], atol=0.5 / 254 + 1e-6)
        found[temperature] = (class_ids, uncertainty, exact, valid)
    (classes, before, raw, valid), (same, after, soft, _) = found[1.0], found[3.0]
    np.testing.assert_array_equal(classes, same)
    assert (after[valid] >= before[valid]).all()
    assert after[valid].mean() > before[valid].mean() + 1
    np.testing.assert_allclose(soft, tempered(raw, 3.0))


def test_another_temperature_is_another_model(tmp_path):
    one, other = (load_model(save_model(tmp_path / f"m{t}", temperature=t)) for t in (1.0, 1.5))
    assert one.hash != other.hash
