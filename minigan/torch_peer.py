"""The recipes in PyTorch, as fast as it runs them: what the benchmark and the tests compare with.

Imported by `minigan.bench --against torch` and by tests; the library itself never needs PyTorch.
Its kernels one by one are in `torch_kernels.py`, CUDA graphs in `torch_gpu.py`, whole trainings in `torch_training.py`.
The networks have the same state_dict keys as ours. PyTorch's convolutions pad alike on both sides; the two Same classes do what Keras 'same' does for kernel 5, stride 2: 1 before and 2 after.
"""

import contextlib

import torch
from torch import nn
from torch.nn import functional as F

from minigan import data, recipes


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


HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}  # the precisions that autocast computes in


def make_step(name, batch_size, channels_last, threads, compiled=False):
    """A function of no arguments that takes one training step of the recipe on random batches of MNIST, on the CPU.

    compiled: by torch.compile.
    """
    torch.set_num_threads(threads)
    step = training_step(name, batch_size, channels_last, "default" if compiled else None)
    return lambda: step().item()


def training_step(
    name, batch_size, channels_last=False, compiled=None, device="cpu", precision="float32", networks=None, choose=None
):
    """A function of no arguments that takes one training step and returns D's loss, a tensor it does not wait for.

    torch.autograd.grad with named inputs prunes as ours does: the generator's step forms no weight
    gradients of the discriminator. Adam is PyTorch's fused one. The images lie on the device, and batches
    are drawn and gathered there.
    compiled: None, or a mode of torch.compile for the networks. precision: "bf16" and "fp16" are autocast's, the
    latter with its loss scaling; whether float32 may be TF32 is a setting of the whole process (see torch_gpu.py).
    networks: (generator, discriminator), by default new ones. choose: a function that returns the indices of the next
    batch's images, a tensor on the device; by default random ones.
    """
    recipe = recipes.RECIPES[name]
    networks = generator, discriminator = _prepared(networks or NETWORKS[name](), channels_last, compiled, device)
    betas, eps = recipe.adam["betas"], recipe.adam["eps"]
    optimizers = [
        torch.optim.Adam(network.parameters(), lr, betas, eps, fused=True, capturable=device == "cuda")
        for network, lr in zip(networks, (recipe.lr_g, recipe.lr_d))
    ]
    parameters = [list(network.parameters()) for network in networks]
    pixels = torch.from_numpy(data.load_images("mnist", recipe.splits))[:, None].to(device)
    criterion = nn.BCEWithLogitsLoss() if recipe.returns_logits else nn.BCELoss()
    shape = (batch_size, 1) if recipe.returns_logits else (batch_size, 1, 1, 1)
    ones, zeros = torch.ones(shape, device=device), torch.zeros(shape, device=device)
    scaler = torch.amp.GradScaler(device, enabled=precision == "fp16")
    choose = choose or (lambda: torch.randint(len(pixels), (batch_size,), device=device))

    def loss(output, target):
        return criterion(output.float(), target)  # BCELoss refuses half precision

    def update(player, loss, keep_graph=False):
        grads = torch.autograd.grad(scaler.scale(loss), parameters[player], retain_graph=keep_graph)
        for parameter, g in zip(parameters[player], grads):
            # The fused Adam wants both in one memory layout, which cuDNN does not promise.
            parameter.grad = g if g.stride() == parameter.stride() else torch.empty_like(parameter).copy_(g)

    def step():
        real = (pixels[choose()].float() - 127.5) / 127.5
        if channels_last:
            real = real.contiguous(memory_format=torch.channels_last)
        with _autocast(device, precision):
            fake = generator(torch.randn(batch_size, *recipe.latent_shape, device=device))
            d_real = discriminator(real)
            d_fake = discriminator(fake if recipe.simultaneous else fake.detach())
        loss_d = loss(d_real, ones) + loss(d_fake, zeros)
        if recipe.simultaneous:
            update(0, loss(d_fake, ones), keep_graph=True)
            update(1, loss_d)
            scaler.step(optimizers[0])
            scaler.step(optimizers[1])
        else:
            update(1, loss_d)
            scaler.step(optimizers[1])
            with _autocast(device, precision):
                d_fake = discriminator(fake)
            update(0, loss(d_fake, ones))
            scaler.step(optimizers[0])
        scaler.update()
        return loss_d.detach()

    return step


def make_generation(name, batch_size, channels_last, threads, compiled=False):
    """A function of no arguments that draws a batch of images from the recipe's generator in eval mode, on the CPU."""
    torch.set_num_threads(threads)
    return generation(name, batch_size, channels_last, "default" if compiled else None)


def generation(name, batch_size, channels_last=False, compiled=None, device="cpu", precision="float32"):
    """A function of no arguments that draws a batch of images in eval mode; arguments as for `training_step`."""
    (generator,) = _prepared([NETWORKS[name]()[0].eval()], channels_last, compiled, device)
    latents = torch.randn(batch_size, *recipes.RECIPES[name].latent_shape, device=device)

    def draw():
        with torch.inference_mode(), _autocast(device, precision):
            generator(latents)

    return draw


def _autocast(device, precision):
    return torch.autocast(device, HALF[precision]) if precision in HALF else contextlib.nullcontext()


def _prepared(networks, channels_last, compiled, device):
    for network in networks:
        network.to(device)
        if channels_last:
            network.to(memory_format=torch.channels_last)
    if not compiled:
        return networks
    from torch._dynamo import config as dynamo
    from torch._functorch import config as autograd
    from torch._inductor import config as inductor

    inductor.layout_optimization = False  # it expects other strides than cuDNN's gradients have
    autograd.donated_buffer = False  # or one forward pass could not give both gradients
    dynamo.recompile_limit = 64  # both networks are Sequentials, one function for all their variants
    # dynamic: or the second network, of other shapes, would be compiled for shapes of any size
    return [torch.compile(network, mode=compiled, dynamic=False) for network in networks]
