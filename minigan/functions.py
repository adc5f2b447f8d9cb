"""Functions of Tensors that layers are made of: activations, batch normalisation, dropout, losses.

Each fused op has a fast gradient on arrays, and a `reference` made of primitive ops that the engine
differentiates when gradients of gradients are wanted (see `FusedOp`).
"""

import math

import numpy as np

from minigan import backend
from minigan.errors import ShapeError
from minigan.tensor import FusedOp, Op, check_floats, where


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

    Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1. After the call, `mean` and `var`
    hold the channels' statistics (C,), the variance divided by the number of values.
    """

    def __init__(self, eps):
        self.eps = eps

    def forward(self, x, weight, bias):
        flat = _by_channel(x)
        self.mean, self.var = backend.empty(weight.shape, x), backend.empty(weight.shape, x)
        out = backend.empty(flat.shape, x)
        backend.kernels(x).batch_norm(flat, weight, bias, self.eps, self.mean, self.var, out)
        return out.reshape(x.shape)

    def arrays_vjp(self, needs, g, out, x, weight, bias):
        flat = _by_channel(x)
        grad_weight, grad_bias = backend.empty(weight.shape, x), backend.empty(weight.shape, x)
        grad_x = backend.empty(flat.shape, x)
        backend.kernels(x).batch_norm_backward(
            _by_channel(g), flat, weight, self.eps, self.mean, self.var, grad_weight, grad_bias, grad_x
        )
        return grad_x.reshape(x.shape), grad_weight, grad_bias

    def reference(self, x, weight, bias):
        others = (0, *range(2, x.ndim))
        centred = x - x.mean(others, keepdim=True)  # (N, C, ...)
        variance = (centred * centred).mean(others, keepdim=True)  # (1, C, 1, ...)
        along = (1, -1) + (1,) * (x.ndim - 2)
        return centred / (variance + self.eps).sqrt() * weight.reshape(along) + bias.reshape(along)


def _by_channel(x):
    """x (N, C, ...) as a contiguous array (N, C, S)."""
    return backend.contiguous(x).reshape(x.shape[0], x.shape[1], -1)


class BinaryCrossEntropy(Op):
    """-(y log p + (1 - y) log(1 - p)) for each element, as PyTorch's BCELoss.

    Its clamps: the logarithms are not less than -100, and p (1 - p) in the gradient not less than
    1e-12, so that p of exactly 0 or 1 gives a large loss and gradient instead of infinite ones.
    """

    def forward(self, p, y):
        log_p, log_rest = self._logs(p)
        return -(y * log_p + (1 - y) * log_rest)

    def vjp(self, needs, g, out, p, y):
        grad_p = g * (p - y) / (p * (1 - p)).clamp(min=1e-12) if needs[0] else None
        grad_y = g * ((1 - p).log().clamp(min=-100) - p.log().clamp(min=-100)) if needs[1] else None
        return grad_p, grad_y

    @staticmethod
    def _logs(p):
        with np.errstate(divide="ignore"):  # log 0 = -inf is what the clamp is for
            return np.maximum(np.log(p), p.dtype.type(-100)), np.maximum(np.log1p(-p), p.dtype.type(-100))


class BinaryCrossEntropyWithLogits(FusedOp):
    """The same loss of p = sigmoid(z), from the logit: softplus(z) - y z, finite for every finite z."""

    def forward(self, z, y):
        # softplus(z) - y z = max(z, 0) - y z + log(1 + exp(-|z|)): nothing can overflow
        return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))

    def arrays_vjp(self, needs, g, out, z, y):
        grad_z = None
        if needs[0]:
            z = backend.contiguous(z)
            grad_z = g * (backend.kernels(z).sigmoid(z, backend.empty(z.shape, z)) - y)
        return grad_z, -g * z if needs[1] else None

    def reference(self, z, y):
        return z.softplus() - y * z


def leaky_relu(x, negative_slope=0.01):
    """x where x > 0, else negative_slope * x."""
    return LeakyReLU(negative_slope)(x)


def relu(x):
    """x where x > 0, else 0."""
    return LeakyReLU(0.0)(x)


def batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps):
    """Batch normalisation of x (N, C) or (N, C, ...), as PyTorch's functional of that name.

    training: normalise by the batch's own statistics, and move running_mean and running_var (arrays
    (C,), changed in place) towards them by `momentum`; the variance kept is the unbiased one.
    Otherwise normalise by the running statistics. weight and bias are Tensors (C,).
    Raises ShapeError where the channels differ, or a training batch has one value per channel.
    """
    if x.ndim < 2 or x.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"input {x.shape} does not have the {weight.shape[0]} channels, in dimension 1, that this layer normalises"
        )
    check_floats("batch_norm", x.dtype, weight.dtype, running_mean.dtype)
    if not training:
        along = (1, -1) + (1,) * (x.ndim - 2)
        inverse_std = 1 / np.sqrt(running_var + running_var.dtype.type(eps))
        scale = (weight * inverse_std).reshape(along)  # (1, C, 1, ...)
        shift = (bias - weight * (inverse_std * running_mean)).reshape(along)  # (1, C, 1, ...)
        return x * scale + shift
    count = math.prod(x.shape) // x.shape[1]
    if count < 2:
        raise ShapeError(f"input {x.shape} has one value per channel: a batch to train on needs at least two")
    op = BatchNorm(eps)
    out = op(x, weight, bias)
    running_mean += momentum * (op.mean - running_mean)
    running_var += momentum * (op.var * (count / (count - 1)) - running_var)
    return out


def dropout(x, p, generator):
    """Zeroes each element with probability p and divides the others by 1 - p (Srivastava et al. 2014)."""
    kept = generator.uniform(x.shape, x.dtype, x.device) >= p
    return x * (kept * x.dtype.type(1 / (1 - p)))


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

    Raises ShapeError where the shapes are others, ValueError for a class that has no logit.
    """
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
