"""Adversarial training: generator, discriminator, optimisers and average, and what one step does to them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from reliefseg.hardware import placed
from reliefseg.learning import loop
from reliefseg.learning.accumulating import accumulated_step
from reliefseg.learning.adversarial import Player
from reliefseg.learning.average import AveragedNetwork
from reliefseg.learning.checkpoint import (
    Checkpoint,
    network_tensors,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
)
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.labelled_tiles import LabelledTiles
from reliefseg.learning.lessons import Lesson, Lessons
from reliefseg.learning.loop import Best, Hooks, learn, without_trace
from reliefseg.learning.memory import refuse_large_batch
from reliefseg.learning.optimiser import (
    build_discriminator_optimiser,
    build_optimiser,
    rate_factor,
    set_rate,
)
from reliefseg.learning.processes import share_of
from reliefseg.learning.run_folder import Log
from reliefseg.learning.settings import TrainSettings
from reliefseg.learning.synced import bare, joint_player, shares_of_pixels
from reliefseg.networks import Generator, PatchDiscriminator, recompute_stages
from reliefseg.tiles import SceneBank, TileBatch


class Training:
    """Networks, optimisers and average of a run, and how they are saved and put back."""

    phase = "train"
    title = "training and validation"
    score = "mean_iou"

    def __init__(
        self,
        generator: Generator,
        bands: int,
        classes: int,
        settings: TrainSettings,
        fabric: Fabric,
        seed: int,
        tiles: LabelledTiles | None = None,
    ):
        self.settings, self.fabric, self.bands = settings, fabric, bands
        self.steps, self.batch, self.validations = settings.steps, settings.tiles_a_step, settings.validations
        generator = placed(generator, fabric.device)
        self.average = AveragedNetwork(generator, settings.average)
        if settings.checkpoint_gradients:
            recompute_stages(generator)
        if settings.compile:
            generator.compile(dynamic=False)
        optimiser = build_optimiser(generator.parameters(), settings.optimiser)
        self.generator = joint_player(fabric, generator, optimiser, settings.optimiser.clip)
        self.discriminator: Player | None = None
        if settings.loss.adversarial:
            with torch.random.fork_rng():
                torch.manual_seed(seed + 1)
                judge = placed(PatchDiscriminator(bands, classes, settings.discriminator_width), fabric.device)
            optimiser = build_discriminator_optimiser(judge.parameters(), settings.discriminator_lr)
            self.discriminator = joint_player(fabric, judge, optimiser, settings.optimiser.clip)
        self.best = Best()
        self.lessons: Lessons | None = None
        if tiles is not None and settings.lessons.batch:
            teacher, kind = self.average.network, settings.loss.kind
            self.lessons = Lessons(tiles, teacher, settings.lessons, kind, self.steps, fabric.autocast)

    def step(self, bank: SceneBank, seed: int, step: int) -> dict[str, Tensor]:
        """Draws this process's share of the batch, and of the lessons, and learns from it."""
        factor = rate_factor(self.settings.optimiser, step, self.steps)
        set_rate(self.generator.optimiser, self.settings.optimiser.lr, factor)
        if self.discriminator is not None:
            set_rate(self.discriminator.optimiser, self.settings.discriminator_lr, factor)
        first, count = share_of(self.settings.batch, self.fabric)
        parts = range(first, self.batch, self.settings.batch)
        batches = [bank.random_tiles(seed, step, count, part) for part in parts]
        losses = self.learn_from(batches, self._lessons(seed, step))
        self.average.update(bare(self.generator.network), step)
        return losses

    def _lessons(self, seed: int, step: int) -> list[Lesson | None]:
        """One for each batch of a step."""
        if self.lessons is None:
            return [None] * self.settings.accumulate
        each = self.settings.lessons.batch
        first, count = share_of(each, self.fabric)
        every = each * self.settings.accumulate
        return [self.lessons.draw(seed, step, count, part, every) for part in range(first, every, each)]

    def learn_from(self, batches: Sequence[TileBatch], lessons: Sequence[Lesson | None]) -> dict[str, Tensor]:
        """One step on these tiles."""
        shares = shares_of_pixels(batches, self.fabric)
        return accumulated_step(self.generator, self.discriminator, batches, self.settings.loss, shares, lessons)

    def candidate(self) -> Generator:
        """The averaged network."""
        return self.average.network

    def result(self) -> Generator:
        """The best averaged network on validation; without validation that of the last step."""
        network = copy.deepcopy(self.average.network)
        if self.best.weights:
            network.load_state_dict(self.best.weights)
        return network

    def checkpoint(self, step: int) -> Checkpoint:
        """The state after `step` steps."""
        tensors = network_tensors("average", self.average.network)
        for name, one in self._players().items():
            tensors |= network_tensors(name, bare(one.network))
            tensors |= optimiser_tensors(f"{name}_optimiser", one.optimiser)
        return Checkpoint(self.phase, step, tensors)

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint's state."""
        restore_network(self.average.network, "average", checkpoint.tensors)
        for name, one in self._players().items():
            restore_network(bare(one.network), name, checkpoint.tensors)
            restore_optimiser(one.optimiser, f"{name}_optimiser", checkpoint.tensors)

    def _players(self) -> dict[str, Player]:
        both = {"generator": self.generator}
        return both if self.discriminator is None else both | {"discriminator": self.discriminator}

    def refuse_large_batch(self, size: int) -> None:
        """InputError where the batch, of tiles of this size, does not fit into memory; leaves no trace."""

        def learn_from(bands: Tensor) -> None:
            labels = torch.zeros(len(bands), *bands.shape[2:], dtype=torch.uint8, device=bands.device)
            self.learn_from([TileBatch(bands, labels)], [None])

        networks = [one.network for one in self._players().values()]
        setting, batch = "train.batch", self.settings.batch
        if self.lessons is not None:
            setting, batch = "train.batch + train.lessons.batch", batch + self.settings.lessons.batch
        with without_trace(self):
            refuse_large_batch(setting, batch, learn_from, networks, self.bands, size, self.fabric)


def train(training: Training, bank: SceneBank, checkpoints: Path, log: Log, seed: int, hooks: Hooks) -> Generator:
    """Runs from the newest checkpoint (or the start) to the last step; returns the network to use."""
    minutes = training.settings.checkpoint_minutes
    learn(training, lambda step: training.step(bank, seed, step), checkpoints, log, hooks, minutes)
    return training.result()


def seconds_per_step(training: Training, bank: SceneBank) -> float:
    """How long a step takes here; the trial steps leave no trace."""
    return loop.seconds_per_step(training, lambda step: training.step(bank, 0, step))
