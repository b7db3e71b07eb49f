"""Figures of evaluation against scikit-learn, torchmetrics, scipy, and cases counted by hand."""

import json
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional.classification import (
    multiclass_accuracy,
    multiclass_confusion_matrix,
    multiclass_f1_score,
    multiclass_jaccard_index,
)

from reliefseg.errors import InputError
from reliefseg.evaluation import (
    SplitEvaluation,
    boundary_f1,
    classes_without_truth,
    confusion_matrix,
    count_boundaries,
    count_squares,
    eroded_labels,
    original_figures,
    scores_from_confusion,
    trivial_figures,
)
from reliefseg.raster import IGNORE_INDEX, ClassSpec, ClassTable

X = IGNORE_INDEX


def table(*names):
    return ClassTable(tuple(ClassSpec(name, (i, i, i)) for i, name in enumerate(names)))


def ids(rows):
    return np.array(rows, dtype=np.uint8)


def random_maps(seed, classes, shape=(60, 47), smooth=0.0):
    """Truth with ignored pixels, and a map that is right in about half of them."""
    rng = np.random.default_rng(seed)

    def one():
        return ndimage.gaussian_filter(rng.normal(size=(classes, *shape)), (0, smooth, smooth)).argmax(axis=0)

    truth, other = one(), one()
    predicted = np.where(rng.random(shape) < 0.5, truth, other) if smooth == 0 else other
    truth[rng.random(shape) < 0.1] = X
    return truth.astype(np.uint8), predicted.astype(np.uint8)


def scored(truth, predicted, classes):
    names = [f"class{i}" for i in range(classes)]
    return scores_from_confusion(confusion_matrix(truth, predicted, classes), names)


# Second opinions


@pytest.mark.parametrize("classes", [2, 5, 9])
def test_figures_equal_those_of_scikit_learn(classes):
    truth, predicted = random_maps(classes, classes)
    ours = scored(truth, predicted, classes)
    valid = truth != X
    t, p, labels = truth[valid], predicted[valid], list(range(classes))
    theirs = sklearn_metrics.confusion_matrix(t, p, labels=labels)
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, classes), theirs)
    iou = sklearn_metrics.jaccard_score(t, p, labels=labels, average=None)
    f1 = sklearn_metrics.f1_score(t, p, labels=labels, average=None)
    assert list(ours["iou"].values()) == pytest.approx(list(iou), abs=1e-6)
    assert list(ours["f1"].values()) == pytest.approx(list(f1), abs=1e-6)
    assert ours["mean_iou"] == pytest.approx(iou.mean(), abs=1e-6)
    assert ours["mean_f1"] == pytest.approx(f1.mean(), abs=1e-6)
    assert ours["overall_accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(t, p), abs=1e-6)


def test_figures_equal_those_of_torchmetrics():
    classes = 6
    truth, predicted = random_maps(1, classes)
    ours = scored(truth, predicted, classes)
    p, t = torch.from_numpy(predicted).long(), torch.from_numpy(truth).long()
    asked = {"num_classes": classes, "ignore_index": X}
    theirs = multiclass_confusion_matrix(p, t, **asked).numpy()
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, classes), theirs)
    iou = multiclass_jaccard_index(p, t, average=None, **asked).tolist()
    f1 = multiclass_f1_score(p, t, average=None, **asked).tolist()
    accuracy = multiclass_accuracy(p, t, average="micro", **asked).item()
    assert list(ours["iou"].values()) == pytest.approx(iou, abs=1e-6)
    assert list(ours["f1"].values()) == pytest.approx(f1, abs=1e-6)
    assert ours["overall_accuracy"] == pytest.approx(accuracy, abs=1e-6)


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6), height=st.integers(1, 20), width=st.integers(1, 20))
def test_eroded_borders_equal_a_count_pixel_by_pixel(seed, height, width):
    labels = np.random.default_rng(seed).choice(ids([0, 0, 0, 0, 1, X]), size=(height, width))
    labels = ndimage.grey_dilation(labels, size=(3, 3))
    border = {
        place
        for row in range(height)
        for col in range(width)
        for other in ((row + 1, col), (row, col + 1))
        if other[0] < height and other[1] < width and labels[row, col] != labels[other]
        for place in ((row, col), other)
    }
    expected = labels.copy()
    for row, col in np.ndindex(labels.shape):
        if any((row - r) ** 2 + (col - c) ** 2 <= 9 for r, c in border):
            expected[row, col] = X
    np.testing.assert_array_equal(eroded_labels(labels), expected)


@pytest.mark.parametrize("classes", [2, 11])
def test_outlines_fit_where_the_distance_transform_says_so(classes):
    truth, predicted = random_maps(4, classes, (90, 70), smooth=3.0)
    counts = count_boundaries(truth, predicted, classes)
    valid = truth != X
    for c in range(classes):
        true, shown = (_outline(labels, valid, c) for labels in (truth, predicted))
        near_true, near_shown = (ndimage.distance_transform_edt(~one) <= 3 for one in (true, shown))
        assert [one[c] for one in counts] == [
            shown.sum(), (shown & near_true).sum(), true.sum(), (true & near_shown).sum()
        ]  # fmt: skip


def _outline(labels, valid, c):
    """Valid pixels of class c beside a valid pixel of another class."""
    cross = ndimage.generate_binary_structure(2, 1)
    return (labels == c) & valid & ndimage.binary_dilation((labels != c) & valid, cross)


# Confusion matrix and what follows from it


def test_true_classes_are_rows_and_ignored_truth_counts_nowhere():
    truth, predicted = ids([[0, 0, 1, X]]), ids([[0, 1, 1, X]])
    np.testing.assert_array_equal(confusion_matrix(truth, predicted, 2), [[1, 1], [0, 1]])


def test_a_class_without_truth_is_undefined_named_and_in_no_mean():
    truth, predicted = ids([[0, 0, 1, 1]]), ids([[0, 2, 1, 1]])
    confusion = confusion_matrix(truth, predicted, 4)
    scores = scores_from_confusion(confusion, ["a", "b", "c", "d"])
    assert classes_without_truth(confusion, ["a", "b", "c", "d"]) == ["c", "d"]
    assert scores["iou"] == {"a": 0.5, "b": 1.0, "c": None, "d": None}
    assert scores["mean_iou"] == 0.75
    assert scores["f1"]["a"] == pytest.approx(2 / 3)
    assert scores["mean_f1"] == pytest.approx(5 / 6)
    assert scores["overall_accuracy"] == 0.75


def test_a_class_the_map_misses_counts_as_zero():
    scores = scored(ids([[0, 0, 1]]), ids([[0, 0, 0]]), 2)
    assert scores["iou"]["class1"] == 0.0
    assert scores["mean_iou"] == pytest.approx((2 / 3 + 0) / 2)


# Borders


def test_a_straight_border_takes_four_pixels_on_either_side():
    labels = np.repeat(ids([[0] * 8 + [1] * 8]), 9, axis=0)
    eroded = eroded_labels(labels)
    assert eroded[4].tolist() == [0] * 4 + [X] * 8 + [1] * 4


def test_a_lone_pixel_takes_a_disc_around_itself_and_its_neighbours():
    labels = np.zeros((15, 15), np.uint8)
    labels[7, 7] = 1
    gone = eroded_labels(labels) == X
    assert gone[7].tolist() == [False] * 3 + [True] * 9 + [False] * 3
    # Border pixels are (7, 7) and its four neighbours, so the disc reaches rows 3 to 11.
    assert [row.sum() for row in gone] == [0, 0, 0, 1, 5, 7, 7, 9, 7, 7, 5, 1, 0, 0, 0]


def test_ignored_areas_have_borders_and_the_edge_of_the_scene_has_none():
    labels = np.zeros((8, 12), np.uint8)
    np.testing.assert_array_equal(eroded_labels(labels), labels)
    labels[:, :3] = X
    assert eroded_labels(labels)[0].tolist() == [X] * 7 + [0] * 5


@pytest.mark.parametrize(("shift", "tolerance", "f1"), [(0, 3, 1.0), (3, 3, 1.0), (4, 3, 0.0), (4, 4, 1.0)])
def test_an_outline_fits_as_far_away_as_is_tolerated(shift, tolerance, f1):
    columns = np.arange(30)
    truth = np.repeat((columns >= 12)[None].astype(np.uint8), 6, axis=0)
    moved = np.repeat((columns >= 12 + shift)[None].astype(np.uint8), 6, axis=0)
    counts = count_boundaries(truth, moved, 2, tolerance)
    assert counts.true.tolist() == counts.shown.tolist() == [6, 6]
    assert boundary_f1(counts) == [f1, f1]
    assert tolerance != 3 or boundary_f1(count_boundaries(truth, moved, 2)) == [f1, f1]


def test_boundary_precision_and_recall_are_joined_by_their_harmonic_mean():
    truth = np.zeros((9, 40), np.uint8)
    truth[:, 10:] = 1
    predicted = truth.copy()
    predicted[:, 30:] = 0
    # Class 1 shows 18 outline pixels, 9 of them right, and finds all 9 true ones; class 0 likewise.
    counts = count_boundaries(truth, predicted, 2)
    assert [one.tolist() for one in counts] == [[18, 18], [9, 9], [9, 9], [9, 9]]
    assert boundary_f1(counts) == pytest.approx([2 / 3, 2 / 3])


def test_outlines_are_undefined_without_true_ones_and_zero_without_shown_ones():
    halves = np.zeros((6, 12), np.uint8)
    halves[:, 6:] = 1
    flat = np.zeros_like(halves)
    assert boundary_f1(count_boundaries(flat, halves, 3)) == [None, None, None]
    assert boundary_f1(count_boundaries(halves, flat, 3)) == [0.0, 0.0, None]


def test_ignored_areas_make_no_outline_in_truth_or_map():
    truth, predicted = np.zeros((6, 12), np.uint8), np.zeros((6, 12), np.uint8)
    truth[:, 5:7] = X
    predicted[:, 6:] = 1
    counts = count_boundaries(truth, predicted, 2)
    assert not counts.true.any()
    assert not counts.shown.any()


# The original's figures


def test_original_figures_of_two_squares_counted_by_hand():
    # Two squares: 200 × 200, and 200 × 100 beside it.
    truth, predicted = np.zeros((200, 300), np.uint8), np.zeros((200, 300), np.uint8)
    truth[:, :50] = 1
    predicted[:, :100] = 1
    truth[:100, 200:] = X
    counts = count_squares(truth, predicted, 3)
    assert counts.true.tolist() == [[30000, 10000, 0], [10000, 0, 0]]
    ours = original_figures(counts, ["a", "b", "c"])
    assert ours["class_agreement"] == pytest.approx({"a": (0.75 + 1) / 2, "b": (0.75 + 1) / 2, "c": 1.0})
    assert ours["mean_class_agreement"] == pytest.approx(0.875)  # class c does not occur
    assert ours["tile_iou"] == pytest.approx(((2 / 3 + 1) / 2 + (1 / 2 + 1) / 2) / 2)
    assert ours["map_accuracy"] == pytest.approx(40000 / 50000)
    trivial = trivial_figures(counts, ["a", "b", "c"])
    assert trivial["class_agreement"] == pytest.approx({"a": (0.25 + 0) / 2, "b": (0.75 + 1) / 2, "c": 1.0})
    assert trivial["mean_class_agreement"] == pytest.approx((0.125 + 0.875) / 2)
    assert trivial["tile_iou"] == pytest.approx((0 + (0 + 1) / 2) / 2)
    assert trivial["map_accuracy"] == pytest.approx(40000 / 50000)


def test_a_square_without_valid_pixels_counts_nowhere():
    truth = np.full((200, 400), X, np.uint8)
    truth[:, 200:] = 1
    counts = count_squares(truth, np.ones_like(truth), 2)
    assert counts.true.tolist() == [[0, 40000]]
    figures = original_figures(counts, ["a", "b"])
    assert figures["tile_iou"] == figures["map_accuracy"] == figures["mean_class_agreement"] == 1.0
    assert trivial_figures(counts, ["a", "b"])["map_accuracy"] == 0.0


def test_an_empty_map_scores_high_on_what_the_original_calls_iou():
    classes = 5
    truth = np.random.default_rng(0).integers(0, classes, (400, 400)).astype(np.uint8)
    trivial = trivial_figures(count_squares(truth, truth, classes), list("abcde"))
    assert trivial["mean_class_agreement"] == pytest.approx(0.8, abs=0.001)


# A whole split


def test_pooled_counts_are_sums_over_scenes_in_any_order():
    scenes = {f"scene{i}": random_maps(i, 4, (230, 210), smooth=4.0) for i in range(3)}
    names = ("road", "tree", "car", "roof")
    forwards, backwards = (SplitEvaluation(table(*names)) for _ in range(2))
    for name in scenes:
        forwards.add(name, *scenes[name])
    for name in reversed(scenes):
        backwards.add(name, *scenes[name])
    metrics = forwards.to_metrics()
    assert backwards.to_metrics() == metrics
    per_scene = metrics["per_scene"]
    assert list(per_scene) == metrics["scenes"] == list(scenes)
    for block, under in ((metrics, lambda one: one), (metrics["eroded"], lambda one: one["eroded"])):
        summed = sum(np.array(under(one)["confusion"]) for one in per_scene.values())
        assert block["confusion"] == summed.tolist()
        expected = scores_from_confusion(summed, names)
        assert {key: block[key] for key in expected} == expected
    counts = [count_boundaries(*maps, 4) for maps in scenes.values()]
    pooled = boundary_f1(type(counts[0])(*(sum(parts) for parts in zip(*counts, strict=True))))
    assert metrics["boundary_f1"] == pytest.approx(np.mean(pooled))
    assert per_scene["scene0"]["boundary_f1"] == pytest.approx(np.mean(boundary_f1(counts[0])))


def test_metrics_have_the_stated_keys_and_survive_json():
    tally = SplitEvaluation(table("a", "b"))
    tally.add("one", *random_maps(0, 2))
    metrics = tally.to_metrics()
    figures = {"confusion", "iou", "f1", "mean_iou", "mean_f1", "overall_accuracy", "boundary_f1"}
    more = {"overall_accuracy_ignored_wrong"}
    assert set(metrics) == figures | more | {
        "scenes", "classes", "classes_without_truth", "eroded", "per_scene", "original"
    }  # fmt: skip
    assert set(metrics["eroded"]) == figures
    assert set(metrics["per_scene"]["one"]) == figures | more | {"eroded", "outlines"}
    originals = {"class_agreement", "mean_class_agreement", "tile_iou", "map_accuracy"}
    assert set(metrics["original"]) == originals | {"trivial"}
    assert set(metrics["original"]["trivial"]) == originals
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_a_perfect_map_scores_one_in_everything():
    truth, _ = random_maps(3, 3, (120, 120), smooth=8.0)
    truth[truth == X] = 0
    tally = SplitEvaluation(table("a", "b", "c"))
    tally.add("one", truth, truth)
    metrics = tally.to_metrics()
    for block in (metrics, metrics["eroded"]):
        assert block["mean_iou"] == block["mean_f1"] == block["overall_accuracy"] == 1.0
    assert metrics["boundary_f1"] == metrics["original"]["tile_iou"] == 1.0


def test_ignored_pixels_may_count_as_wrong_but_not_where_there_is_no_map():
    truth, mapped = np.array([[0, 0, 1, X, X, X]], np.uint8), np.array([[0, 1, 1, 0, 1, X]], np.uint8)
    tally = SplitEvaluation(table("a", "b"))
    tally.add("one", truth, mapped)
    tally.add("two", truth[:, :3], truth[:, :3])
    metrics = tally.to_metrics()
    assert metrics["overall_accuracy"] == pytest.approx(5 / 6)
    assert metrics["overall_accuracy_ignored_wrong"] == pytest.approx(5 / 8)
    assert metrics["per_scene"]["one"]["overall_accuracy_ignored_wrong"] == pytest.approx(2 / 5)


def test_labels_that_are_all_ignored_leave_every_figure_undefined():
    tally = SplitEvaluation(table("a", "b"))
    blank = np.full((20, 20), X, np.uint8)
    tally.add("blank", blank, blank)
    metrics = tally.to_metrics()
    assert metrics["classes_without_truth"] == ["a", "b"]
    assert metrics["confusion"] == [[0, 0], [0, 0]]
    for block in (metrics, metrics["eroded"], metrics["per_scene"]["blank"]):
        assert block["iou"] == block["f1"] == {"a": None, "b": None}
        for key in ("mean_iou", "mean_f1", "overall_accuracy", "boundary_f1"):
            assert block[key] is None
    assert metrics["overall_accuracy_ignored_wrong"] is None
    for figures in (metrics["original"], metrics["original"]["trivial"]):
        assert figures["class_agreement"] == {"a": None, "b": None}
        assert figures["mean_class_agreement"] is figures["tile_iou"] is figures["map_accuracy"] is None


def test_a_megapixel_takes_well_under_half_a_second():
    truth, predicted = random_maps(0, 6, (1000, 1000))
    tally = SplitEvaluation(table(*"abcdef"))
    tally.add("warm", truth, predicted)
    seconds = math.inf
    for i in range(3):
        began = time.perf_counter()
        tally.add(f"one{i}", truth, predicted)
        seconds = min(seconds, time.perf_counter() - began)
    assert seconds < 0.5


# Wrong input


def test_maps_of_different_size_are_refused_with_both_sizes():
    tally = SplitEvaluation(table("a", "b"))
    with pytest.raises(InputError, match=r"scene s1: class map: 4 × 5 px, but its truth has 4 × 6"):
        tally.add("s1", np.zeros((4, 6), np.uint8), np.zeros((4, 5), np.uint8))
    assert not tally.scenes


def test_ids_of_no_class_are_refused_with_their_counts():
    tally = SplitEvaluation(table("a", "b"))
    with pytest.raises(InputError) as caught:
        tally.add("s1", ids([[0, 2, 2, X]]), ids([[7, 0, 255, 9]]))
    assert caught.value.offences == [
        "scene s1: truth: 2 px have ids of no class: 2 (2); expected 0 … 1 wherever the truth has a label",
        "scene s1: class map: 2 px have ids of no class: 7 (1), 255 (1); expected 0 … 1 wherever the truth has a label",
    ]


def test_a_scene_counts_once():
    blank, tally = np.zeros((3, 3), np.uint8), SplitEvaluation(table("a"))
    tally.add("s1", blank, blank)
    with pytest.raises(InputError, match="scene s1: was counted already"):
        tally.add("s1", blank, blank)
