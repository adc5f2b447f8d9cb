import numpy as np


def conv_transpose2d(y, weight, stride=1, padding=0, output_padding=0):
    if output_padding >= stride:
        raise ValueError(f"output_padding {output_padding} is not less than stride {stride}")
    batch, filters, p_size, q_size = y.shape
    _, channels, rows, cols = weight.shape
    height = stride * (p_size - 1) + rows - 2 * padding + output_padding
    width = stride * (q_size - 1) + cols - 2 * padding + output_padding
    x = np.zeros((batch, channels, height, width), y.dtype)
    for n, k, c, p, q, i, j in np.ndindex(batch, filters, channels, p_size, q_size, rows, cols):
        h = stride * p + i - padding
        w = stride * q + j - padding
        if 0 <= h < height and 0 <= w < width:
            x[n, c, h, w] += y[n, k, p, q] * weight[k, c, i, j]
    return x


def conv2d_weight_gradient(x, y, kernel_size, stride=1, padding=0):
    batch, channels, height, width = x.shape
    _, filters, p_size, q_size = y.shape
    gradient = np.zeros((filters, channels, kernel_size[0], kernel_size[1]))
    for k, c, i, j in np.ndindex(gradient.shape):
        for n, p, q in np.ndindex(batch, p_size, q_size):
            h = stride * p + i - padding
            w = stride * q + j - padding
            if 0 <= h < height and 0 <= w < width:
                gradient[k, c, i, j] += x[n, c, h, w] * y[n, k, p, q]
    return gradient
