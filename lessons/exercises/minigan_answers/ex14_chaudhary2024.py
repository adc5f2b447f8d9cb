"""Exercise 14 by minigan."""

from minigan import gan, nn
from minigan.tensor import grad

CRITERION = nn.BCELoss()


def discriminator_step(discriminator, optimizer, real, fake):
    """The first half of `gan.alternating_step`."""
    loss = gan.discriminator_loss(CRITERION, discriminator(real), discriminator(fake.detach()))
    optimizer.step(grad(loss, list(discriminator.parameters())))
    return loss.item()


def generator_step(generator, discriminator, optimizer, fake):
    """The second half."""
    loss = gan.generator_loss(CRITERION, discriminator(fake))
    optimizer.step(grad(loss, list(generator.parameters())))
    return loss.item()


def training_step(generator, discriminator, optimizer_g, optimizer_d, real, latents):
    """`gan.alternating_step`."""
    players = gan.Players(generator, discriminator, optimizer_g, optimizer_d, CRITERION)
    outcome = gan.alternating_step(players, real, latents)
    return outcome.loss_d.item(), outcome.loss_g.item()
