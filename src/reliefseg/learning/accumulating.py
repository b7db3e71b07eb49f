"""A step on a large batch that comes in parts, of which one at a time is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor

from reliefseg.learning.adversarial import (
    Player,
    discriminator_loss,
    fakes,
    generator_judgement,
    generator_losses,
    total_loss,
    training_step,
)
from reliefseg.learning.lessons import Lesson
from reliefseg.learning.losses import one_hot
from reliefseg.learning.settings import LossSettings
from reliefseg.networks import without_moments
from reliefseg.tiles import TileBatch


def accumulated_step(
    generator: Player,
    discriminator: Player | None,
    batches: Sequence[TileBatch],
    weights: LossSettings,
    shares: Sequence[float | Tensor],
    lessons: Sequence[Lesson | None],
) -> dict[str, Tensor]:
    """`training_step` on all these batches as on one, but that batch norm sees each by itself.

    `shares` are each batch's valid pixels as a share of all; each has its lesson, or none. The discriminator has learnt
    from all batches before the generator does: where there is one and several batches, the generator runs on each once
    more to make fakes.
    """
    if len(batches) == 1:
        return training_step(generator, discriminator, batches[0], weights, shares[0], lessons[0])
    report: dict[str, Tensor] = {}
    if discriminator is not None:
        discriminator.learn_from(_discriminator_losses(generator, discriminator, batches, weights, report))
    generator.learn_from(_generator_losses(generator, discriminator, batches, weights, shares, lessons, report))
    return report


def _discriminator_losses(
    generator: Player,
    discriminator: Player,
    batches: Sequence[TileBatch],
    weights: LossSettings,
    report: dict[str, Tensor],
) -> Iterator[Float[Tensor, ""]]:
    for batch, together in zip(batches, _last_together(discriminator, len(batches)), strict=True):
        with torch.no_grad(), without_moments(generator.network):
            output = generator.network(batch.bands)
            real, fake = one_hot(batch.labels, output.fused.shape[1]), fakes(output, batch, weights)
        with together:
            loss, accuracy = discriminator_loss(discriminator, batch.bands, real, fake)
            each = {"discriminator": loss, **accuracy}
            _add(report, {name: value / len(batches) for name, value in each.items()})
            yield loss / len(batches)


def _generator_losses(
    generator: Player,
    discriminator: Player | None,
    batches: Sequence[TileBatch],
    weights: LossSettings,
    shares: Sequence[float | Tensor],
    lessons: Sequence[Lesson | None],
    report: dict[str, Tensor],
) -> Iterator[Float[Tensor, ""]]:
    parts = zip(batches, shares, lessons, _last_together(generator, len(batches)), strict=True)
    for batch, share, lesson, together in parts:
        with together:
            losses, _, fake = generator_losses(generator.network, batch, weights, share, lesson)
            if discriminator is not None:
                losses["adversarial"] = generator_judgement(discriminator, batch.bands, fake) / len(batches)
            loss = total_loss(losses, weights)
            _add(report, {"loss": loss, **losses})
            yield loss


def _last_together(player: Player, count: int) -> Iterator[AbstractContextManager[object]]:
    """Several processes average gradients with the last batch alone."""
    for i in range(count):
        yield nullcontext() if i == count - 1 else player.alone(player.network)


def _add(report: dict[str, Tensor], more: dict[str, Tensor]) -> None:
    for name, value in more.items():
        report[name] = report.get(name, torch.zeros_like(value.detach())) + value.detach()
