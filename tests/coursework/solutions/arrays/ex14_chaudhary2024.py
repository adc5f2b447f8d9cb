from minigan.tensor import grad


def descend(loss, network, optimizer):
    optimizer.step(grad(loss, list(network.parameters())))
    return loss.item()


def discriminator_step(discriminator, optimizer, real, fake):
    loss = -discriminator(real).log().mean() - (1 - discriminator(fake)).log().mean()
    return descend(loss, discriminator, optimizer)


def generator_step(generator, discriminator, optimizer, fake):
    loss = -discriminator(fake).log().mean()
    return descend(loss, generator, optimizer)


def training_step(generator, discriminator, optimizer_g, optimizer_d, real, latents):
    *early, last = (generator(z) for z in latents)
    for fake in early:
        discriminator_step(discriminator, optimizer_d, real, fake)
    loss_d = discriminator_step(discriminator, optimizer_d, real, last)
    return loss_d, generator_step(generator, discriminator, optimizer_g, last)
