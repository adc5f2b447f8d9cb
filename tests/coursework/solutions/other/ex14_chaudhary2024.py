import numpy as np

from minigan.functions import binary_cross_entropy
from minigan.tensor import Tensor, concatenate, grad


def discriminator_step(discriminator, optimizer, real, fake):
    n, m = len(real), len(fake)
    both = discriminator(concatenate([real, fake.detach()]))
    labels = np.repeat([1.0, 0.0], [n, m]).reshape(both.shape)
    each = binary_cross_entropy(both, Tensor(labels), "none")
    loss = each[:n].mean() + each[n:].mean()
    optimizer.step(grad(loss, optimizer.params))
    return loss.item()


def generator_step(generator, discriminator, optimizer, fake):
    answers = discriminator(fake)
    generator.zero_grad()
    answers.log().mean().backward(Tensor(np.array(-1.0)))
    optimizer.step()
    return -np.log(answers.data).mean()


def training_step(generator, discriminator, optimizer_g, optimizer_d, real, latents):
    losses = []
    for z in latents:
        fake = generator(z)
        losses.append(discriminator_step(discriminator, optimizer_d, real, fake))
    losses.append(generator_step(generator, discriminator, optimizer_g, fake))
    return tuple(losses[-2:])
