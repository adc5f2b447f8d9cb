"""The game: losses of both players, and one step of each way to play it.

Goodfellow et al., "Generative Adversarial Nets" (2014): the discriminator D maximises
log D(x) + log(1 - D(G(z))); the generator G minimises log(1 - D(G(z))) (equation 1), or, the
non-saturating way of its section 3, maximises log D(G(z)).
"""

from dataclasses import dataclass

import numpy as np

from minigan import backend, data
from minigan.anomaly import located
from minigan.functions import batches_in_one
from minigan.nn import Module
from minigan.optim import LossScale, Optimizer
from minigan.tensor import Tensor, concatenate, grad, no_grad


@dataclass
class Players:
    """Two networks, their optimizers, and the rules. `criterion` is BCE of what D returns."""

    generator: Module
    discriminator: Module
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    criterion: Module
    loss: str = "nonsaturating"  # or "minimax"
    scale_g: LossScale | None = None  # for gradients in 16 bits
    scale_d: LossScale | None = None

    def gradients(self, loss, parameters, scale):
        """Those of the loss, multiplied by its scale where it has one."""
        return grad(loss, parameters, Tensor(scale.scale.reshape(loss.shape)) if scale else None)

    def update_d(self, grads):
        """Moves D against its gradients."""
        _update(self.optimizer_d, grads, self.scale_d)

    def update_g(self, grads):
        """Moves G against its gradients."""
        _update(self.optimizer_g, grads, self.scale_g)


def _update(optimizer, grads, scale):
    if scale:
        scale.step(optimizer, grads)
    else:
        optimizer.step(grads)


@dataclass
class Outcome:
    """What one step saw, as tensors: losses, and D's output for real and generated images."""

    loss_d: Tensor
    loss_g: Tensor
    d_real: Tensor
    d_fake: Tensor


@located("D's loss")
def discriminator_loss(criterion, d_real, d_fake):
    """-log D(x) - log(1 - D(G(z))), each averaged over its batch.

    d_real, d_fake: what D returned for real and generated images, (N, 1, 1, 1) or (N, 1).
    """
    return criterion(d_real, _labels(d_real, 1)) + criterion(d_fake, _labels(d_fake, 0))


@located("G's loss")
def generator_loss(criterion, d_fake, loss="nonsaturating"):
    """-log D(G(z)), or for loss="minimax" log(1 - D(G(z))), averaged over the batch.

    d_fake: as for `discriminator_loss`. Raises ValueError for any other loss.
    """
    if loss == "nonsaturating":
        return criterion(d_fake, _labels(d_fake, 1))
    if loss == "minimax":
        return -criterion(d_fake, _labels(d_fake, 0))
    raise ValueError(f'the loss {loss!r} is not known: use "nonsaturating" or "minimax"')


def alternating_step(players, real, latents):
    """D's step, then G's through the updated D. G runs once: the same fake batch serves both.

    real: images (N, 1, 28, 28). latents: Tensors of N latents; each but the last is spent on an
    update of D alone, on the same real images.
    """
    p = players
    d_params, g_params = list(p.discriminator.parameters()), list(p.generator.parameters())
    *spent, z = latents
    for extra in spent:
        with no_grad():
            fake = p.generator(extra)
        _discriminator_step(p, d_params, real, fake)
    fake = p.generator(z)
    loss_d, d_real, d_fake = _discriminator_step(p, d_params, real, fake)
    loss_g = generator_loss(p.criterion, p.discriminator(fake), p.loss)
    p.update_g(p.gradients(loss_g, g_params, p.scale_g))
    return Outcome(loss_d, loss_g, d_real, d_fake)


def _discriminator_step(players, params, real, fake):
    d_real, d_fake = _see_both(players.discriminator, real, fake.detach())
    loss = discriminator_loss(players.criterion, d_real, d_fake)
    players.update_d(players.gradients(loss, params, players.scale_d))
    return loss, d_real, d_fake


def simultaneous_step(players, real, latents):
    """One forward pass gives both losses; both gradients are taken before either network moves.

    Arguments as in `alternating_step`; extra latents are spent on updates of D alone, first.
    """
    p = players
    d_params, g_params = list(p.discriminator.parameters()), list(p.generator.parameters())
    *spent, z = latents
    for extra in spent:
        with no_grad():
            fake = p.generator(extra)
        loss_d = discriminator_loss(p.criterion, p.discriminator(real), p.discriminator(fake))
        p.update_d(p.gradients(loss_d, d_params, p.scale_d))
    fake = p.generator(z)
    d_real, d_fake = p.discriminator(real), p.discriminator(fake)
    loss_g = generator_loss(p.criterion, d_fake, p.loss)
    loss_d = discriminator_loss(p.criterion, d_real, d_fake)
    grads_g, grads_d = p.gradients(loss_g, g_params, p.scale_g), p.gradients(loss_d, d_params, p.scale_d)
    p.update_g(grads_g)
    p.update_d(grads_d)
    return Outcome(loss_d, loss_g, d_real, d_fake)


def generate(generator, latents, device="cpu", batch_size=64):
    """Images of an array of latents: uint8 (N, 28, 28) on the CPU, in the generator's present mode.

    A generator in train mode sees all latents as one batch, whose statistics it normalises by.
    """
    size = len(latents) if generator.training else batch_size
    images = []
    with no_grad(), np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # weights may be of any size
        for start in range(0, len(latents), size):
            batch = Tensor(backend.to_device(latents[start : start + size], device))
            images.append(data.to_pixels(generator(batch).numpy()[:, 0]))
    return np.concatenate(images)


def _see_both(discriminator, real, fake):
    """(D(real), D(fake)) in one pass of D, which is faster than two."""
    with batches_in_one(2):
        both = discriminator(concatenate([real, fake]))
    return both[: len(real)], both[len(real) :]


def _labels(like, value):
    return Tensor(np.full_like(like.data, value))
