"""Differences between ways of learning: hand-made cases, second opinions, how often chance passes for evidence."""

import json
from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score, jaccard_score

from reliefseg.errors import InputError
from reliefseg.evaluation import SplitEvaluation
from reliefseg.evaluation.comparison import (
    Difference,
    compare,
    counts_of,
    figure_names,
    figures,
    holm,
    scenes_showing,
    verdict,
)
from reliefseg.raster import ClassSpec, ClassTable

CLASSES = ("roof", "road", "tree")
TABLE = ClassTable(tuple(ClassSpec(name, (i, i, i)) for i, name in enumerate(CLASSES)))


def evaluated(maps):
    """What metrics.json holds of (truth, predicted) by scene."""
    tally = SplitEvaluation(TABLE)
    for name, pair in maps.items():
        tally.add(name, *pair)
    return json.loads(json.dumps(tally.to_metrics()))


def random_maps(seed, scenes=3, right=0.6):
    rng = np.random.default_rng(seed)
    truths = [np.kron(rng.integers(0, 3, (5, 5)), np.ones((8, 8))).astype(np.uint8) for _ in range(scenes)]
    guesses = [np.where(rng.random(t.shape) < right, t, rng.integers(0, 3, t.shape)).astype(np.uint8) for t in truths]
    return {f"scene{i}": pair for i, pair in enumerate(zip(truths, guesses, strict=True))}


def counts_from(accuracy, true):
    """Counts of maps that get a share of each class right and give the rest to the next class."""
    both = np.round(true * np.clip(accuracy, 0.01, 0.99)).astype(np.int64)
    true = np.broadcast_to(true, both.shape)
    shown = both + np.roll(true - both, 1, axis=-1)
    return np.stack([both, true, shown, shown, both, true, both], axis=2)


def chance(rng, true, seeds, spread, effect=0.0):
    """Runs that differ by seed, by scene and class, and by both."""
    sizes = ((seeds, 1, 1), (1, true.shape[1], 3), (seeds, true.shape[1], 3))
    noise = sum(rng.normal(0, sd, size) for sd, size in zip(spread, sizes, strict=True))
    return counts_from(0.7 + effect + noise, true)


def test_figures_of_pooled_counts_are_those_of_metrics_and_of_scikit_learn():
    maps = random_maps(0)
    metrics = evaluated(maps)
    found = dict(zip(figure_names(CLASSES), figures(counts_of([metrics]).sum(axis=1))[0], strict=True))
    for name in ("mean_iou", "mean_f1", "overall_accuracy", "boundary_f1"):
        assert found[name] == pytest.approx(metrics[name], abs=1e-12)
    truth, guess = (np.concatenate([pair[i].ravel() for pair in maps.values()]) for i in (0, 1))
    assert found["mean_iou"] == pytest.approx(jaccard_score(truth, guess, average="macro"))
    assert found["mean_f1"] == pytest.approx(f1_score(truth, guess, average="macro"))
    assert found["overall_accuracy"] == pytest.approx(accuracy_score(truth, guess))
    assert found["iou road"] == pytest.approx(jaccard_score(truth, guess, average=None)[1])


def test_a_class_without_truth_counts_in_no_mean():
    truth = np.zeros((8, 8), np.uint8)
    truth[:, 4:] = 1
    guess = truth.copy()
    guess[0] = 2
    found = figures(counts_of([evaluated({"one": (truth, guess)})]).sum(axis=1))[0]
    assert found[0] == pytest.approx(28 / 32)
    assert isnan(found[-1])


def test_the_estimate_is_the_mean_over_seeds_of_pooled_figures():
    with_it = [evaluated(random_maps(0, right=0.8)), evaluated(random_maps(0, right=0.7))]
    without = [evaluated(random_maps(0, right=0.5)), evaluated(random_maps(0, right=0.6))]
    found = compare([(counts_of(with_it), counts_of(without))], CLASSES)
    by_hand = np.mean([a["mean_iou"] - b["mean_iou"] for a, b in zip(with_it, without, strict=True)])
    assert found["mean_iou"].estimate == pytest.approx(by_hand)
    road = np.mean([a["iou"]["road"] - b["iou"]["road"] for a, b in zip(with_it, without, strict=True)])
    assert found["iou road"].estimate == pytest.approx(road)


def test_with_one_seed_and_many_scenes_the_interval_is_scipys():
    rng = np.random.default_rng(1)
    true = np.full((1, 40, 3), 10_000)
    one, other = (chance(rng, true, 1, (0, 0.05, 0)) for _ in range(2))
    found = compare([(one, other)], CLASSES)["overall_accuracy"]
    by_scene = (one - other)[0, :, 0].sum(axis=1) / 30_000
    theirs = stats.bootstrap((by_scene,), np.mean, method="percentile", n_resamples=9999, random_state=0)
    stretched = np.sqrt(40 / 39) * stats.t.ppf(0.975, 39) / stats.norm.ppf(0.975)
    for mine, edge in ((found.low, theirs.confidence_interval.low), (found.high, theirs.confidence_interval.high)):
        assert mine - found.estimate == pytest.approx(stretched * (edge - found.estimate), rel=0.05)


def test_three_seeds_alone_are_judged_as_students_t_judges_them():
    """No resampling of three can be trusted by itself: where all three agree it would always be sure."""
    true = np.full((1, 9, 3), 100_000)
    base = np.repeat(counts_from(np.full((1, 9, 3), 0.7), true), 3, axis=0)
    gains = np.array([0.01, 0.02, 0.06])
    gained = counts_from(np.full((3, 9, 3), 0.7) + gains[:, None, None], true)
    found = compare([(gained, base)], CLASSES)
    low, high = stats.t.interval(0.95, 2, loc=gains.mean(), scale=stats.sem(gains))
    assert found["overall_accuracy"].estimate == pytest.approx(0.03)
    assert low < 0 < high
    assert found["overall_accuracy"].low < 0 < found["overall_accuracy"].high
    assert found["overall_accuracy"].high - found["overall_accuracy"].low == pytest.approx(high - low, rel=0.35)


@pytest.mark.parametrize("spread", [(0.02, 0.0, 0.005), (0.0, 0.05, 0.0), (0.01, 0.03, 0.02)])
@pytest.mark.parametrize("scenes", [5, 19])
def test_chance_is_rarely_taken_for_evidence(spread, scenes):
    rng, called, times = np.random.default_rng(0), 0, 200
    for i in range(times):
        true = rng.integers(2_000, 20_000, (1, scenes, 3))
        pair = chance(rng, true, 3, spread), chance(rng, true, 3, spread)
        found = compare([pair], CLASSES, seed=i, draws=500)
        one = found["mean_iou"]
        called += verdict(one, one.p, scenes, 3) != "no evidence"
    assert called <= stats.binom.ppf(0.999, times, 0.05)


def test_a_real_effect_is_found_and_has_a_sign():
    rng = np.random.default_rng(2)
    true = rng.integers(2_000, 20_000, (1, 7, 3))
    spread = (0.005, 0.0, 0.01)
    better, worse = chance(rng, true, 3, spread, effect=0.1), chance(rng, true, 3, spread)
    for one, other, said in ((better, worse, "helps"), (worse, better, "hurts")):
        found = compare([(one, other)], CLASSES)["mean_iou"]
        assert verdict(found, found.p, 7, 3) == said
        assert verdict(found, found.p, 4, 3) == verdict(found, found.p, 7, 2) == "no evidence"
        assert verdict(found, 0.2, 7, 3) == "no evidence"


def test_swapping_the_runs_swaps_the_sign():
    rng = np.random.default_rng(3)
    true = rng.integers(2_000, 20_000, (1, 6, 3))
    one, other = (chance(rng, true, 3, (0.01, 0.02, 0.01)) for _ in range(2))
    there, back = compare([(one, other)], CLASSES)["mean_f1"], compare([(other, one)], CLASSES)["mean_f1"]
    assert (there.estimate, there.low, there.high) == pytest.approx((-back.estimate, -back.high, -back.low))
    assert there.p == back.p
    assert compare([(one, one)], CLASSES)["mean_f1"] == Difference(0.0, 0.0, 0.0, 1.0)


def test_several_surroundings_are_averaged():
    rng = np.random.default_rng(6)
    true = rng.integers(2_000, 20_000, (1, 6, 3))
    pairs = [tuple(chance(rng, true, 3, (0.01, 0.02, 0.01)) for _ in range(2)) for _ in range(2)]
    both = compare(pairs, CLASSES)["mean_iou"]
    alone = [compare([pair], CLASSES)["mean_iou"] for pair in pairs]
    assert both.estimate == pytest.approx(np.mean([one.estimate for one in alone]))
    assert both.high - both.low < max(one.high - one.low for one in alone)


def test_the_same_runs_give_the_same_interval():
    rng = np.random.default_rng(4)
    true = rng.integers(2_000, 20_000, (1, 6, 3))
    one, other = (chance(rng, true, 3, (0.01, 0.02, 0.01)) for _ in range(2))
    assert compare([(one, other)], CLASSES) == compare([(one, other)], CLASSES)


def test_a_class_that_few_scenes_show_is_judged_by_those():
    """Fourteen scenes that do not show it make its interval no narrower."""
    true = np.full((1, 19, 3), 10_000)
    true[0, 5:, 2] = 0
    right = np.full((2, 1, 19, 3), 0.99)
    right[..., 2] = np.random.default_rng(3).normal(0.7, 0.05, (2, 1, 19))
    one, other = (counts_from(run, true) for run in right)
    among_many, alone = (compare([(one[:, :n], other[:, :n])], CLASSES)["iou tree"] for n in (19, 5))
    assert among_many.high - among_many.low == pytest.approx(alone.high - alone.low, rel=0.15)


def test_a_class_of_few_scenes_says_on_how_many_it_rests():
    true = np.full((1, 6, 3), 1_000)
    true[0, 1:, 2] = 0
    rng = np.random.default_rng(5)
    one, other = (chance(rng, true, 3, (0, 0, 0.02)) for _ in range(2))
    assert scenes_showing(one).tolist() == [6, 6, 6, 6, 6, 6, 1]
    tree = compare([(one, other)], CLASSES)["iou tree"]
    assert isnan(tree.low)
    assert isnan(tree.p)
    true[0, 0, 2] = 0
    pair = counts_from(np.full((3, 6, 3), 0.5), true), counts_from(np.full((3, 6, 3), 0.4), true)
    nowhere = compare([pair], CLASSES)
    assert nowhere["iou tree"].to_json() == {"estimate": None, "low": None, "high": None, "p": None}
    assert nowhere["mean_iou"].estimate > 0
    assert verdict(nowhere["iou tree"], float("nan"), 6, 3) == "no evidence"


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
    with_gap = holm([0.01, float("nan"), 0.04])
    assert with_gap[0] == pytest.approx(0.02)
    assert isnan(with_gap[1])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=100)
def test_holm_lies_between_each_p_and_bonferroni_and_keeps_the_order(p):
    adjusted = holm(p)
    assert all(a <= b <= min(1.0, len(p) * a) + 1e-12 for a, b in zip(p, adjusted, strict=True))
    assert np.all(np.diff(np.array(adjusted)[np.argsort(p, kind="stable")]) >= 0)


def test_what_cannot_be_compared_is_refused():
    one, other = evaluated(random_maps(0)), evaluated(random_maps(0, scenes=2))
    with pytest.raises(InputError, match="different scenes or classes"):
        counts_of([one, other])
    del other["per_scene"]["scene0"]["outlines"]
    with pytest.raises(InputError, match="holds no outlines"):
        counts_of([other])
    with pytest.raises(ValueError, match="do not pair"):
        compare([(counts_of([one]), counts_of([evaluated(random_maps(1))]))], CLASSES)
