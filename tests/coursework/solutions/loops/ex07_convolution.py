import numpy as np


def output_size(size, kernel, stride=1, padding=0):
    padded = size + 2 * padding
    if kernel > padded:
        raise ValueError(f"{kernel} taps do not fit into {padded} pixels")
    return (padded - kernel) // stride + 1


def patches(x, kernel, stride=1, padding=0):
    batch, channels, height, width = x.shape
    rows, cols = kernel
    p_size = output_size(height, rows, stride, padding)
    q_size = output_size(width, cols, stride, padding)
    matrix = np.zeros((batch, channels * rows * cols, p_size * q_size))
    for n, c, i, j, p, q in np.ndindex(batch, channels, rows, cols, p_size, q_size):
        h = stride * p + i - padding
        w = stride * q + j - padding
        if 0 <= h < height and 0 <= w < width:
            matrix[n, (c * rows + i) * cols + j, p * q_size + q] = x[n, c, h, w]
    return matrix


def conv2d(x, weight, stride=1, padding=0):
    batch, channels, height, width = x.shape
    filters, _, rows, cols = weight.shape
    p_size = output_size(height, rows, stride, padding)
    q_size = output_size(width, cols, stride, padding)
    out = np.zeros((batch, filters, p_size, q_size), x.dtype)
    for n, k, p, q in np.ndindex(out.shape):
        for c, i, j in np.ndindex(channels, rows, cols):
            h = stride * p + i - padding
            w = stride * q + j - padding
            if 0 <= h < height and 0 <= w < width:
                out[n, k, p, q] += x[n, c, h, w] * weight[k, c, i, j]
    return out
