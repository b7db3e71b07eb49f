"""Tile labels during training: the averaged network labels tile-labelled windows, and the generator learns from it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from reliefseg.learning.labelled_tiles import LabelledTiles, drawn, shown_by
from reliefseg.learning.losses import LossKind
from reliefseg.learning.settings import LessonSettings
from reliefseg.networks import Generator, shares_of_classes
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import jittered


class Lesson(NamedTuple):
    """Tile-labelled windows as the generator sees them, what the teacher says they are, and the classes they show.

    `seen` is where the windows have pixels, `belief` how far the teacher is believed by now, `share` what part of the
    step's windows these are.
    """

    bands: Float[Tensor, "n bands h w"]
    labels: UInt8[Tensor, "n h w"]
    shown: Bool[Tensor, "n classes"]
    seen: Bool[Tensor, "n h w"]
    belief: float
    share: float


@dataclass(frozen=True)
class Lessons:
    """Where lessons come from: windows, the averaged network as the teacher, and the precision it computes with.

    The teacher sees windows as they are, the generator in changed colours. Source: Tarvainen & Valpola, Mean teachers,
    NeurIPS 2017; Sohn et al., FixMatch, NeurIPS 2020 (hard labels, the sure ones alone; their strong changes of colour
    hurt here).
    """

    tiles: LabelledTiles
    teacher: Generator
    settings: LessonSettings
    kind: LossKind
    steps: int
    precision: Callable[[], AbstractContextManager[object]]

    def draw(self, seed: int, step: int, count: int, first: int, batch: int) -> Lesson:
        """Windows first … first + count − 1 of the `batch` of a step; pure in seed, step, index and the teacher."""
        bank, settings = self.tiles.bank, self.settings
        chosen, boxes = drawn(self.tiles, seed, step, count, first, batch)
        bands, shown = bank.tiles(boxes, bank.settings.size), shown_by(self.tiles, chosen)
        seen = (bank.labels(boxes, bank.settings.size) != IGNORE_INDEX) & shown.any(1)[:, None, None]
        labels = taught(self.teacher, bands, shown, settings.confidence, self.kind, self.precision)
        bands = jittered(bands, settings.jitter, bank.image_bands, seed, step, first)
        belief = min(1.0, step / (settings.rise * self.steps)) if settings.rise else 1.0
        return Lesson(bands, labels.where(seen, IGNORE_INDEX), shown, seen, belief, settings.batch / batch)


@torch.no_grad()
def taught(
    teacher: Generator,
    bands: Float[Tensor, "n bands h w"],
    shown: Bool[Tensor, "n k"],
    confidence: float,
    kind: LossKind,
    precision: Callable[[], AbstractContextManager[object]],
) -> UInt8[Tensor, "n h w"]:
    """The teacher's class of each pixel among those that the window shows; ignored where it is less than this sure."""
    with precision():
        logits = teacher.fused(bands)
    possible = shares_of_classes(logits, kind) * shown[:, :, None, None]
    highest, labels = possible.max(1)
    sure = (highest > 0) & (highest >= confidence * possible.sum(1))  # 0: the shares of all shown classes vanish
    return labels.to(torch.uint8).where(sure, IGNORE_INDEX)
