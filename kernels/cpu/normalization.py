"""Batch normalisation on the CPU: a thread owns whole channels, so sums need no atomics.

x is (N, C, S), S all pixels of a channel; formulas as in `reference.py`.
"""

import numpy as np
from numba import njit, prange

SUMS = {"reassoc", "contract", "nsz"}  # lets LLVM add in vector lanes; the order is still fixed


@njit(fastmath=SUMS, cache=True, error_model="numpy")
def _sum(values):
    total = values.dtype.type(0)
    for s in range(values.size):
        total += values[s]
    return total


@njit(fastmath=SUMS, cache=True, error_model="numpy")
def _sum_of_squares_around(values, centre):
    total = values.dtype.type(0)
    for s in range(values.size):
        total += (values[s] - centre) * (values[s] - centre)
    return total


@njit(fastmath=SUMS, cache=True, error_model="numpy")
def _sum_of_products_around(values, centre, others):
    total = values.dtype.type(0)
    for s in range(values.size):
        total += (values[s] - centre) * others[s]
    return total


@njit(parallel=True, cache=True, error_model="numpy")
def batch_norm(x, weight, bias, eps, mean, var, out):
    """As `reference.batch_norm`."""
    batch, channels, pixels = x.shape
    count = x.dtype.type(batch * pixels)
    for c in prange(channels):
        total = x.dtype.type(0)
        for n in range(batch):
            total += _sum(x[n, c])
        centre = total / count
        squares = x.dtype.type(0)
        for n in range(batch):
            squares += _sum_of_squares_around(x[n, c], centre)
        mean[c] = centre
        var[c] = squares / count
        gain, shift = x.dtype.type(weight[c] / np.sqrt(var[c] + eps)), bias[c]
        for n in range(batch):
            source, target = x[n, c], out[n, c]
            for s in range(pixels):
                target[s] = (source[s] - centre) * gain + shift
    return out


@njit(parallel=True, cache=True, error_model="numpy")
def batch_norm_backward(g, x, weight, eps, mean, var, grad_weight, grad_bias, out):
    """As `reference.batch_norm_backward`."""
    batch, channels, pixels = x.shape
    count = x.dtype.type(batch * pixels)
    for c in prange(channels):
        centre, scale = mean[c], x.dtype.type(1 / np.sqrt(var[c] + eps))
        total = x.dtype.type(0)
        product = x.dtype.type(0)
        for n in range(batch):
            total += _sum(g[n, c])
            product += _sum_of_products_around(x[n, c], centre, g[n, c])
        product *= scale
        grad_bias[c] = total
        grad_weight[c] = product
        # g - total / count - normalised * product / count, with the constants folded together
        gain = weight[c] * scale
        constant, slope = total / count, product * scale / count
        for n in range(batch):
            gradient, source, target = g[n, c], x[n, c], out[n, c]
            for s in range(pixels):
                target[s] = (gradient[s] - constant - (source[s] - centre) * slope) * gain
    return out
