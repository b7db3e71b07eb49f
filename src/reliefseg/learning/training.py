"""Adversarial training from the first step to the last: the loop around one pure step."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from reliefseg.hardware import placed
from reliefseg.learning.adversarial import Player, training_step
from reliefseg.learning.average import AveragedNetwork
from reliefseg.learning.checkpoint import (
    Checkpoint,
    network_tensors,
    newest_checkpoint,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
    save_checkpoint,
)
from reliefseg.learning.optimiser import (
    build_discriminator_optimiser,
    build_optimiser,
    rate_factor,
    set_rate,
)
from reliefseg.learning.run_folder import RunLog
from reliefseg.learning.settings import TrainSettings
from reliefseg.networks import PatchDiscriminator, U2Net
from reliefseg.tiles import SceneBank

PHASE = "train"
LOGGED = 200
"""About how many steps of a run are logged."""
SHOWN_AT = (0.1, 0.25, 0.5, 1.0)
"""Shares of the steps after which the same validation tiles are drawn."""


@dataclass(frozen=True)
class Hooks:
    """What training hands out and gets back, so that it knows nothing of evaluation.

    `validate` scores a network on whole validation scenes (None: there is no validation); `show` draws the
    validation tiles at a percentage of the run; `progress` is told (step, steps).
    """

    validate: Callable[[U2Net], dict[str, Any]] | None = None
    show: Callable[[U2Net, int], None] = lambda network, percent: None
    progress: Callable[[int, int], None] = lambda step, steps: None


class Training:
    """Networks, optimisers and average of a run, and how they are saved and put back."""

    def __init__(self, generator: U2Net, bands: int, classes: int, settings: TrainSettings, fabric: Fabric, seed: int):
        self.settings, self.fabric = settings, fabric
        generator = placed(generator, fabric.device)
        self.average = AveragedNetwork(generator, settings.average)
        self.generator = _player(
            fabric, generator, build_optimiser(generator.parameters(), settings.optimiser), settings.optimiser.clip
        )
        self.discriminator: Player | None = None
        if settings.loss.adversarial:
            with torch.random.fork_rng():
                torch.manual_seed(seed + 1)
                judge = placed(PatchDiscriminator(bands, classes), fabric.device)
            optimiser = build_discriminator_optimiser(judge.parameters(), settings.discriminator_lr)
            self.discriminator = _player(fabric, judge, optimiser, settings.optimiser.clip)
        self.best: dict[str, torch.Tensor] = {}
        self.best_score = -1.0
        self.best_step: int | None = None

    def step(self, bank: SceneBank, seed: int, step: int) -> dict[str, torch.Tensor]:
        """Draws the batch of this step and learns from it."""
        factor = rate_factor(self.settings.optimiser, step, self.settings.steps)
        set_rate(self.generator.optimiser, self.settings.optimiser.lr, factor)
        if self.discriminator is not None:
            set_rate(self.discriminator.optimiser, self.settings.discriminator_lr, factor)
        batch = bank.random_tiles(seed, step, self.settings.batch)
        losses = training_step(self.generator, self.discriminator, batch, self.settings.loss)
        self.average.update(_bare(self.generator.network), step)
        return losses

    def keep_if_best(self, score: float | None, step: int) -> bool:
        """Keeps the averaged weights if they score higher than any before."""
        is_best = score is not None and score > self.best_score
        if is_best and score is not None:
            self.best_score, self.best_step = score, step
            self.best = {k: v.clone() for k, v in self.average.network.state_dict().items()}
        return is_best

    def result(self) -> U2Net:
        """The best averaged network on validation; without validation that of the last step."""
        network = copy.deepcopy(self.average.network)
        if self.best:
            network.load_state_dict(self.best)
        return network

    def checkpoint(self, step: int) -> Checkpoint:
        """The state after `step` steps."""
        tensors = network_tensors("generator", _bare(self.generator.network))
        tensors |= optimiser_tensors("generator_optimiser", self.generator.optimiser)
        tensors |= network_tensors("average", self.average.network)
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        if self.discriminator is not None:
            tensors |= network_tensors("discriminator", _bare(self.discriminator.network))
            tensors |= optimiser_tensors("discriminator_optimiser", self.discriminator.optimiser)
        return Checkpoint(PHASE, step, tensors, {"best_score": self.best_score, "best_step": self.best_step})

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint's state."""
        tensors = checkpoint.tensors
        restore_network(_bare(self.generator.network), "generator", tensors)
        restore_optimiser(self.generator.optimiser, "generator_optimiser", tensors)
        restore_network(self.average.network, "average", tensors)
        if self.discriminator is not None:
            restore_network(_bare(self.discriminator.network), "discriminator", tensors)
            restore_optimiser(self.discriminator.optimiser, "discriminator_optimiser", tensors)
        self.best = {k.removeprefix("best."): v for k, v in tensors.items() if k.startswith("best.")}
        self.best_score, self.best_step = checkpoint.values["best_score"], checkpoint.values["best_step"]


def _player(fabric: Fabric, network: nn.Module, optimiser: torch.optim.Optimizer, clip: float) -> Player:
    network, optimiser = fabric.setup(network, optimiser)
    return Player(network.train(), optimiser, clip, fabric.backward)


def _bare(network: nn.Module) -> nn.Module:
    """The network inside Fabric's wrapper."""
    return getattr(network, "module", network)


def train(training: Training, bank: SceneBank, checkpoints: Path, log: RunLog, seed: int, hooks: Hooks) -> U2Net:
    """Runs from the newest checkpoint (or the start) to the last step; returns the network to use."""
    settings = training.settings
    saved = newest_checkpoint(checkpoints, PHASE)
    start = saved.step if saved else 0
    if saved:
        training.restore(saved)
        log.cut_back(PHASE, start)
    every = max(1, settings.steps // LOGGED)
    validated = {round(settings.steps * (i + 1) / settings.validations) for i in range(settings.validations)}
    shown = {max(1, round(settings.steps * share)): round(100 * share) for share in SHOWN_AT}
    began = last_saved = time.monotonic()
    for step in range(start, settings.steps):
        losses = training.step(bank, seed, step)
        done = step + 1
        hooks.progress(done, settings.steps)
        if done % every == 0:
            numbers = {name: round(float(value), 6) for name, value in losses.items()}
            rate = (done - start) * settings.batch / (time.monotonic() - began)
            log.write(PHASE, "step", step=done, **numbers, images_per_second=round(rate, 3))
        if done in validated and hooks.validate is not None:
            scores = hooks.validate(training.average.network)
            is_best = training.keep_if_best(scores["mean_iou"], done)
            log.write(PHASE, "validation", step=done, **scores, best=is_best)
        if done in shown:
            hooks.show(training.average.network, shown[done])
        late = time.monotonic() - last_saved > 60 * settings.checkpoint_minutes
        if late or done in validated or done == settings.steps:
            save_checkpoint(checkpoints, training.checkpoint(done))
            last_saved = time.monotonic()
    return training.result()


def seconds_per_step(training: Training, bank: SceneBank) -> float:
    """How long a step takes here, measured on copies, so that nothing of the run moves."""
    trial = copy.deepcopy(training.checkpoint(0))
    times = []
    for step in range(2):
        began = time.monotonic()
        training.step(bank, 0, step)
        times.append(time.monotonic() - began)
    training.restore(trial)
    return min(times)
