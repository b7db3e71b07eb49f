"""One step of adversarial training: U²-Net is pix2pix's generator, PatchGAN its discriminator."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from reliefseg.learning.lessons import Lesson
from reliefseg.learning.losses import (
    judged,
    l1_loss,
    masked,
    one_hot,
    probabilities,
    shown_loss,
    supervised_loss,
    valid_pixels,
)
from reliefseg.learning.settings import LossSettings
from reliefseg.networks import U2NetOutput
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import TileBatch


@dataclass(frozen=True)
class Player:
    """A network with its optimiser, the largest norm of its gradient (0: any), and who computes gradients.

    Within `alone(network)` several processes do not average the network's gradients. `complete` is called once they are
    all there.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    clip: float = 0.0
    backward: Callable[[Tensor], object] = Tensor.backward
    alone: Callable[[nn.Module], AbstractContextManager[object]] = nullcontext
    complete: Callable[[], object] = lambda: None

    def learn(self, *losses: Float[Tensor, ""]) -> None:
        """One step downhill."""
        self.learn_from(losses)

    def learn_from(self, losses: Iterable[Float[Tensor, ""]]) -> None:
        """One step downhill on a sum of losses, each of which is computed and done with before the next."""
        self.optimiser.zero_grad(set_to_none=True)
        for loss in losses:
            self.backward(loss)
        self.complete()
        if self.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimiser.step()


def training_step(
    generator: Player,
    discriminator: Player | None,
    batch: TileBatch,
    weights: LossSettings,
    share: float | Tensor = 1.0,
    lesson: Lesson | None = None,
) -> dict[str, Tensor]:
    """One step on one batch; returns the losses as they were before it.

    The generator runs once. The discriminator learns on real and on detached fake, in separate batches; then the
    generator learns against the frozen discriminator. Ignored pixels count nowhere. Without a discriminator it is
    plain supervised training. A lesson's windows are learnt from beside the tiles and never judged. `share` weighs the
    means over valid pixels where the batch is but a part of a larger one.
    Source: Isola et al. 2017, eqs. 1 to 4.
    """
    losses, real, fake = generator_losses(generator.network, batch, weights, share, lesson)
    judgement = {}
    if discriminator is not None:
        loss, accuracy = discriminator_loss(discriminator, batch.bands, real, fake.detach())
        discriminator.learn(loss)
        judgement = {"discriminator": loss.detach(), **accuracy}
        losses["adversarial"] = generator_judgement(discriminator, batch.bands, fake)
    loss = total_loss(losses, weights)
    generator.learn(loss)
    return {"loss": loss.detach(), **{k: v.detach() for k, v in losses.items()}, **judgement}


def generator_losses(
    network: nn.Module, batch: TileBatch, weights: LossSettings, share: float | Tensor, lesson: Lesson | None
) -> tuple[dict[str, Float[Tensor, ""]], Float[Tensor, "n k h w"], Float[Tensor, "n k h w"]]:
    """All losses but the adversarial one; class maps as the discriminator sees them, real and fake."""
    output, on_lesson = _outputs(network, batch, lesson)
    losses = supervised_losses(output, batch.labels, weights)
    real = one_hot(batch.labels, output.fused.shape[1])
    fake = fakes(output, batch, weights)
    if weights.l1:
        losses["l1"] = l1_loss(fake, real, batch.labels)
    losses = {name: share * loss for name, loss in losses.items()}
    if lesson is not None and on_lesson is not None:
        losses |= lesson_losses(on_lesson, lesson, weights)
    return losses, real, fake


def _outputs(network: nn.Module, batch: TileBatch, lesson: Lesson | None) -> tuple[U2NetOutput, U2NetOutput | None]:
    """What the network makes of tiles and of a lesson's windows, which it sees as one batch."""
    if lesson is None:
        return network(batch.bands), None
    n = len(batch.bands)
    fused, sides = network(torch.cat([batch.bands, lesson.bands]))
    return U2NetOutput(fused[:n], tuple(s[:n] for s in sides)), U2NetOutput(fused[n:], tuple(s[n:] for s in sides))


def lesson_losses(output: U2NetOutput, lesson: Lesson, weights: LossSettings) -> dict[str, Float[Tensor, ""]]:
    """Supervised losses on the teacher's labels, as means over all pixels seen; and the loss on the tile labels."""
    found = {}
    if weights.taught:
        sure = valid_pixels(lesson.labels) / lesson.seen.sum().clamp(min=1)
        supervised = total_loss(supervised_losses(output, lesson.labels, weights), weights)
        found["taught"] = lesson.belief * sure * supervised
    if weights.shown:
        found["shown"] = shown_loss(output.fused, lesson.shown, lesson.seen, weights.kind)
    return {name: lesson.share * loss for name, loss in found.items()}


def fakes(output: U2NetOutput, batch: TileBatch, weights: LossSettings) -> Float[Tensor, "n k h w"]:
    """Probabilities as the discriminator sees them."""
    return masked(probabilities(output.fused, weights.kind), batch.labels != IGNORE_INDEX)


def supervised_losses(
    output: U2NetOutput, labels: UInt8[Tensor, "n h w"], weights: LossSettings
) -> dict[str, Float[Tensor, ""]]:
    """Supervised loss of the fused map and the sum over the six side outputs. Source: Qin et al. 2020, eq. 1."""
    losses = {"fused": supervised_loss(output.fused, labels, weights.kind)}
    if weights.sides and output.sides:
        sides = [supervised_loss(side, labels, weights.kind) for side in output.sides]
        losses["sides"] = torch.stack(sides).sum()
    return losses


def total_loss(losses: dict[str, Float[Tensor, ""]], weights: LossSettings) -> Float[Tensor, ""]:
    """The weighted sum."""
    return torch.stack([getattr(weights, part) * loss for part, loss in losses.items()]).sum()


def discriminator_loss(
    discriminator: Player, bands: Tensor, real: Tensor, fake: Tensor
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """How badly the discriminator tells real from fake class maps, halved; and how often it is right on either.

    Source: Isola et al. 2017, section 3.3.
    """
    on_real = discriminator.network(bands, real)
    on_fake = discriminator.network(bands, fake)
    accuracy = {
        "accuracy_real": (on_real.detach() > 0).float().mean(),
        "accuracy_fake": (on_fake.detach() < 0).float().mean(),
    }
    return 0.5 * (judged(on_real, real=True) + judged(on_fake, real=False)), accuracy


def generator_judgement(discriminator: Player, bands: Tensor, fake: Tensor) -> Float[Tensor, ""]:
    """How far the discriminator is from taking fake for real; its own weights get no gradient."""
    network = discriminator.network.requires_grad_(False)
    with discriminator.alone(network):
        loss = judged(network(bands, fake), real=True)
    network.requires_grad_(True)
    return loss
