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
def _sums_of_gradient(g, x, y, centre, slope):
    """(sum of g', sum of (x - centre) g'), g' being the gradient before the leaky ReLU."""
    total, product = x.dtype.type(0), x.dtype.type(0)
    for s in range(x.size):
        before = g[s] if y[s] > 0 else slope * g[s]
        total += before
        product += (x[s] - centre) * before
    return total, product


@njit(cache=True, error_model="numpy")
def _leaky(value, slope):
    return value if value > 0 else slope * value


def batch_norm(x, weight, bias, eps, slope, mean, var, out):
    """As `reference.batch_norm`."""
    if x.shape[2] > 1:
        launch(_batch_norm, x, weight, bias, eps, x.dtype.type(slope), mean, var, out)
    else:
        x, target = (a.reshape(a.shape[:2]) for a in (x, out))  # (N, C)
        slope = x.dtype.type(slope)
        launch(_batch_norm_of_single_pixels, x, weight, bias, eps, slope, mean, var, target)
    return out


def batch_norm_backward(g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out):
    """As `reference.batch_norm_backward`."""
    slope = x.dtype.type(slope)
    if x.shape[2] > 1:
        launch(_batch_norm_backward, g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out)
    else:
        g, x, y, out_rows = (a.reshape(a.shape[:2]) for a in (g, x, y, out))  # (N, C)
        launch(
            _batch_norm_backward_of_single_pixels,
            g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out_rows,
        )  # fmt: skip
    return out


def running_statistics(mean, var, count, momentum, running_mean, running_var, batches):
    """As `reference.running_statistics`."""
    launch(_running_statistics, mean, var, count, momentum, running_mean, running_var, batches.reshape(1))


def scale_and_shift(x, scale, shift, slope, out):
    """As `reference.scale_and_shift`."""
    launch(_scale_and_shift, x, scale, shift, x.dtype.type(slope), out)
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
def _scale_and_shift(x, scale, shift, slope, out):
    batch, channels, pixels = x.shape
    for row in prange(batch * channels):
        n, c = row // channels, row % channels
        source, target = x[n, c], out[n, c]
        for s in range(pixels):
            target[s] = _leaky(source[s] * scale[c] + shift[c], slope)


@njit(parallel=True, cache=True, error_model="numpy")
def _sum_channels(x, out):
    for c in prange(x.shape[1]):
        total = x.dtype.type(0)
        for n in range(x.shape[0]):
            total += _sum(x[n, c])
        out[c] = total


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm(x, weight, bias, eps, slope, mean, var, out):
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
                target[s] = _leaky((source[s] - centre) * gain + shift, slope)


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm_backward(g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out):
    batch, channels, pixels = x.shape
    count = x.dtype.type(batch * pixels)
    for c in prange(channels):
        centre, scale = mean[c], x.dtype.type(1 / np.sqrt(var[c] + eps))
        total = x.dtype.type(0)
        product = x.dtype.type(0)
        for n in range(batch):
            sum_g, sum_product = _sums_of_gradient(g[n, c], x[n, c], y[n, c], centre, slope)
            total += sum_g
            product += sum_product
        product *= scale
        grad_bias[c] = total
        grad_weight[c] = product
        # g - total / count - normalised * product / count, with the constants folded together
        gain = weight[c] * scale
        constant, tilt = total / count, product * scale / count
        for n in range(batch):
            gradient, source, value, target = g[n, c], x[n, c], y[n, c], out[n, c]
            for s in range(pixels):
                g_s = gradient[s] if value[s] > 0 else slope * gradient[s]
                target[s] = (g_s - constant - (source[s] - centre) * tilt) * gain


# With one pixel a channel (after a Linear) the channels are the neighbours in memory: a thread
# takes BLOCK of them and goes through the batch once for each sum.


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm_of_single_pixels(x, weight, bias, eps, slope, mean, var, out):
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
                target[c] = _leaky((row[c] - centre[c]) * gain[c] + bias[first + c], slope)


@njit(parallel=True, cache=True, error_model="numpy")
def _batch_norm_backward_of_single_pixels(g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out):
    batch, channels = x.shape[0], x.shape[1]
    count = x.dtype.type(batch)
    for block in prange((channels + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min(channels, (block + 1) * BLOCK)
        centre, total, product = mean[first:last], grad_bias[first:last], grad_weight[first:last]
        total[:], product[:] = 0, 0
        scale = (1 / np.sqrt(var[first:last] + eps)).astype(x.dtype)
        for n in range(batch):
            row, gradient, value = x[n, first:last], g[n, first:last], y[n, first:last]
            for c in range(last - first):
                before = gradient[c] if value[c] > 0 else slope * gradient[c]
                total[c] += before
                product[c] += (row[c] - centre[c]) * before
        for c in range(last - first):
            product[c] *= scale[c]
        for n in range(batch):
            row, gradient, value, target = (
                x[n, first:last], g[n, first:last], y[n, first:last], out[n, first:last]
            )  # fmt: skip
            for c in range(last - first):
                before = gradient[c] if value[c] > 0 else slope * gradient[c]
                normalised = (row[c] - centre[c]) * scale[c]
                target[c] = (before - (total[c] + normalised * product[c]) / count) * weight[first + c] * scale[c]
