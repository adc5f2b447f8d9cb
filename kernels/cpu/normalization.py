"""Batch normalisation on the CPU: a thread owns whole channels, so sums need no atomics.

x is (N, C, S), S all pixels of a channel; formulas as in `reference.py`.
"""

import numpy as np
from numba import njit, prange

from minigan.kernels.launch import launch

BLOCK = 256  # channels of one pixel that a thread takes at a time
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


def batch_norm(x, weight, bias, eps, mean, var, out):
    """As `reference.batch_norm`."""
    if x.shape[2] > 1:
        launch(_batch_norm, x, weight, bias, eps, mean, var, out)
    else:
        x, target = (a.reshape(a.shape[:2]) for a in (x, out))  # (N, C)
        launch(_batch_norm_of_single_pixels, x, weight, bias, eps, mean, var, target)
    return out


def batch_norm_backward(g, x, weight, eps, mean, var, grad_weight, grad_bias, out):
    """As `reference.batch_norm_backward`."""
    if x.shape[2] > 1:
        launch(_batch_norm_backward, g, x, weight, eps, mean, var, grad_weight, grad_bias, out)
    else:
        g, x, target = (a.reshape(a.shape[:2]) for a in (g, x, out))  # (N, C)
        launch(_batch_norm_backward_of_single_pixels, g, x, weight, eps, mean, var, grad_weight, grad_bias, target)
    return out


def running_statistics(mean, var, count, momentum, running_mean, running_var, batches):
    """As `reference.running_statistics`."""
    launch(_running_statistics, mean, var, count, momentum, running_mean, running_var, batches.reshape(1))


def scale_and_shift(x, scale, shift, out):
    """As `reference.scale_and_shift`."""
    launch(_scale_and_shift, x, scale, shift, out)
    return out


def sum_channels(x, out):
    """As `reference.sum_channels`."""
    launch(_sum_channels, x, out)
    return out


@njit(cache=True, error_model="numpy")
def _running_statistics(mean, var, count, momentum, running_mean, running_var, batches):
    unbiased = count / (count - 1)
    for c in range(mean.size):
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_var[c] += momentum * (var[c] * unbiased - running_var[c])
    batches[0] += 1


@njit(parallel=True, cache=True, error_model="numpy")
def _scale_and_shift(x, scale, shift, out):
    batch, channels, pixels = x.shape
    for row in prange(batch * channels):
        n, c = row // channels, row % channels
        source, target = x[n, c], out[n, c]
        for s in range(pixels):
            target[s] = source[s] * scale[c] + shift[c]


@njit(parallel=True, cache=True, error_model="numpy")
def _sum_channels(x, out):
    for c in prange(x.shape[1]):
        total = x.dtype.type(0)
        for n in range(x.shape[0]):
            total += _sum(x[n, c])
        out[c] = total


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm(x, weight, bias, eps, mean, var, out):
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


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm_backward(g, x, weight, eps, mean, var, grad_weight, grad_bias, out):
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


# With one pixel a channel (after a Linear) the channels are the neighbours in memory: a thread
# takes BLOCK of them and goes through the batch once for each sum.


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm_of_single_pixels(x, weight, bias, eps, mean, var, out):
    batch, channels = x.shape[0], x.shape[1]
    count = x.dtype.type(batch)
    for block in prange((channels + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min(channels, (block + 1) * BLOCK)
        centre, squares, gain = mean[first:last], var[first:last], np.empty(last - first, x.dtype)
        centre[:], squares[:] = 0, 0
        for n in range(batch):
            row = x[n, first:last]
            for c in range(last - first):
                centre[c] += row[c]
        for c in range(last - first):
            centre[c] /= count
        for n in range(batch):
            row = x[n, first:last]
            for c in range(last - first):
                squares[c] += (row[c] - centre[c]) * (row[c] - centre[c])
        for c in range(last - first):
            squares[c] /= count
            gain[c] = weight[first + c] / np.sqrt(squares[c] + eps)
        for n in range(batch):
            row, target = x[n, first:last], out[n, first:last]
            for c in range(last - first):
                target[c] = (row[c] - centre[c]) * gain[c] + bias[first + c]


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm_backward_of_single_pixels(g, x, weight, eps, mean, var, grad_weight, grad_bias, out):
    batch, channels = x.shape[0], x.shape[1]
    count = x.dtype.type(batch)
    for block in prange((channels + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min(channels, (block + 1) * BLOCK)
        centre, total, product = mean[first:last], grad_bias[first:last], grad_weight[first:last]
        total[:], product[:] = 0, 0
        scale = (1 / np.sqrt(var[first:last] + eps)).astype(x.dtype)
        for n in range(batch):
            row, gradient = x[n, first:last], g[n, first:last]
            for c in range(last - first):
                total[c] += gradient[c]
                product[c] += (row[c] - centre[c]) * gradient[c]
        for c in range(last - first):
            product[c] *= scale[c]
        for n in range(batch):
            row, gradient, target = x[n, first:last], g[n, first:last], out[n, first:last]
            for c in range(last - first):
                normalised = (row[c] - centre[c]) * scale[c]
                target[c] = (gradient[c] - (total[c] + normalised * product[c]) / count) * weight[first + c] * scale[c]
