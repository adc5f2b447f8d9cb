"""The recipes in PyTorch, as fast as it runs them: what the benchmark and the tests compare with.

Imported by `minigan.bench --against torch` and by tests; the library itself never needs PyTorch.
The networks have the same state_dict keys as ours. PyTorch's convolutions pad alike on both sides;
the two Same classes do what Keras 'same' does for kernel 5, stride 2: 1 before and 2 after.
"""

import torch
from torch import nn
from torch.nn import functional as F

from minigan import recipes


class SameConv2d(nn.Conv2d):
    """Conv2d(kernel 5, stride 2) of the input padded by (left, right, top, bottom) = (1, 2, 1, 2)."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 5, 2, 0)

    def forward(self, x):
        return super().forward(F.pad(x, (1, 2, 1, 2)))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """The adjoint of SameConv2d: padding 1 all around, and one more row and column cut off the end."""

    def __init__(self, in_channels, out_channels):
        super().__init__(in_channels, out_channels, 5, 2, 1, bias=False)

    def forward(self, y):
        return super().forward(y)[..., :-1, :-1]


def chaudhary2024():
    """(generator, discriminator), with PyTorch's own initial values."""
    n = 28
    generator = nn.Sequential(
        nn.ConvTranspose2d(100, 4 * n, 4, 1, 0, bias=False),
        nn.BatchNorm2d(4 * n),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(4 * n, 2 * n, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * n),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(2 * n, n, 4, 2, 2, bias=False),
        nn.BatchNorm2d(n),
        nn.ReLU(inplace=True),
        nn.ConvTranspose2d(n, 1, 4, 2, 1, bias=False),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        nn.Conv2d(1, n, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(n, 2 * n, 4, 2, 2, bias=False),
        nn.BatchNorm2d(2 * n),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(2 * n, 4 * n, 4, 2, 1, bias=False),
        nn.BatchNorm2d(4 * n),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(4 * n, 1, 4, 1, 0, bias=False),
        nn.Sigmoid(),
    )
    return generator, discriminator


def jeganathan2025():
    """(generator, discriminator), with PyTorch's own initial values."""
    keras = {"eps": 1e-3, "momentum": 0.01}
    generator = nn.Sequential(
        nn.Linear(100, 256 * 7 * 7, bias=False),
        nn.BatchNorm1d(256 * 7 * 7, **keras),
        nn.LeakyReLU(0.3, inplace=True),
        nn.Unflatten(1, (256, 7, 7)),
        nn.ConvTranspose2d(256, 128, 5, 1, 2, bias=False),
        nn.BatchNorm2d(128, **keras),
        nn.LeakyReLU(0.3, inplace=True),
        SameConvTranspose2d(128, 64),
        nn.BatchNorm2d(64, **keras),
        nn.LeakyReLU(0.3, inplace=True),
        SameConvTranspose2d(64, 1),
        nn.Tanh(),
    )
    discriminator = nn.Sequential(
        SameConv2d(1, 64),
        nn.LeakyReLU(0.3, inplace=True),
        nn.Dropout(0.3),
        SameConv2d(64, 128),
        nn.LeakyReLU(0.3, inplace=True),
        nn.Dropout(0.3),
        nn.Flatten(),
        nn.Linear(128 * 7 * 7, 1),
    )
    return generator, discriminator


NETWORKS = {"chaudhary2024": chaudhary2024, "jeganathan2025": jeganathan2025}


def make_step(name, images, batch_size, channels_last, threads):
    """A function of no arguments that takes one training step of the recipe; real batches are random.

    images: uint8 (N, 28, 28). torch.autograd.grad with named inputs prunes as ours does: the
    generator's step forms no weight gradients of the discriminator. Adam is PyTorch's fused one.
    """
    torch.set_num_threads(threads)
    recipe = recipes.RECIPES[name]
    networks = generator, discriminator = NETWORKS[name]()
    if channels_last:
        for network in networks:
            network.to(memory_format=torch.channels_last)
    betas, eps = recipe.adam["betas"], recipe.adam["eps"]
    optimizers = [
        torch.optim.Adam(network.parameters(), lr, betas, eps, fused=True)
        for network, lr in zip(networks, (recipe.lr_g, recipe.lr_d))
    ]
    parameters = [list(network.parameters()) for network in networks]
    pixels = torch.from_numpy(images)[:, None]
    criterion = nn.BCEWithLogitsLoss() if recipe.returns_logits else nn.BCELoss()
    shape = (batch_size, 1) if recipe.returns_logits else (batch_size, 1, 1, 1)
    ones, zeros = torch.ones(shape), torch.zeros(shape)

    def update(player, loss, keep_graph=False):
        grads = torch.autograd.grad(loss, parameters[player], retain_graph=keep_graph)
        for parameter, g in zip(parameters[player], grads):
            parameter.grad = g

    def step():
        chosen = torch.randint(len(pixels), (batch_size,))
        real = (pixels[chosen].float() - 127.5) / 127.5
        if channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        fake = generator(torch.randn(batch_size, *recipe.latent_shape))
        if recipe.simultaneous:
            d_fake = discriminator(fake)
            loss_d = criterion(discriminator(real), ones) + criterion(d_fake, zeros)
            update(0, criterion(d_fake, ones), keep_graph=True)
            update(1, loss_d)
            optimizers[0].step()
            optimizers[1].step()
        else:
            loss_d = criterion(discriminator(real), ones) + criterion(discriminator(fake.detach()), zeros)
            update(1, loss_d)
            optimizers[1].step()
            update(0, criterion(discriminator(fake), ones))
            optimizers[0].step()
        return loss_d.item()

    return step


def make_generation(name, batch_size, channels_last, threads):
    """A function of no arguments that draws a batch of images from the recipe's generator in eval mode."""
    torch.set_num_threads(threads)
    generator = NETWORKS[name]()[0].eval()
    if channels_last:
        generator.to(memory_format=torch.channels_last)
    latents = torch.randn(batch_size, *recipes.RECIPES[name].latent_shape)

    def draw():
        with torch.inference_mode():
            generator(latents)

    return draw
