import numpy as np

from minigan.nn import BCELoss
from minigan.tensor import Tensor


def discriminator_step(discriminator, optimizer, real, fake):
    bce = BCELoss()
    on_real = discriminator(real)
    on_fake = discriminator(fake.detach())
    loss = bce(on_real, Tensor(np.ones(on_real.shape))) + bce(on_fake, Tensor(np.zeros(on_fake.shape)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def generator_step(generator, discriminator, optimizer, fake):
    bce = BCELoss()
    answers = discriminator(fake)
    loss = bce(answers, Tensor(np.ones(answers.shape)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def training_step(generator, discriminator, optimizer_g, optimizer_d, real, latents):
    for z in latents:
        fake = generator(z)
        loss_d = discriminator_step(discriminator, optimizer_d, real, fake)
    loss_g = generator_step(generator, discriminator, optimizer_g, fake)
    return loss_d, loss_g
