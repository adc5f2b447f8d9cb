"""The recipes and their kernels in PyTorch, as fast as it runs them: what the benchmark and the tests compare with.

Imported by `minigan.bench --against torch` and by tests; the library itself never needs PyTorch.
The networks have the same state_dict keys as ours. PyTorch's convolutions pad alike on both sides;
the two Same classes do what Keras 'same' does for kernel 5, stride 2: 1 before and 2 after.
"""

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


def make_step(name, batch_size, channels_last, threads, compiled=False):
    """A function of no arguments that takes one training step of the recipe on random batches of MNIST.

    torch.autograd.grad with named inputs prunes as ours does: the generator's step forms no weight
    gradients of the discriminator. Adam is PyTorch's fused one. compiled: by torch.compile.
    """
    torch.set_num_threads(threads)
    recipe = recipes.RECIPES[name]
    images = data.load_images("mnist", recipe.splits)
    networks = generator, discriminator = _prepared(NETWORKS[name](), channels_last, compiled)
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


def make_generation(name, batch_size, channels_last, threads, compiled=False):
    """A function of no arguments that draws a batch of images from the recipe's generator in eval mode."""
    torch.set_num_threads(threads)
    (generator,) = _prepared([NETWORKS[name]()[0].eval()], channels_last, compiled)
    latents = torch.randn(batch_size, *recipes.RECIPES[name].latent_shape)

    def draw():
        with torch.inference_mode():
            generator(latents)

    return draw


def _prepared(networks, channels_last, compiled):
    if channels_last:
        for network in networks:
            network.to(memory_format=torch.channels_last)
    if compiled:
        torch._functorch.config.donated_buffer = False  # or one forward pass could not give both gradients
        torch._dynamo.config.recompile_limit = 64  # both networks are Sequentials, one function for all their variants
        return [torch.compile(network) for network in networks]
    return networks


def make_kernel(kernel, arguments, channels_last):
    """A function of no arguments that does in PyTorch what minigan's kernel, one of KERNELS, does to these arrays."""
    function = KERNELS[kernel](*as_tensors(arguments, channels_last))

    def call():
        with torch.inference_mode():
            function()

    return call


def as_tensors(arguments, channels_last):
    """The arguments of a kernel of ours, arrays copied to tensors, images and weights in the memory layout asked for."""
    tensors = [torch.from_numpy(a.copy()) if hasattr(a, "dtype") and a.ndim else a for a in arguments]
    if not channels_last:
        return tensors
    is_image = [isinstance(t, torch.Tensor) and t.ndim == 4 for t in tensors]
    return [t.contiguous(memory_format=torch.channels_last) if image else t for t, image in zip(tensors, is_image)]


def _conv2d(x, weight, stride, padding, dilation, _out):
    if x.shape[2:] == weight.shape[2:] == (1, 1):
        return lambda: F.linear(x[:, :, 0, 0], weight[:, :, 0, 0])
    if _is_even(padding):
        return lambda: F.conv2d(x, weight, None, stride, padding[::2][::-1], dilation)
    return lambda: F.conv2d(F.pad(x, padding), weight, None, stride, 0, dilation)


def _conv_transpose2d(y, weight, stride, padding, dilation, out):
    if y.shape[2:] == weight.shape[2:] == (1, 1):
        return lambda: y[:, :, 0, 0] @ weight[:, :, 0, 0]
    begin, size = padding[::2][::-1], out.shape[2:]
    full = [
        (y.shape[2 + a] - 1) * stride[a] - 2 * begin[a] + dilation[a] * (weight.shape[2 + a] - 1) + 1 for a in (0, 1)
    ]
    more = [max(0, n - m) for n, m in zip(size, full)]
    if any(n < m for n, m in zip(size, full)):
        return lambda: F.conv_transpose2d(y, weight, None, stride, begin, more, 1, dilation)[..., : size[0], : size[1]]
    return lambda: F.conv_transpose2d(y, weight, None, stride, begin, more, 1, dilation)


def _conv2d_weight(x, y, stride, padding, dilation, out):
    if x.shape[2:] == out.shape[2:] == (1, 1):
        return lambda: y[:, :, 0, 0].T @ x[:, :, 0, 0]
    backward, even, only_weight = torch.ops.aten.convolution_backward, _is_even(padding), [False, True, False]
    begin = padding[::2][::-1] if even else (0, 0)
    return lambda: backward(
        y, x if even else F.pad(x, padding), out, None, stride, begin, dilation, False, [0, 0], 1, only_weight
    )


def _is_even(padding):
    return padding[0] == padding[1] and padding[2] == padding[3]


def _batch_norm(x, weight, bias, eps, slope, _mean, _var, _out):
    def normalise():
        out = F.batch_norm(x, None, None, weight, bias, True, 0.1, eps)
        return out if slope == 1 else F.leaky_relu_(out, slope)

    return normalise


def _batch_norm_backward(g, x, y, weight, eps, slope, mean, var, *_outs):
    inverse_std = (var + eps).rsqrt()

    def gradients():
        inner = g if slope == 1 else torch.ops.aten.leaky_relu_backward(g, y, slope, True)
        return torch.ops.aten.native_batch_norm_backward(
            inner, x, weight, None, None, mean, inverse_std, True, eps, [True, True, True]
        )

    return gradients


# For each kernel of ours, a function of its arguments that returns one of none, which computes the same.
KERNELS = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "conv2d_weight": _conv2d_weight,
    "batch_norm": _batch_norm,
    "batch_norm_backward": _batch_norm_backward,
    "leaky_relu": lambda x, slope, _out: lambda: F.leaky_relu_(x, slope),
    "leaky_relu_backward": lambda g, x, slope, _out: lambda: torch.ops.aten.leaky_relu_backward(g, x, slope, True),
    "dropout": lambda x, p, *_: lambda: F.dropout(x, p),
    "dropout_backward": lambda g, mask, _out: lambda: g * mask,
    "tanh": lambda x, _out: lambda: torch.tanh(x),
    "tanh_backward": lambda g, y, _out: lambda: torch.ops.aten.tanh_backward(g, y),
    "sigmoid": lambda x, _out: lambda: torch.sigmoid(x),
    "normal": lambda *arguments: lambda: torch.randn(arguments[-1].shape),
}
