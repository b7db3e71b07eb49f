"""Weak pretraining: the encoder learns to say which classes a tile shows. Tile labels cost seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from reliefseg.hardware import placed
from reliefseg.learning.checkpoint import (
    Checkpoint,
    network_tensors,
    newest_checkpoint,
    optimiser_tensors,
    restore_network,
    restore_optimiser,
    save_checkpoint,
)
from reliefseg.learning.optimiser import build_optimiser, rate_factor, set_rate
from reliefseg.learning.run_folder import RunLog
from reliefseg.learning.settings import PretrainSettings
from reliefseg.networks import TileHead, U2Net
from reliefseg.tiles import Boxes, SceneBank, Stream, jittered, oversampling, turned, uniforms

PHASE = "pretrain"


@dataclass(frozen=True)
class LabelledTiles:
    """Windows in a bank's scenes and the classes each shows."""

    bank: SceneBank
    boxes: Boxes
    shown: Bool[np.ndarray, "tiles classes"]

    def __len__(self) -> int:
        return len(self.boxes)


class TileClassifier(nn.Module):
    """U²-Net's encoder with the tile head on its deepest map."""

    def __init__(self, generator: U2Net, classes: int):
        super().__init__()
        self.generator = generator
        self.head = TileHead(generator.deepest_channels, classes)

    def forward(self, bands: Float[Tensor, "n bands h w"]) -> Float[Tensor, "n classes"]:
        """Logits, one a class: does the tile show it?"""
        return self.head(self.generator.encode(bands)[-1])

    def encoder_parameters(self) -> list[nn.Parameter]:
        """What pretraining moves: the encoder's and the head's weights."""
        return [p for n, p in self.named_parameters() if n.startswith(("head.", "generator.encoder."))]


def labelled_batch(tiles: LabelledTiles, seed: int, step: int, batch: int) -> tuple[Tensor, Tensor]:
    """The tiles of one step and what they show: an order drawn anew each epoch, whole windows, turned, recoloured."""
    chosen = _tile_order(len(tiles), seed, step, batch)
    boxes = turned(tiles.boxes[chosen], seed, step)
    size = tiles.bank.settings.size
    largest = float(tiles.boxes.height.max(initial=1)) / size
    bands = tiles.bank.tiles(boxes, size, oversample=oversampling(largest))
    bands = jittered(bands, tiles.bank.settings.jitter, tiles.bank.image_bands, seed, step)
    return bands, torch.from_numpy(tiles.shown[chosen]).float().to(bands.device)


def _tile_order(tiles: int, seed: int, step: int, batch: int) -> np.ndarray:
    places = np.arange(step * batch, (step + 1) * batch)
    orders = {e: np.argsort(uniforms(seed, Stream.TILE_ORDER, int(e), tiles, 1)[:, 0]) for e in set(places // tiles)}
    return np.array([orders[p // tiles][p % tiles] for p in places])


def pretrain(
    generator: U2Net,
    tiles: LabelledTiles,
    held_out: LabelledTiles | None,
    settings: PretrainSettings,
    fabric: Fabric,
    checkpoints: Path,
    log: RunLog,
    seed: int,
    class_names: Sequence[str],
    progress: Callable[[int, int], None] = lambda step, steps: None,
) -> None:
    """Trains the encoder of `generator` in place; the best one on the held-out tiles is kept, the head dropped."""
    with torch.random.fork_rng():
        torch.manual_seed(seed + 2)
        classifier = TileClassifier(generator, len(class_names))
    classifier = placed(classifier, fabric.device)
    optimiser = build_optimiser(classifier.encoder_parameters(), settings.optimiser)
    network, optimiser = fabric.setup(classifier, optimiser)
    best, best_score, start = {}, -1.0, 0
    saved = newest_checkpoint(checkpoints, PHASE)
    if saved:
        restore_network(classifier, "classifier", saved.tensors)
        restore_optimiser(optimiser, "optimiser", saved.tensors)
        best = {k.removeprefix("best."): v for k, v in saved.tensors.items() if k.startswith("best.")}
        start, best_score = saved.step, saved.values["best_score"]
        log.cut_back(PHASE, start)
    looked_at = {round(settings.steps * (i + 1) / settings.validations) for i in range(settings.validations)}
    for step in range(start, settings.steps):
        began = time.monotonic()
        set_rate(optimiser, settings.optimiser.lr, rate_factor(settings.optimiser, step, settings.steps))
        bands, shown = labelled_batch(tiles, seed, step, settings.batch)
        network.train()
        loss = F.binary_cross_entropy_with_logits(network(bands).float(), shown)
        optimiser.zero_grad(set_to_none=True)
        fabric.backward(loss)
        if settings.optimiser.clip:
            nn.utils.clip_grad_norm_(classifier.encoder_parameters(), settings.optimiser.clip)
        optimiser.step()
        done = step + 1
        progress(done, settings.steps)
        if done % max(1, settings.steps // 100) == 0:
            rate = settings.batch / (time.monotonic() - began)
            log.write(PHASE, "step", step=done, loss=round(loss.item(), 6), images_per_second=round(rate, 3))
        if done not in looked_at:
            continue
        if held_out is not None and len(held_out):
            scores = tile_scores(shares(network, held_out, settings.batch), held_out.shown, class_names)
            is_best = (scores["mean_average_precision"] or 0.0) > best_score
            log.write(PHASE, "validation", step=done, **scores, best=is_best)
            if is_best:
                best_score = scores["mean_average_precision"] or 0.0
                best = {k: v.detach().clone() for k, v in generator.state_dict().items()}
        tensors = network_tensors("classifier", classifier) | optimiser_tensors("optimiser", optimiser)
        tensors |= {f"best.{name}": value for name, value in best.items()}
        save_checkpoint(checkpoints, Checkpoint(PHASE, done, tensors, {"best_score": best_score}))
    if best:
        generator.load_state_dict(best)


@torch.no_grad()
def shares(network: nn.Module, tiles: LabelledTiles, batch: int) -> Float[np.ndarray, "tiles classes"]:
    """Probability that each tile shows each class; tiles whole, not turned, not recoloured."""
    network.eval()
    size = tiles.bank.settings.size
    largest = float(tiles.boxes.height.max(initial=1)) / size
    found = []
    for first in range(0, len(tiles), batch):
        bands = tiles.bank.tiles(tiles.boxes[first : first + batch], size, oversample=oversampling(largest))
        found.append(network(bands).float().sigmoid().cpu().numpy())
    return np.concatenate(found)


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
