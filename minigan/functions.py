"""Functions of Tensors that layers are made of: activations, batch normalisation, dropout, losses.

Each fused op has a fast gradient on arrays, and a `reference` made of primitive ops that the engine
differentiates when gradients of gradients are wanted (see `FusedOp`).
"""

import contextlib
import math

import numpy as np

from minigan import backend
from minigan.errors import ShapeError
from minigan.tensor import FusedOp, Tensor, check_floats, is_grad_enabled, where


class LeakyReLU(FusedOp):
    """x where x > 0, else slope * x (Maas, Hannun and Ng 2013); slope 0 is ReLU. Any shape."""

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        check_floats("leaky_relu", x.dtype)
        x = backend.contiguous(x)
        return backend.kernels(x).leaky_relu(x, self.slope, backend.empty(x.shape, x))

    def arrays_vjp(self, needs, g, out, x):
        x, g = backend.contiguous(x), backend.contiguous(g)
        return (backend.kernels(x).leaky_relu_backward(g, x, self.slope, backend.empty(x.shape, x)),)

    def reference(self, x):
        return where(x > 0, x, x * self.slope if self.slope else 0)  # 0, not 0 * x: x may be infinite


class BatchNorm(FusedOp):
    """Each channel of x (N, C, ...) to mean 0 and variance 1, times weight (C,), plus bias (C,).

    Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1; done separately for each of
    `batches` equal parts of x. A leaky ReLU of the result is part of it, for one pass over memory
    instead of two; slope 1 is none. After the call, `mean` and `var` hold the channels' statistics
    (batches, C), the variance divided by the number of values.
    """

    def __init__(self, eps, batches=1, slope=1.0):
        self.eps, self.batches, self.slope = eps, batches, slope

    def forward(self, x, weight, bias):
        flat = _by_channel(x)
        statistics = self.batches, len(weight)
        self.mean, self.var = backend.empty(statistics, x), backend.empty(statistics, x)
        out = backend.empty(flat.shape, x)
        for part, mean, var in zip(self._parts(flat), self.mean, self.var):
            backend.kernels(x).batch_norm(flat[part], weight, bias, self.eps, self.slope, mean, var, out[part])
        return out.reshape(x.shape)

    def arrays_vjp(self, needs, g, out, x, weight, bias):
        flat, flat_g, flat_y = _by_channel(x), _by_channel(g), _by_channel(out)
        statistics = self.batches, len(weight)
        grad_weight, grad_bias = backend.empty(statistics, x), backend.empty(statistics, x)
        grad_x = backend.empty(flat.shape, x)
        for i, part in enumerate(self._parts(flat)):
            backend.kernels(x).batch_norm_backward(
                flat_g[part], flat[part], flat_y[part], weight, self.eps, self.slope, self.mean[i], self.var[i],
                grad_weight[i], grad_bias[i], grad_x[part],
            )  # fmt: skip
        for total in (grad_weight, grad_bias):
            for other in total[1:]:
                backend.elementwise_into(total[0], np.add, total[0], other)
        return grad_x.reshape(x.shape), grad_weight[0], grad_bias[0]

    def reference(self, x, weight, bias):
        parts = x.reshape(self.batches, -1, *x.shape[1:])  # (batches, N, C, ...)
        others = (1, *range(3, parts.ndim))
        centred = parts - parts.mean(others, keepdim=True)  # (batches, N, C, ...)
        variance = (centred * centred).mean(others, keepdim=True)  # (batches, 1, C, 1, ...)
        along = (1, -1) + (1,) * (x.ndim - 2)
        normalised = (centred / (variance + self.eps).sqrt()).reshape(x.shape)  # (N, C, ...)
        out = normalised * weight.reshape(along) + bias.reshape(along)
        return out if self.slope == 1 else LeakyReLU(self.slope).reference(out)

    def _parts(self, flat):
        length = len(flat) // self.batches
        return [slice(i * length, (i + 1) * length) for i in range(self.batches)]


_batches = 1  # how many batches an input holds; see `batches_in_one`


@contextlib.contextmanager
def batches_in_one(count):
    """Inside the block, an input is `count` equal batches one after another, to be normalised separately.

    Lets a network see several batches in one pass, as if it had seen each by itself.
    """
    global _batches
    before, _batches = _batches, count
    try:
        yield
    finally:
        _batches = before


def _by_channel(x):
    """x (N, C, ...) as a contiguous array (N, C, S)."""
    return backend.contiguous(x).reshape(x.shape[0], x.shape[1], -1)


class BinaryCrossEntropy(FusedOp):
    """-(y log p + (1 - y) log(1 - p)) for each element, as PyTorch's BCELoss.

    Its clamps: the logarithms are not less than -100, and p (1 - p) in the gradient not less than
    1e-12, so that p of exactly 0 or 1 gives a large loss and gradient instead of infinite ones.
    """

    def forward(self, p, y):
        check_floats("binary_cross_entropy", p.dtype, y.dtype)
        p, y = backend.contiguous(p), backend.contiguous(y)
        return backend.kernels(p).bce(p, y, backend.empty(p.shape, p))

    def arrays_vjp(self, needs, g, out, p, y):
        g, p, y = backend.contiguous(g), backend.contiguous(p), backend.contiguous(y)
        return backend.kernels(p).bce_backward(g, p, y, backend.empty(p.shape, p)), None

    def vjp(self, needs, g, out, p, y):
        return self.differentiable_vjp(needs, g, out, p, y) if needs[1] else super().vjp(needs, g, out, p, y)

    def differentiable_vjp(self, needs, g, out, p, y):
        grad_p = g * (p - y) / (p * (1 - p)).clamp(min=1e-12) if needs[0] else None
        grad_y = g * ((1 - p).log().clamp(min=-100) - p.log().clamp(min=-100)) if needs[1] else None
        return grad_p, grad_y


class BinaryCrossEntropyWithLogits(FusedOp):
    """The same loss of p = sigmoid(z), from the logit: softplus(z) - y z, finite for every finite z."""

    def forward(self, z, y):
        check_floats("binary_cross_entropy_with_logits", z.dtype, y.dtype)
        z, y = backend.contiguous(z), backend.contiguous(y)
        return backend.kernels(z).bce_with_logits(z, y, backend.empty(z.shape, z))

    def arrays_vjp(self, needs, g, out, z, y):
        g, z, y = backend.contiguous(g), backend.contiguous(z), backend.contiguous(y)
        grad_z = backend.kernels(z).bce_with_logits_backward(g, z, y, backend.empty(z.shape, z)) if needs[0] else None
        return grad_z, -g * z if needs[1] else None

    def reference(self, z, y):
        return z.softplus() - y * z


class Dropout(FusedOp):
    """x times a mask that is 0 with probability p and 1 / (1 - p) otherwise (Srivastava et al. 2014).

    The generator's next draw decides; its count of draws is where the kernels are, so that a
    replayed step draws anew.
    """

    def __init__(self, p, generator):
        self.p, self.generator = p, generator

    def forward(self, x):
        check_floats("dropout", x.dtype)
        x, g = backend.contiguous(x), self.generator
        self.mask = backend.empty(x.shape, x)
        return backend.kernels(x).dropout(
            x, self.p, g.seed, g.purpose, g.draws_on(backend.device_of(x)), self.mask, backend.empty(x.shape, x)
        )

    def arrays_vjp(self, needs, g, out, x):
        g = backend.contiguous(g)
        return (backend.kernels(g).dropout_backward(g, self.mask, backend.empty(g.shape, g)),)

    def reference(self, x):
        return x * Tensor(self.mask)


class AddBias(FusedOp):
    """x (N, C, ...) plus bias (C,)."""

    def forward(self, x, bias):
        check_floats("a bias", x.dtype, bias.dtype)
        flat = _by_channel(x)
        ones = np.ones_like(bias)
        return backend.kernels(x).scale_and_shift(flat, ones, bias, 1, backend.empty(flat.shape, x)).reshape(x.shape)

    def arrays_vjp(self, needs, g, out, x, bias):
        grad_bias = backend.kernels(g).sum_channels(_by_channel(g), backend.empty(bias.shape, g)) if needs[1] else None
        return g, grad_bias

    def reference(self, x, bias):
        return x + bias.reshape((1, -1) + (1,) * (x.ndim - 2))


def add_bias(x, bias):
    """x (N, C, ...) plus bias (C,), one number for each channel."""
    return AddBias()(x, bias)


def leaky_relu(x, negative_slope=0.01):
    """x where x > 0, else negative_slope * x."""
    return LeakyReLU(negative_slope)(x)


def relu(x):
    """x where x > 0, else 0."""
    return LeakyReLU(0.0)(x)


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, num_batches_tracked, slope=1.0):
    """Batch normalisation of x (N, C) or (N, C, ...), as `nn.BatchNorm2d` does it.

    training: normalise by the batch's own statistics, move running_mean and running_var (arrays
    (C,), changed in place) towards them by `momentum`, and count the batch in num_batches_tracked (an
    int64 array of one number); the variance kept is the unbiased one.
    Otherwise normalise by the running statistics. weight and bias are Tensors (C,).
    slope: of a leaky ReLU of the result; 1 is none.
    Raises ShapeError where the channels differ, or a training batch has one value per channel.
    """
    if x.ndim < 2 or x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"input {x.shape} does not have the {weight.shape[0]} channels, in dimension 1, that this layer normalises"
        )
    check_floats("batch_norm", x.dtype, weight.dtype, running_mean.dtype)
    if not training:
        along = (1, -1) + (1,) * (x.ndim - 2)
        inverse_std = 1 / (Tensor(running_var) + eps).sqrt()
        scale = weight * inverse_std  # (C,)
        shift = bias - scale * running_mean  # (C,)
        if not (is_grad_enabled() and (x.requires_grad or weight.requires_grad or bias.requires_grad)):
            flat = _by_channel(x.data)
            out = backend.empty(flat.shape, flat)
            return Tensor(
                backend.kernels(flat).scale_and_shift(flat, scale.data, shift.data, slope, out).reshape(x.shape)
            )
        return leaky_relu(x * scale.reshape(along) + shift.reshape(along), slope)
    if x.shape[0] % _batches:
        raise ShapeError(f"input {x.shape} cannot be {_batches} batches of the same size")
    count = math.prod(x.shape) // x.shape[1] // _batches
    if count < 2:
        raise ShapeError(f"input {x.shape} has one value per channel: a batch to train on needs at least two")
    op = BatchNorm(eps, _batches, slope)
    out = op(x, weight, bias)
    kernel = backend.kernels(x.data).running_statistics
    for mean, var in zip(op.mean, op.var):
        kernel(mean, var, count, momentum, running_mean, running_var, num_batches_tracked)
    return out


def dropout(x, p, generator):
    """Zeroes each element with probability p and divides the others by 1 - p; `generator` draws which."""
    return Dropout(p, generator)(x)


def binary_cross_entropy(input, target, reduction="mean"):
    """BCE of probabilities `input` against `target`, a Tensor of the same shape."""
    _same_shape(input, target)
    return _reduce(BinaryCrossEntropy()(input, target), reduction)


def binary_cross_entropy_with_logits(input, target, reduction="mean"):
    """BCE of sigmoid(input) against `target`, a Tensor of the same shape."""
    _same_shape(input, target)
    return _reduce(BinaryCrossEntropyWithLogits()(input, target), reduction)


def mse_loss(input, target, reduction="mean"):
    """(input - target)^2, reduced."""
    _same_shape(input, target)
    difference = input - target
    return _reduce(difference * difference, reduction)


def cross_entropy(input, target, reduction="mean"):
    """-log softmax(input)[target] for logits (N, C) and class numbers (N,), reduced.

    Raises TypeError for classes that are not a Tensor, ShapeError where the shapes are others, ValueError for a class
    that has no logit.
    """
    if not isinstance(target, Tensor):
        raise TypeError(f"cross entropy takes the classes as a Tensor, not as {type(target).__name__}: Tensor(classes)")
    if input.ndim != 2 or target.shape != input.shape[:1]:
        raise ShapeError(f"cross entropy takes logits (N, C) and classes (N,), not {input.shape} and {target.shape}")
    if ((target.data < 0) | (target.data >= input.shape[1])).any():
        raise ValueError(f"a class is a number from 0 to {input.shape[1] - 1}, the columns of the logits {input.shape}")
    rows = backend.array_module(input.device).arange(input.shape[0])
    return _reduce(input.logsumexp(1) - input[rows, target.data], reduction)


def _same_shape(input, target):
    if input.shape != target.shape:
        raise ShapeError(f"the loss compares shapes {input.shape} and {target.shape}, which must be equal: reshape one")


def _reduce(losses, reduction):
    if reduction == "mean":
        return losses.mean()
    if reduction == "sum":
        return losses.sum()
    if reduction == "none":
        return losses
    raise ValueError(f"reduction is 'mean', 'sum' or 'none', not {reduction!r}")
