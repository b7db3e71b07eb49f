"""What to do next with a trained map: plain sentences that follow from the run's own figures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from reliefseg.evaluation.runfiles import RunFiles, SplitFiles

ORIGINAL_FIGURES = ("mean_class_agreement", "tile_iou", "map_accuracy")
"""The original's figures, one number each."""

_FEW_PIXELS = 0.02
_SEPARABLE = 0.95
_STILL_RISING = 0.01


class Advice(NamedTuple):
    """One thing to do: a short heading, why in a sentence or two, and a command to copy if there is one."""

    heading: str
    reason: str
    command: str | None = None


class WeakestClass(NamedTuple):
    """The class with the lowest IoU, and the class most of its lost pixels were given to (None: none lost)."""

    name: str
    iou: float
    taken_for: str | None
    share: float


def weakest_class(split: SplitFiles) -> WeakestClass | None:
    """The class the map of a split is worst at; None where no class has a defined IoU."""
    defined = {name: iou for name, iou in split.by_class("iou").items() if iou is not None}
    occurring = {name: iou for name, iou in defined.items() if _truth_pixels(split, name) != 0}
    if not occurring:
        return None
    name = min(occurring, key=lambda one: occurring[one])
    taken_for, share = _most_taken_for(split, name)
    return WeakestClass(name, occurring[name], taken_for, share)


def advise(run: RunFiles, split: SplitFiles | None) -> list[Advice]:
    """Advice in order of use: predict first, then what would make the map or the figures better.

    `split` is the one the report's figures come from; None where nothing was evaluated.
    """
    found = [
        _predict(run),
        _no_figures(run, split),
        _label_weakest(run, split),
        _no_validation(run),
        _below_trivial(split),
        _train_longer(run),
        _separable(run),
        _more_seeds(split),
    ]
    return [one for one in found if one is not None]


def _predict(run: RunFiles) -> Advice | None:
    trained = run.lines("train", "step") or (run.path / "model").exists() or run.splits
    if not trained:
        return Advice(
            "Train the generator",
            "This run folder holds no trained model yet.",
            f"reliefseg train DATASET -o {shlex.quote(str(run.path))} --resume",
        )
    return Advice(
        "Map the scenes that have no labels",
        "Look at the result in a GIS before you trust it: it keeps georeferencing and the class colours.",
        f"reliefseg predict {shlex.quote(str(run.path))} SCENE… -o OUT",
    )


def _no_figures(run: RunFiles, split: SplitFiles | None) -> Advice | None:
    if split is None:
        return Advice(
            "Measure it on scenes it never saw",
            "Nothing was evaluated, so nobody knows how good this map is. Label one or two scenes from "
            "another place, name them as split test, and evaluate.",
            f"reliefseg evaluate {shlex.quote(str(run.path))} DATASET --split test",
        )
    if learnt := split.metrics.get("learnt_from"):
        return Advice(
            "Measure it on scenes it never saw",
            f"The networks learnt from {len(learnt)} of the scenes that the figures come from: they say how well it "
            "remembers, nothing of new scenes. Name labelled scenes from another place as split test.",
            f"reliefseg evaluate {shlex.quote(str(run.path))} DATASET --split test",
        )
    if split.unseen:
        return None
    if split.name == "test":
        reason = "Checkpoint and temperature were chosen on scenes of this split: its figures flatter the map a little."
        return Advice("Keep a test scene aside", reason + " Name a labelled scene from another place as split test.")
    reason = (
        f"The figures come from split {split.name}. If the best checkpoint was picked on these scenes, "
        "they flatter the map a little."
    )
    return Advice("Keep a test scene aside", reason + " Name a labelled scene from another place as split test.")


def _label_weakest(run: RunFiles, split: SplitFiles | None) -> Advice | None:
    weakest = weakest_class(split) if split else None
    if split is None or weakest is None:
        return None
    reason = f"It is the weakest class (IoU {100 * weakest.iou:.1f} %)"
    if weakest.taken_for and weakest.share >= 0.05:
        reason += f"; {100 * weakest.share:.0f} % of its pixels are taken for {weakest.taken_for}"
    return Advice(f"Label more {weakest.name}", f"{reason}. {_price(run, split, weakest.name)}")


def _price(run: RunFiles, split: SplitFiles, name: str) -> str:
    """How much of a class the networks were shown, or how much there is to measure it on."""
    labelled = {str(c.get("name")): c.get("labelled_pixels") for c in run.data.get("classes", [])}
    known = {key: count for key, count in labelled.items() if count is not None}
    if name in known:
        share = known[name] / max(1, sum(known.values()))
        few = "That is little: a few more polygons of it" if share < _FEW_PIXELS else "More scenes that show it"
        return f"Training saw {known[name]:,} labelled pixels of it ({100 * share:.1f} % of all). {few} should help."
    pixels = _truth_pixels(split, name)
    if pixels is None:
        return "More labelled pixels of it, from different places, should help most."
    return f"The figure rests on {pixels:,} pixels of split {split.name}. More labels of it should help most."


def _no_validation(run: RunFiles) -> Advice | None:
    if run.lines("train", "validation") or not run.lines("train", "step"):
        return None
    return Advice(
        "Give it a validation scene",
        "Without one, no checkpoint was picked: the result is simply the last step. "
        "Name a labelled scene as split validation, or set validation.blocks = true.",
    )


def _below_trivial(split: SplitFiles | None) -> Advice | None:
    original = (split.metrics.get("original") or {}) if split else {}
    trivial = original.get("trivial") or {}
    pairs = {key: (original.get(key), trivial.get(key)) for key in ORIGINAL_FIGURES}
    known = {key: (ours, empty) for key, (ours, empty) in pairs.items() if ours is not None and empty is not None}
    worse = [key for key, (ours, empty) in known.items() if ours <= empty < 1]
    if not worse:
        return None
    return Advice(
        "Do not use this map yet",
        f"By {' and '.join(key.replace('_', ' ') for key in worse)}, an empty map would do as well. "
        "Train longer, and check that the labels fit the images.",
    )


def _train_longer(run: RunFiles) -> Advice | None:
    scores = [line.get("mean_iou") for line in run.lines("train", "validation")]
    if (
        len(scores) < 3
        or any(one is None for one in scores[-2:])
        or scores[-1] != max(s for s in scores if s is not None)
    ):
        return None
    gained = scores[-1] - max(s for s in scores[:-1] if s is not None)
    if gained < _STILL_RISING:
        return None
    return Advice(
        "Train longer",
        f"Validation mean IoU was still rising at the end (+{100 * gained:.1f} points at the last check).",
    )


def _separable(run: RunFiles) -> Advice | None:
    last = run.lines("train", "step")[-20:]
    sums = [(s["accuracy_real"], s["accuracy_fake"]) for s in last if "accuracy_real" in s and "accuracy_fake" in s]
    if not sums or min(sum(one) / len(sums) for one in zip(*sums, strict=True)) < _SEPARABLE:
        return None
    return Advice(
        "Compare with adversarial weight 0",
        f"The discriminator tells real from fake almost always (over {100 * _SEPARABLE:.0f} %), "
        "so it may have taught the generator little.",
    )


def _more_seeds(split: SplitFiles | None) -> Advice | None:
    if split is None:
        return None
    return Advice(
        "Repeat with two more seeds before comparing",
        "This is one run. Fewer than three seeds say nothing about spread: "
        "a difference of a few points from another run may be chance.",
    )


def _truth_pixels(split: SplitFiles, name: str) -> int | None:
    """Pixels of a class in the truth; None where the metrics hold no confusion matrix."""
    row = _row(split, name)
    return None if row is None else int(sum(row))


def _row(split: SplitFiles, name: str) -> Sequence[int] | None:
    confusion = split.metrics.get("confusion")
    return confusion[split.classes.index(name)] if confusion else None


def _most_taken_for(split: SplitFiles, name: str) -> tuple[str | None, float]:
    """The other class most of a class's pixels were given to, and their share."""
    row = _row(split, name)
    if not row or not sum(row):
        return None, 0.0
    others = {other: count for other, count in zip(split.classes, row, strict=True) if other != name}
    if not others or not max(others.values()):
        return None, 0.0
    mistaken = max(others, key=lambda one: others[one])
    return mistaken, others[mistaken] / sum(row)
