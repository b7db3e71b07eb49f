"""The loop of both phases of learning: steps, log, validation, checkpoints, and going on from one."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from reliefseg.errors import InputError
from reliefseg.learning.checkpoint import Checkpoint, load_checkpoint, newest_checkpoint, save_checkpoint
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.processes import agreed, over_all
from reliefseg.learning.run_folder import Log
from reliefseg.learning.synced import bare

LOGGED = 200
"""About how many steps of a phase are logged."""
SHOWN_AT = (0.1, 0.25, 0.5, 1.0)
"""Shares of the steps after which the same validation tiles are drawn."""


@dataclass(frozen=True)
class Hooks:
    """What learning hands out and gets back, so that it knows nothing of evaluation.

    `validate` scores a network (None: there is no validation), in all processes at once; `show` draws the validation
    tiles at a percentage of the phase; `progress` is told (steps taken, steps to take), both since the run was taken up
    again; `tell` passes on what the reader should know.
    """

    validate: Callable[[Any], dict[str, Any]] | None = None
    show: Callable[[Any, int], None] = lambda network, percent: None
    progress: Callable[[int, int], None] = lambda step, steps: None
    tell: Callable[[str], None] = lambda text: None


@dataclass
class Best:
    """The weights that scored highest on validation, their score and step."""

    score: float = -1.0
    step: int | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, score: float | None, step: int, network: nn.Module) -> bool:
        """Keeps a copy of the network's weights if they score higher than any before."""
        if score is None or score <= self.score:
            return False
        self.score, self.step = score, step
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return True

    def into(self, checkpoint: Checkpoint) -> None:
        """Adds it to a checkpoint."""
        checkpoint.tensors |= {f"best.{name}": value for name, value in self.weights.items()}
        checkpoint.values |= {"best_score": self.score, "best_step": self.step}

    @classmethod
    def out_of(cls, checkpoint: Checkpoint) -> Best:
        """What `into` added."""
        weights = {k.removeprefix("best."): v for k, v in checkpoint.tensors.items() if k.startswith("best.")}
        return cls(checkpoint.values["best_score"], checkpoint.values["best_step"], weights)


@runtime_checkable
class Learner(Protocol):
    """One phase of learning: what the loop needs to know of it."""

    phase: str
    title: str
    """What the log calls the time it takes."""
    score: str
    """Which of the validation's figures picks the best."""
    steps: int
    batch: int
    validations: int
    fabric: Fabric
    best: Best

    def candidate(self) -> nn.Module:
        """The network that is validated, and kept if it is the best."""

    def checkpoint(self, step: int) -> Checkpoint:
        """Networks and optimisers after `step` steps."""

    def restore(self, checkpoint: Checkpoint) -> None:
        """Puts them back."""


Step = Callable[[int], dict[str, Tensor]]
"""Draws the batch of a step (from 0) and learns from it; returns this process's losses."""


def learn(learner: Learner, take: Step, checkpoints: Path, log: Log, hooks: Hooks, minutes: float) -> None:
    """Takes the steps from the newest checkpoint (or the start) to the last.

    A checkpoint is written every so many minutes, at every validation and at the end. How long it took is logged with
    the last step: with what was done before an interruption, without what was lost to it; and how long a step took
    since then.
    """
    steps, fabric = learner.steps, learner.fabric
    start, before = _resume(learner, checkpoints, log, hooks.tell)
    every = max(1, steps // LOGGED)
    validated = {round(steps * (i + 1) / learner.validations) for i in range(learner.validations)}
    shown = {max(1, round(steps * share)): round(100 * share) for share in SHOWN_AT}
    learning, since = 0.0, time.monotonic()
    last_saved = since
    for done in range(start + 1, steps + 1):
        began = time.monotonic()
        losses = take(done - 1)
        numbers = _numbers(losses, fabric) if done % every == 0 else {}  # waits for the device, as the clock must
        learning += time.monotonic() - began
        hooks.progress(done - start, steps - start)
        if None in numbers.values() or done in validated or done == steps:
            _refuse_spoilt(learner, done)
        if numbers:
            rate = (done - start) * learner.batch / learning
            log.write(learner.phase, "step", step=done, **numbers, images_per_second=round(rate, 3))
        if done in validated and hooks.validate is not None:
            scores = hooks.validate(learner.candidate())
            is_best = learner.best.offer(scores[learner.score], done, bare(learner.candidate()))
            log.write(learner.phase, "validation", step=done, **scores, best=is_best)
        if done in shown:
            hooks.show(learner.candidate(), shown[done])
        if done == steps:
            seconds = round(before + time.monotonic() - since, 2)
            each = round(learning / (done - start), 5)
            log.write(learner.phase, "timing", step=done, part=learner.title, seconds=seconds, seconds_a_step=each)
        late = time.monotonic() - last_saved > 60 * minutes
        if (late or done in validated or done == steps) and fabric.is_global_zero:
            last_saved = time.monotonic()
            _save(learner, done, before + last_saved - since, checkpoints, hooks.tell)


def _numbers(losses: dict[str, Tensor], fabric: Fabric) -> dict[str, float | None]:
    """The losses' mean over all processes; None where it is no finite number."""
    together = torch.stack([value.float() for value in losses.values()])
    values = over_all(together, fabric, "mean").tolist()
    return {name: round(value, 6) if isfinite(value) else None for name, value in zip(losses, values, strict=True)}


def _refuse_spoilt(learner: Learner, step: int) -> None:
    """InputError where the network's weights are no numbers any more."""
    if not all(weight.isfinite().all() for weight in learner.candidate().parameters()):
        raise InputError(
            f"{learner.title}: by step {step:,} the weights have grown beyond all numbers; lower the learning rate "
            f"({learner.phase}.optimiser.lr), or limit the gradient (optimiser.clip)"
        )


def _save(learner: Learner, done: int, seconds: float, checkpoints: Path, tell: Callable[[str], None]) -> None:
    checkpoint = state_of(learner, done)
    checkpoint.values["seconds"] = seconds
    try:
        save_checkpoint(checkpoints, checkpoint)
    except OSError as error:
        tell(
            f"The checkpoint after step {done:,} of phase {learner.phase} could not be written ({error.strerror}): the "
            "run goes on, the checkpoint before it stays. Make room for the next one."
        )


def _resume(learner: Learner, checkpoints: Path, log: Log, tell: Callable[[str], None]) -> tuple[int, float]:
    """The step to go on from, and the seconds it took to get there."""
    found = agreed(learner.fabric, lambda: newest_checkpoint(checkpoints, learner.phase, tell))
    start, seconds = 0, 0.0
    if found is not None:
        checkpoint = load_checkpoint(found)
        then, now = checkpoint.values["computed_with"], computed_with(learner.fabric)
        if then != now:
            tell(
                f"The checkpoint was computed with {_in_words(then)}, the run goes on with {_in_words(now)}: its "
                "weights will differ in rounding from those of a run never interrupted."
            )
        put_back(learner, checkpoint)
        start, seconds = checkpoint.step, checkpoint.values.get("seconds", 0.0)
        if start < learner.steps:
            tell(f"{learner.title}: going on; {start:,} of {learner.steps:,} steps are taken")
    log.cut_back(learner.phase, start)
    return start, seconds


def computed_with(fabric: Fabric) -> dict[str, Any]:
    """What results repeat exactly for, on the CPU."""
    return {
        "device": fabric.device.type,
        "precision": fabric.strategy.precision.precision,
        "processes": fabric.world_size,
        "threads": torch.get_num_threads(),
    }


def _in_words(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def state_of(learner: Learner, step: int) -> Checkpoint:
    """Everything the phase needs to go on after `step` steps."""
    checkpoint = learner.checkpoint(step)
    learner.best.into(checkpoint)
    checkpoint.values |= {
        "computed_with": computed_with(learner.fabric),
        "float16_scale": learner.fabric.strategy.precision.state_dict(),
    }
    return checkpoint


def put_back(learner: Learner, checkpoint: Checkpoint) -> None:
    """Goes back to a state."""
    learner.restore(checkpoint)
    learner.best = Best.out_of(checkpoint)
    if checkpoint.values["float16_scale"]:
        learner.fabric.strategy.precision.load_state_dict(checkpoint.values["float16_scale"])


@contextmanager
def without_trace(learner: Learner) -> Iterator[None]:
    """Whatever is learnt within is forgotten."""
    before = copy.deepcopy(state_of(learner, 0))
    try:
        yield
    finally:
        put_back(learner, before)


def seconds_per_step(learner: Learner, take: Step) -> float:
    """How long a step takes here: the faster of two trial steps, which leave no trace."""
    times = []
    with without_trace(learner):
        for step in range(2):
            began = time.monotonic()
            _numbers(take(step), learner.fabric)  # waits for the device
            times.append(time.monotonic() - began)
    return min(times)
