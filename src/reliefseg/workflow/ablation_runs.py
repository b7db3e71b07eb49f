"""The runs of an ablation: each is done once, kept, and done again only where what was asked of it changed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliefseg.config import Settings
from reliefseg.depth import depth_weights
from reliefseg.errors import InputError
from reliefseg.learning.pretraining import Pretraining
from reliefseg.learning.run_folder import log_lines
from reliefseg.learning.training import Training
from reliefseg.raster import Dataset
from reliefseg.raster.files import hash_file, read_json, read_json_if_whole, write_json
from reliefseg.workflow.contents import LEARNT_FROM, Contents
from reliefseg.workflow.evaluating import measure, refuse_unscored
from reliefseg.workflow.saying import Sayer, Silent, Tick, in_words
from reliefseg.workflow.training import TRAINING, is_begun, train

LEARNING = (Pretraining.title, Training.title)
"""Parts of a run's time that count where runs are held against each other at equal time."""
PARTS = 1000
"""Progress is told in so many parts a run."""
_ASKED = "asked.json"
SCORING = ("validation", "test")
"""Splits that say anything of other scenes."""

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One run: its name, what it learns from, how, and where."""

    name: str
    dataset: Dataset
    settings: Settings
    folder: Path
    split: str
    contents: Contents

    @property
    def metrics_file(self) -> Path:
        """There once the run is finished."""
        return self.folder / "evaluation" / self.split / "metrics.json"

    @property
    def scored_file(self) -> Path:
        """Beside it: what the scenes held that were scored."""
        return self.metrics_file.with_name("scored.json")

    @property
    def asked(self) -> dict[str, Any]:
        """Everything the run's weights depend on but the code and what it ships; not the scenes of a test split."""
        data, depth = self.dataset, self.settings.depth
        named = (depth.weights, self.settings.network.weights)
        weights = [hash_file(Path(file)) for file in named if file is not None and Path(file).is_file()]
        if depth.source == "transformers":
            weights.append(str(depth_weights(depth)))
        return {
            "settings": self.settings.model_dump(mode="json"),
            "weights": weights,
            "data_set": {
                "name": data.name,
                "bands": list(data.bands),
                "classes": list(data.classes.names),
                "splits": {name: list(scenes) for name, scenes in data.splits.items() if name in LEARNT_FROM},
                "tile_labels": None if data.tile_rule is None else data.tile_rule.model_dump(mode="json"),
                "contents": self.contents.learnt,
            },
        }

    def state(self) -> str:
        """`new`, `begun`, `done`, or `other`: what lies in the folder was asked something else."""
        if not self.folder.exists():
            return "new"
        if read_json_if_whole(self.folder / _ASKED) != self.asked:
            return "other"
        scenes = (read_json_if_whole(self.metrics_file) or {}).get("scenes")
        held = (read_json_if_whole(self.scored_file) or {}).get("contents")
        as_now = scenes == list(self.dataset.splits[self.split]) and held == self.contents.scored
        return "done" if as_now else "begun"

    def score(self, say: Sayer) -> None:
        """Measures the model on the split, and notes what its scenes hold."""
        measure(self.folder, self.dataset, self.split, say=say)
        write_json(self.scored_file, {"contents": self.contents.scored})


def refuse_split(dataset: Dataset, split: str) -> None:
    """InputError where runs would be scored on what they learn from, or nothing can be scored."""
    if split not in SCORING:
        raise InputError(
            f"--split {split}: only {' and '.join(SCORING)} can be scored; runs learn from the other scenes, and what "
            "they score there says nothing of others"
        )
    refuse_unscored(dataset, split)


def finish(jobs: Sequence[Job], say: Sayer) -> dict[str, Metrics]:
    """Does what is left of the jobs and returns the metrics of all by name; each finished run is kept as it is."""
    left = [job for job in jobs if job.state() != "done"]
    if len(left) < len(jobs):
        say.note(f"{len(jobs) - len(left)} of {len(jobs)} runs are done already and kept")
    with say.progress("runs") as tick:
        for number, job in enumerate(left):
            began = time.monotonic()
            _do(job, say, _Within(tick, number, len(left), say))
            score = read_json(job.metrics_file)["mean_iou"]
            told = "undefined" if score is None else f"{100 * score:.1f}"
            passed = in_words(time.monotonic() - began)
            say.note(f"run {number + 1} of {len(left)}, {job.name}: mean IoU {told}, {passed}")
    return {job.name: read_json(job.metrics_file) for job in jobs}


def _do(job: Job, say: Sayer, within: Sayer) -> None:
    state = job.state()
    if state == "other":
        say.note(f"{job.name}: settings or data changed since it was run: it is done again")
        _clear(job.folder)
    write_json(job.folder / _ASKED, job.asked)
    if not (job.folder / "model").exists():
        train(job.dataset, job.folder, job.settings, resume=is_begun(job.folder), say=within)
    job.score(within)
    shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)


def _clear(folder: Path) -> None:
    """Forgets a run, but not how often each split was read for it: what was seen of a split stays seen."""
    (folder / _ASKED).unlink(missing_ok=True)  # first: half a run is none
    kept = set(folder.glob("evaluation/*/readings.json"))
    for path in sorted(folder.rglob("*"), reverse=True):  # what lies in a folder before the folder
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
        elif not path.is_dir() and path not in kept:
            path.unlink()


def learning_seconds(folder: Path) -> tuple[float, float]:
    """How long learning took a finished run, and a step of its training alone."""
    parts = {line["part"]: line for line in log_lines(folder) if line["event"] == "timing"}
    return sum(parts[p]["seconds"] for p in LEARNING if p in parts), parts[Training.title]["seconds_a_step"]


@dataclass
class _Within:
    """Passes the progress of one run on as part of that of all, and the first one's notes, which the others repeat."""

    tick: Tick
    number: int
    runs: int
    say: Sayer

    def __reduce__(self) -> tuple[type[Silent], tuple[()]]:
        """Another process, which has no bar to move, says nothing."""
        return Silent, ()

    def note(self, text: str) -> None:
        """Of the first run alone."""
        if self.number == 0:
            self.say.note(text)

    @contextmanager
    def progress(self, title: str) -> Iterator[Tick]:
        """Training is what takes long."""
        yield self._training if title == TRAINING else lambda done, of: None

    def _training(self, done: int, of: int) -> None:
        self.tick(PARTS * self.number + PARTS * done // of, PARTS * self.runs)


def notes_on_picking(settings: Settings, split: str) -> list[str]:
    """Said where the scenes that score also chose among the states of a run."""
    picks = settings.train.validations > 1 or (settings.pretrain.steps > 0 and settings.pretrain.validations > 1)
    if split != "validation" or settings.validation.blocks or not picks:
        return []
    return ["Each run's checkpoint was picked on these very scenes: scores are a little high, in all rows alike."]


def surroundings(dataset: Dataset, split: str, seeds: Sequence[int], metrics: Metrics) -> dict[str, Any]:
    """What figures of several runs rest on: data set, split, its scenes and classes, seeds, device."""
    return {
        "data_set": dataset.name,
        "split": split,
        "scenes": list(metrics["scenes"]),
        "classes": list(metrics["classes"]),
        "seeds": list(seeds),
        "device": metrics["device"],
    }
