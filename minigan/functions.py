"""Functions of Tensors that layers are made of: activations, batch normalisation, dropout, losses.

Each fused op has a fast gradient on arrays, and a `reference` made of primitive ops that the engine
differentiates when gradients of gradients are wanted (see `FusedOp`).
"""

import numpy as np

from minigan import backend
from minigan.errors import ShapeError
from minigan.tensor import FusedOp, where


class LeakyReLU(FusedOp):
    """x where x > 0, else slope * x (Maas, Hannun and Ng 2013); slope 0 is ReLU. Any shape."""

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        x = np.ascontiguousarray(x)
        return backend.kernels(x).leaky_relu(x, self.slope, backend.empty(x.shape, x))

    def arrays_vjp(self, needs, g, out, x):
        x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
        return (backend.kernels(x).leaky_relu_backward(g, x, self.slope, backend.empty(x.shape, x)),)

    def reference(self, x):
        return where(x > 0, x, x * self.slope)


class BatchNorm(FusedOp):
    """Each channel of x (N, C, S) to mean 0 and variance 1, times weight (C,), plus bias (C,).

    Ioffe and Szegedy, "Batch Normalization" (2015), algorithm 1. After the call, `mean` and `var`
    hold the channels' statistics (C,), the variance divided by N * S.
    """

    def __init__(self, eps):
        self.eps = eps

    def forward(self, x, weight, bias):
        x = np.ascontiguousarray(x)
        self.mean, self.var = backend.empty(weight.shape, x), backend.empty(weight.shape, x)
        out = backend.empty(x.shape, x)
        return backend.kernels(x).batch_norm(x, weight, bias, self.eps, self.mean, self.var, out)

    def arrays_vjp(self, needs, g, out, x, weight, bias):
        x, g = np.ascontiguousarray(x), np.ascontiguousarray(g)
        grad_weight, grad_bias = backend.empty(weight.shape, x), backend.empty(weight.shape, x)
        grad_x = backend.kernels(x).batch_norm_backward(
            g, x, weight, self.eps, self.mean, self.var, grad_weight, grad_bias, backend.empty(x.shape, x)
        )
        return grad_x, grad_weight, grad_bias

    def reference(self, x, weight, bias):
        centred = x - x.mean((0, 2), keepdim=True)  # (N, C, S)
        variance = (centred * centred).mean((0, 2), keepdim=True)  # (1, C, 1)
        weight, bias = weight.reshape(1, -1, 1), bias.reshape(1, -1, 1)  # (1, C, 1)
        return centred / (variance + self.eps).sqrt() * weight + bias


class BinaryCrossEntropy(FusedOp):
    """-(y log p + (1 - y) log(1 - p)) for each element, as PyTorch's BCELoss.

    Its clamps: the logarithms are not less than -100, and p (1 - p) in the gradient not less than
    1e-12, so that p of exactly 0 or 1 gives a large loss and gradient instead of infinite ones.
    """

    def forward(self, p, y):
        log_p, log_rest = self._logs(p)
        return -(y * log_p + (1 - y) * log_rest)

    def arrays_vjp(self, needs, g, out, p, y):
        grad_p = g * (p - y) / np.maximum(p * (1 - p), p.dtype.type(1e-12)) if needs[0] else None
        grad_y = None
        if needs[1]:
            log_p, log_rest = self._logs(p)
            grad_y = g * (log_rest - log_p)
        return grad_p, grad_y

    def reference(self, p, y):
        log_p, log_rest = p.log().clamp(min=-100), (1 - p).log().clamp(min=-100)
        return -(y * log_p + (1 - y) * log_rest)

    @staticmethod
    def _logs(p):
        with np.errstate(divide="ignore"):  # log 0 = -inf is what the clamp is for
            return np.maximum(np.log(p), p.dtype.type(-100)), np.maximum(np.log(1 - p), p.dtype.type(-100))


class BinaryCrossEntropyWithLogits(FusedOp):
    """The same loss of p = sigmoid(z), from the logit: softplus(z) - y z, finite for every finite z."""

    def forward(self, z, y):
        # softplus(z) - y z = max(z, 0) - y z + log(1 + exp(-|z|)): nothing can overflow
        return np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))

    def arrays_vjp(self, needs, g, out, z, y):
        grad_z = None
        if needs[0]:
            z = np.ascontiguousarray(z)
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
    flat = x.reshape(x.shape[0], x.shape[1], -1)  # (N, C, S)
    if not training:
        inverse_std = 1 / np.sqrt(running_var + running_var.dtype.type(eps))
        scale = (weight * inverse_std).reshape(1, -1, 1)  # (1, C, 1)
        shift = (bias - weight * (inverse_std * running_mean)).reshape(1, -1, 1)  # (1, C, 1)
        return (flat * scale + shift).reshape(x.shape)
    count = flat.shape[0] * flat.shape[2]
    if count < 2:
        raise ShapeError(f"input {x.shape} has one value per channel: a batch to train on needs at least two")
    op = BatchNorm(eps)
    out = op(flat, weight, bias)
    running_mean += momentum * (op.mean - running_mean)
    running_var += momentum * (op.var * (count / (count - 1)) - running_var)
    return out.reshape(x.shape)


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
    """-log softmax(input)[target] for logits (N, C) and class numbers (N,), reduced."""
    if input.ndim != 2 or target.shape != input.shape[:1]:
        raise ShapeError(f"cross entropy takes logits (N, C) and classes (N,), not {input.shape} and {target.shape}")
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
