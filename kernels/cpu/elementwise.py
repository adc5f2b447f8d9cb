"""Activations, losses and dropout on the CPU: one pass over memory each; formulas as in `reference.py`.

Arrays are C-contiguous, of any shape. Small ones are done by one thread before a second has woken up.
"""

import numpy as np
from numba import njit, prange

from minigan.kernels.cpu.random import CHUNK_WORDS, chunk_of_words
from minigan.kernels.launch import launch

SERIAL = 1 << 14  # elements; below this one thread is faster


def leaky_relu(x, slope, out):
    """As `reference.leaky_relu`."""
    by_size(_leaky_relu, x.size, x.reshape(-1), x.dtype.type(slope), out.reshape(-1))
    return out


def leaky_relu_backward(g, x, slope, out):
    """As `reference.leaky_relu_backward`."""
    by_size(_leaky_relu_backward, x.size, g.reshape(-1), x.reshape(-1), x.dtype.type(slope), out.reshape(-1))
    return out


def sigmoid(x, out):
    """As `reference.sigmoid`."""
    by_size(_sigmoid, x.size, x.reshape(-1), out.reshape(-1))
    return out


def sigmoid_backward(g, y, out):
    """As `reference.sigmoid_backward`."""
    by_size(_sigmoid_backward, y.size, g.reshape(-1), y.reshape(-1), out.reshape(-1))
    return out


def tanh(x, out):
    """As `reference.tanh`."""
    launch(np.tanh, x, out)  # NumPy's is vectorised, Numba's is not
    return out


def tanh_backward(g, y, out):
    """As `reference.tanh_backward`."""
    by_size(_tanh_backward, y.size, g.reshape(-1), y.reshape(-1), out.reshape(-1))
    return out


def bce(p, target, out):
    """As `reference.bce`."""
    by_size(_bce, p.size, p.reshape(-1), target.reshape(-1), out.reshape(-1))
    return out


def bce_backward(g, p, target, out):
    """As `reference.bce_backward`."""
    by_size(_bce_backward, p.size, g.reshape(-1), p.reshape(-1), target.reshape(-1), out.reshape(-1))
    return out


def bce_with_logits(z, target, out):
    """As `reference.bce_with_logits`."""
    by_size(_bce_with_logits, z.size, z.reshape(-1), target.reshape(-1), out.reshape(-1))
    return out


def bce_with_logits_backward(g, z, target, out):
    """As `reference.bce_with_logits_backward`."""
    by_size(_bce_with_logits_backward, z.size, g.reshape(-1), z.reshape(-1), target.reshape(-1), out.reshape(-1))
    return out


def dropout(x, p, seed, purpose, draw, mask, out):
    """As `reference.dropout`."""
    by_size(
        _dropout, x.size, x.reshape(-1), p, np.uint64(seed), np.uint64(purpose), draw.reshape(1),
        mask.reshape(-1), out.reshape(-1),
    )  # fmt: skip
    launch(np.add, draw, np.uint64(1), draw)
    return out


def dropout_backward(g, mask, out):
    """As `reference.dropout_backward`."""
    by_size(_dropout_backward, g.size, g.reshape(-1), mask.reshape(-1), out.reshape(-1))
    return out


def mean(x, out):
    """As `reference.mean`."""
    launch(_mean, x.reshape(-1), out.reshape(1))
    return out


def by_size(kernels, size, *arguments):
    """Launches the first of two kernels where there is little to do, else the second."""
    one_thread, all_threads = kernels
    launch(one_thread if size < SERIAL else all_threads, *arguments)


def both(function):
    """The function compiled for one thread and for all."""
    one, all_ = njit(cache=True, error_model="numpy"), njit(cache=True, error_model="numpy", parallel=True)
    return one(function), all_(function)


@njit(cache=True, error_model="numpy")
def _mean(x, out):
    total = 0.0
    for i in range(x.size):
        total += x[i]
    out[0] = total / x.size


@both
def _leaky_relu(x, slope, out):
    for i in prange(x.size):
        below = x[i] if slope or x[i] != x[i] else x.dtype.type(0)  # 0 * -inf would be NaN; a NaN must stay one
        out[i] = x[i] if x[i] > 0 else slope * below


@both
def _leaky_relu_backward(g, x, slope, out):
    for i in prange(x.size):
        below = g[i] if slope else x.dtype.type(0)
        out[i] = g[i] if x[i] > 0 else slope * below


@both
def _sigmoid(x, out):
    for i in prange(x.size):
        small = np.exp(-abs(x[i]))
        out[i] = (1 if x[i] >= 0 else small) / (1 + small)


@both
def _sigmoid_backward(g, y, out):
    for i in prange(y.size):
        out[i] = g[i] * (y[i] * (1 - y[i]))


@both
def _tanh_backward(g, y, out):
    for i in prange(y.size):
        out[i] = g[i] * (1 - y[i] * y[i])


@both
def _bce(p, target, out):
    least = p.dtype.type(-100)
    for i in prange(p.size):
        log_p, log_rest = max(np.log(p[i]), least), max(np.log1p(-p[i]), least)
        out[i] = -(target[i] * log_p + (1 - target[i]) * log_rest)


@both
def _bce_backward(g, p, target, out):
    least = p.dtype.type(1e-12)
    for i in prange(p.size):
        out[i] = g[i] * (p[i] - target[i]) / max(p[i] * (1 - p[i]), least)


@both
def _bce_with_logits(z, target, out):
    for i in prange(z.size):
        positive = z[i] if z[i] > 0 or z[i] != z[i] else z.dtype.type(0)
        out[i] = positive - target[i] * z[i] + np.log1p(np.exp(-abs(z[i])))


@both
def _bce_with_logits_backward(g, z, target, out):
    for i in prange(z.size):
        small = np.exp(-abs(z[i]))
        out[i] = g[i] * ((1 if z[i] >= 0 else small) / (1 + small) - target[i])


@both
def _dropout(x, p, seed, purpose, draw, mask, out):
    scale, zero = x.dtype.type(1 / (1 - p)), x.dtype.type(0)
    limit = np.uint32(np.ceil(p * 2.0**24))  # word >> 8 is the uniform number times 2^24
    for chunk in prange((x.size + CHUNK_WORDS - 1) // CHUNK_WORDS):
        words = chunk_of_words(chunk, purpose, draw[0], seed)
        first = chunk * CHUNK_WORDS
        for i in range(min(CHUNK_WORDS, x.size - first)):
            kept = scale if words[i] >> np.uint32(8) >= limit else zero
            mask[first + i] = kept
            out[first + i] = x[first + i] * kept


@both
def _dropout_backward(g, mask, out):
    for i in prange(g.size):
        out[i] = g[i] * mask[i]
