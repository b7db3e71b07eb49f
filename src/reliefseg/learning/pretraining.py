"""Weak pretraining: the encoder learns to say which classes a tile shows. Tile labels cost seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from reliefseg.hardware import placed
from reliefseg.learning.checkpoint import (
    Checkpoint,
    network_tensors,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
)
from reliefseg.learning.fabric import Fabric
from reliefseg.learning.labelled_tiles import LabelledTiles, labelled_batch
from reliefseg.learning.loop import Best, Hooks, learn, without_trace
from reliefseg.learning.memory import refuse_large_batch
from reliefseg.learning.optimiser import build_optimiser, rate_factor, set_rate
from reliefseg.learning.processes import over_all, share_of
from reliefseg.learning.run_folder import Log
from reliefseg.learning.settings import PretrainSettings
from reliefseg.learning.synced import bare, joint_player
from reliefseg.networks import Generator, TileHead


class TileClassifier(nn.Module):
    """U²-Net's encoder with the tile head on its deepest map."""

    def __init__(self, generator: Generator, classes: int):
        super().__init__()
        self.generator = generator
        self.head = TileHead(generator.deepest_channels, classes)

    def forward(self, bands: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n classes"]:
        """Logits, one a class: does the tile show it?"""
        return self.head(self.generator.encode(bands)[-1])

    def encoder_parameters(self) -> list[nn.Parameter]:
        """What pretraining moves: the encoder's and the head's weights."""
        return [*self.generator.encoder.parameters(), *self.head.parameters()]


class Pretraining:
    """The classifier and its optimiser, and how they are saved and put back."""

    phase = "pretrain"
    title = "pretraining"
    score = "mean_average_precision"

    def __init__(self, generator: Generator, classes: int, settings: PretrainSettings, fabric: Fabric, seed: int):
        self.settings, self.fabric, self.classes = settings, fabric, classes
        self.steps, self.batch, self.validations = settings.steps, settings.batch, settings.validations
        with torch.random.fork_rng():
            torch.manual_seed(seed + 2)
            classifier = placed(TileClassifier(generator, classes), fabric.device)
        moved = classifier.encoder_parameters()
        classifier.requires_grad_(False)
        for parameter in moved:
            parameter.requires_grad_(True)
        self.classifier = joint_player(
            fabric, classifier, build_optimiser(moved, settings.optimiser), settings.optimiser.clip
        )
        self.best = Best()

    def step(self, tiles: LabelledTiles, seed: int, step: int) -> dict[str, Tensor]:
        """Takes this process's share of the batch and learns from it."""
        rate = rate_factor(self.settings.optimiser, step, self.steps)
        set_rate(self.classifier.optimiser, self.settings.optimiser.lr, rate)
        first, count = share_of(self.batch, self.fabric)
        return self.learn_from(*labelled_batch(tiles, seed, step, count, first, self.batch))

    def learn_from(self, bands: Tensor, shown: Tensor) -> dict[str, Tensor]:
        """One step on these tiles."""
        loss = F.binary_cross_entropy_with_logits(self.classifier.network.train()(bands).float(), shown)
        self.classifier.learn(loss)
        return {"loss": loss.detach()}

    def candidate(self) -> nn.Module:
        """The classifier."""
        return self.classifier.network

    def finish(self, generator: Generator) -> None:
        """Leaves the best encoder in the generator (without validation the last), free to move; the head is dropped."""
        if self.best.weights:
            restore_network(generator, "generator", self.best.weights)
        generator.requires_grad_(True)

    def checkpoint(self, step: int) -> Checkpoint:
        """The state after `step` steps."""
        tensors = network_tensors("classifier", bare(self.classifier.network))
        return Checkpoint(self.phase, step, tensors | optimiser_tensors("optimiser", self.classifier.optimiser))

    def restore(self, checkpoint: Checkpoint) -> None:
        """Goes back to a checkpoint's state."""
        restore_network(bare(self.classifier.network), "classifier", checkpoint.tensors)
        restore_optimiser(self.classifier.optimiser, "optimiser", checkpoint.tensors)

    def refuse_large_batch(self, bands: int, size: int) -> None:
        """InputError where the batch, of tiles of this size, does not fit into memory; leaves no trace."""

        def learn_from(bands: Tensor) -> None:
            self.learn_from(bands, torch.zeros(len(bands), self.classes, device=bands.device))

        networks = [self.classifier.network]
        with without_trace(self):
            refuse_large_batch("pretrain.batch", self.batch, learn_from, networks, bands, size, self.fabric)


def pretrain(
    generator: Generator,
    tiles: LabelledTiles,
    held_out: LabelledTiles | None,
    settings: PretrainSettings,
    fabric: Fabric,
    checkpoints: Path,
    log: Log,
    seed: int,
    class_names: Sequence[str],
    hooks: Hooks,
    minutes: float,
) -> None:
    """Trains the encoder of `generator` in place; the best one on the held-out tiles is kept, the head dropped.

    A checkpoint is written every so many minutes, and at every look at the held-out tiles.
    """
    pretraining = Pretraining(generator, len(class_names), settings, fabric, seed)
    size = tiles.bank.settings.size
    pretraining.refuse_large_batch(tiles.bank.tiles(tiles.boxes[:1], size).shape[1], size)
    if held_out is not None:
        hooks = replace(hooks, validate=_look_at(held_out, settings.batch, fabric, class_names))
    learn(pretraining, lambda step: pretraining.step(tiles, seed, step), checkpoints, log, hooks, minutes)
    pretraining.finish(generator)


def _look_at(
    tiles: LabelledTiles, batch: int, fabric: Fabric, names: Sequence[str]
) -> Callable[[nn.Module], dict[str, Any]]:
    """Scores a classifier on tiles that the processes share out."""

    def look(network: nn.Module) -> dict[str, Any]:
        found = torch.zeros(tiles.shown.shape, device=fabric.device)
        mine = slice(fabric.global_rank, None, fabric.world_size)
        found[mine] = shares(network, replace(tiles, boxes=tiles.boxes[mine], shown=tiles.shown[mine]), batch)
        return tile_scores(over_all(found, fabric, "sum").cpu().numpy(), tiles.shown, names)

    return look


@torch.no_grad()
def shares(network: nn.Module, tiles: LabelledTiles, batch: int) -> Float[Tensor, "tiles classes"]:
    """Probability that each tile shows each class; tiles whole, not turned, not recoloured."""
    network.eval()
    size = tiles.bank.settings.size
    found = [torch.zeros(0, tiles.shown.shape[1], device=tiles.bank.device)]
    for first in range(0, len(tiles), batch):
        bands = tiles.bank.tiles(tiles.boxes[first : first + batch], size)
        found.append(network(bands).float().sigmoid())
    return torch.cat(found)


def tile_scores(
    probability: Float[np.ndarray, "tiles classes"], shown: Bool[np.ndarray, "tiles classes"], names: Sequence[str]
) -> dict[str, Any]:
    """Mean average precision and F1 (at probability 0.5) over classes that some but not all tiles show."""
    told_apart = [k for k in range(len(names)) if 0 < shown[:, k].sum() < len(shown)]
    precision = {names[k]: average_precision(probability[:, k], shown[:, k]) for k in told_apart}
    return {
        "mean_average_precision": float(np.mean(list(precision.values()))) if precision else None,
        "average_precision": precision,
        "f1": {names[k]: _f1(probability[:, k] > 0.5, shown[:, k]) for k in told_apart},
    }


def average_precision(score: Float[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    """Area under the precision-recall steps; equal scores count as one step. Needs at least one true."""
    order = np.argsort(-score, kind="stable")
    hits, last = np.cumsum(truth[order]), np.flatnonzero(np.diff(score[order], append=-np.inf))
    precision = hits[last] / (last + 1)
    recall = np.diff(hits[last] / hits[-1], prepend=0.0)
    return float((precision * recall).sum())


def _f1(predicted: Bool[np.ndarray, " n"], truth: Bool[np.ndarray, " n"]) -> float:
    hits = (predicted & truth).sum()
    return float(2 * hits / max(1, predicted.sum() + truth.sum()))
