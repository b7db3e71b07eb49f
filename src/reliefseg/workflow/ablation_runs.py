"""The runs of an ablation: each is done once, kept, and done again only where what was asked of it changed."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reliefseg.config import Settings
from reliefseg.learning import Training
from reliefseg.learning.pretraining import Pretraining
from reliefseg.learning.run_folder import log_lines
from reliefseg.raster import SPLITS, Dataset
from reliefseg.raster.files import hash_file, read_json, read_json_if_whole, write_json
from reliefseg.raster.fingerprints import fingerprint
from reliefseg.workflow.evaluating import measure
from reliefseg.workflow.saying import Sayer, Silent, Tick, in_words
from reliefseg.workflow.training import train

LEARNING = (Pretraining.title, Training.title)
"""Parts of a run's time that count where runs are held against each other at equal time."""
PARTS = 1000
"""Progress is told in so many parts a run."""
_ASKED = "asked.json"
LEARNT_FROM = tuple(split for split in SPLITS if split != "test")

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Job:
    """One run: its name, what it learns from, how, and where; `contents` stands for what the data's files hold."""

    name: str
    dataset: Dataset
    settings: Settings
    folder: Path
    split: str
    contents: str

    @property
    def metrics_file(self) -> Path:
        """There once the run is finished."""
        return self.folder / "evaluation" / self.split / "metrics.json"

    @property
    def asked(self) -> dict[str, Any]:
        """Everything the run's weights depend on, as far as we know it."""
        data = self.dataset
        return {
            "settings": self.settings.model_dump(mode="json"),
            "data_set": {
                "name": data.name,
                "bands": list(data.bands),
                "classes": list(data.classes.names),
                "splits": {name: list(scenes) for name, scenes in data.splits.items() if name in LEARNT_FROM},
                "tile_labels": None if data.tile_rule is None else data.tile_rule.model_dump(mode="json"),
                "contents": self.contents,
            },
        }

    def state(self) -> str:
        """`new`, `begun`, `done`, or `other`: what lies in the folder was asked something else."""
        if not self.folder.exists():
            return "new"
        if read_json_if_whole(self.folder / _ASKED) != self.asked:
            return "other"
        scored = (read_json_if_whole(self.metrics_file) or {}).get("scenes")
        return "done" if scored == list(self.dataset.splits[self.split]) else "begun"


def contents_of(dataset: Dataset, split: str, say: Sayer) -> str:
    """SHA-256 over the files of all scenes that are learnt from or score, and of the tile labels."""
    names = {name for one, scenes in dataset.splits.items() if one in (*LEARNT_FROM, split) for name in scenes}
    total = hashlib.sha256()
    with say.progress("looking for changed files") as tick:
        for done, name in enumerate(sorted(names), 1):
            scene = dataset.scenes[name]
            files = filter(None, (scene.image, scene.labels, scene.heights, scene.ground))
            total.update(f"{name} {fingerprint(files)}\n".encode())
            tick(done, len(names))
    if dataset.tile_rule is not None and dataset.tile_rule.file is not None:
        total.update(hash_file(dataset.root / dataset.tile_rule.file).encode())
    return total.hexdigest()


def finish(jobs: Sequence[Job], say: Sayer) -> dict[str, Metrics]:
    """Does what is left of the jobs and returns the metrics of all by name; each finished run is kept as it is."""
    left = [job for job in jobs if job.state() != "done"]
    if len(left) < len(jobs):
        say.note(f"{len(jobs) - len(left)} of {len(jobs)} runs are done already and kept")
    with say.progress("runs") as tick:
        for number, job in enumerate(left):
            began = time.monotonic()
            _do(job, say, _Within(tick, number, len(left)))
            score = read_json(job.metrics_file)["mean_iou"]
            told = "undefined" if score is None else f"{100 * score:.1f}"
            passed = in_words(time.monotonic() - began)
            say.note(f"run {number + 1} of {len(left)}, {job.name}: mean IoU {told}, {passed}")
    return {job.name: read_json(job.metrics_file) for job in jobs}


def _do(job: Job, say: Sayer, within: Sayer) -> None:
    state = job.state()
    if state == "other":
        say.note(f"{job.name}: settings or data changed since it was run: it is done again")
        shutil.rmtree(job.folder)
    write_json(job.folder / _ASKED, job.asked)
    if not (job.folder / "model").exists():
        train(job.dataset, job.folder, job.settings, resume=(job.folder / "config.toml").exists(), say=within)
    measure(job.folder, job.dataset, job.split, say=within)
    shutil.rmtree(job.folder / "checkpoints", ignore_errors=True)


def learning_seconds(folder: Path) -> dict[str, float]:
    """How long the parts of learning took a finished run."""
    timings = [line for line in log_lines(folder) if line["event"] == "timing"]
    return {part: sum(one["seconds"] for one in timings if one["part"] == part) for part in LEARNING}


@dataclass
class _Within:
    """Passes the progress of one run on as part of that of all; its notes are in its own log."""

    tick: Tick
    number: int
    runs: int

    def __reduce__(self) -> tuple[type[Silent], tuple[()]]:
        """Another process, which has no bar to move, says nothing."""
        return Silent, ()

    def note(self, text: str) -> None:
        """Stays with the run."""

    @contextmanager
    def progress(self, title: str) -> Iterator[Tick]:
        """Training is what takes long."""
        yield self._training if title == "training" else lambda done, of: None

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
