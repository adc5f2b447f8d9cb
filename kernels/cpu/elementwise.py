"""Activations and Adam on the CPU: one pass over memory each. Flat arrays; formulas as in `reference.py`."""

import numpy as np
from numba import njit, prange

SERIAL = 1 << 14  # fewer elements than this are done before a second thread has woken up


def leaky_relu(x, slope, out):
    """As `reference.leaky_relu`, for C-contiguous arrays of any shape."""
    kernel = _leaky_relu if x.size < SERIAL else _leaky_relu_parallel
    kernel(x.ravel(), x.dtype.type(slope), out.reshape(-1))
    return out


def leaky_relu_backward(g, x, slope, out):
    """As `reference.leaky_relu_backward`, for C-contiguous arrays of any shape."""
    kernel = _leaky_relu_backward if x.size < SERIAL else _leaky_relu_backward_parallel
    kernel(g.ravel(), x.ravel(), x.dtype.type(slope), out.reshape(-1))
    return out


def sigmoid(x, out):
    """As `reference.sigmoid`, for C-contiguous arrays of any shape."""
    _sigmoid(x.ravel(), out.reshape(-1))
    return out


def adam(parameter, gradient, first, second, step_size, beta1, beta2, root_correction2, eps):
    """As `reference.adam`, for C-contiguous arrays of any shape."""
    kernel = _adam if parameter.size < SERIAL else _adam_parallel
    number = parameter.dtype.type
    kernel(
        parameter.reshape(-1), gradient.ravel(), first.reshape(-1), second.reshape(-1),
        number(step_size), number(beta1), number(1 - beta1), number(beta2), number(1 - beta2),
        number(root_correction2), number(eps),
    )  # fmt: skip


def _both(function):
    """The function compiled for one thread and for all."""
    one, all_ = njit(cache=True, error_model="numpy"), njit(cache=True, error_model="numpy", parallel=True)
    return one(function), all_(function)


def _leaky_relu_loop(x, slope, out):
    for i in prange(x.size):
        below = x[i] if slope or x[i] != x[i] else x.dtype.type(0)  # 0 * -inf would be NaN; a NaN must stay one
        out[i] = x[i] if x[i] > 0 else slope * below


def _leaky_relu_backward_loop(g, x, slope, out):
    for i in prange(x.size):
        below = g[i] if slope else x.dtype.type(0)
        out[i] = g[i] if x[i] > 0 else slope * below


def _adam_loop(parameter, gradient, first, second, step_size, beta1, rest1, beta2, rest2, root_correction2, eps):
    for i in prange(parameter.size):
        first[i] = beta1 * first[i] + rest1 * gradient[i]
        second[i] = beta2 * second[i] + rest2 * gradient[i] * gradient[i]
        parameter[i] -= step_size * first[i] / (np.sqrt(second[i]) / root_correction2 + eps)


_leaky_relu, _leaky_relu_parallel = _both(_leaky_relu_loop)
_leaky_relu_backward, _leaky_relu_backward_parallel = _both(_leaky_relu_backward_loop)
_adam, _adam_parallel = _both(_adam_loop)


@njit(cache=True, error_model="numpy")
def _sigmoid(x, out):
    for i in range(x.size):
        small = np.exp(-abs(x[i]))
        out[i] = (1 if x[i] >= 0 else small) / (1 + small)
