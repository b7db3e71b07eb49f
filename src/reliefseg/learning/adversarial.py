"""One step of adversarial training: U²-Net is pix2pix's generator, PatchGAN its discriminator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from reliefseg.learning.losses import judged, l1_loss, masked, one_hot, probabilities, supervised_loss
from reliefseg.learning.settings import LossSettings
from reliefseg.networks import U2NetOutput
from reliefseg.raster import IGNORE_INDEX
from reliefseg.tiles import TileBatch


@dataclass(frozen=True)
class Player:
    """A network with its optimiser, the largest norm of its gradient (0: any), and who computes gradients.

    Within `alone(network)` several processes do not average the network's gradients.
    """

    network: nn.Module
    optimiser: torch.optim.Optimizer
    clip: float = 0.0
    backward: Callable[[Tensor], object] = Tensor.backward
    alone: Callable[[nn.Module], AbstractContextManager[object]] = nullcontext

    def learn(self, loss: Float[Tensor, ""]) -> None:
        """One step downhill."""
        self.optimiser.zero_grad(set_to_none=True)
        self.backward(loss)
        if self.clip:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.clip)
        self.optimiser.step()


def training_step(
    generator: Player,
    discriminator: Player | None,
    batch: TileBatch,
    weights: LossSettings,
    share: float | Tensor = 1.0,
) -> dict[str, Tensor]:
    """One step on one batch; returns the losses as they were before it.

    The generator runs once. The discriminator learns on real and on detached fake, in separate batches; then the
    generator learns against the frozen discriminator. Ignored pixels count nowhere. Without a discriminator it is
    plain supervised training. `share` weighs the means over valid pixels where the batch is but a part of a larger one.
    Source: Isola et al. 2017, eqs. 1 to 4.
    """
    output: U2NetOutput = generator.network(batch.bands)
    losses = supervised_losses(output, batch.labels, weights)
    real = one_hot(batch.labels, output.fused.shape[1])
    if weights.l1 or discriminator is not None:
        fake = masked(probabilities(output.fused, weights.kind), batch.labels != IGNORE_INDEX)
    if weights.l1:
        losses["l1"] = l1_loss(fake, real, batch.labels)
    losses = {name: share * loss for name, loss in losses.items()}
    judgement = {}
    if discriminator is not None:
        judgement = discriminator_step(discriminator, batch.bands, real, fake.detach())
        losses["adversarial"] = generator_judgement(discriminator, batch.bands, fake)
    loss = total_loss(losses, weights)
    generator.learn(loss)
    return {"loss": loss.detach(), **{k: v.detach() for k, v in losses.items()}, **judgement}


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


def discriminator_step(
    discriminator: Player, bands: Tensor, real: Tensor, fake: Tensor
) -> dict[str, Float[Tensor, ""]]:
    """The discriminator learns to tell real from fake class maps; its loss is halved.

    Source: Isola et al. 2017, section 3.3.
    """
    on_real = discriminator.network(bands, real)
    on_fake = discriminator.network(bands, fake)
    loss = 0.5 * (judged(on_real, real=True) + judged(on_fake, real=False))
    discriminator.learn(loss)
    return {
        "discriminator": loss.detach(),
        "accuracy_real": (on_real.detach() > 0).float().mean(),
        "accuracy_fake": (on_fake.detach() < 0).float().mean(),
    }


def generator_judgement(discriminator: Player, bands: Tensor, fake: Tensor) -> Float[Tensor, ""]:
    """How far the discriminator is from taking fake for real; its own weights get no gradient."""
    network = discriminator.network.requires_grad_(False)
    with discriminator.alone(network):
        loss = judged(network(bands, fake), real=True)
    network.requires_grad_(True)
    return loss
