import math

import numpy as np


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    images, channels, height, width = x.shape
    m = images * height * width
    if training and m == 1:
        raise ValueError("one value in a channel has no variance")
    y = np.empty(x.shape)
    for c in range(channels):
        mean, var = running_mean[c], running_var[c]
        if training:
            mean = sum(x[:, c].flat) / m
            squares = sum((value - mean) ** 2 for value in x[:, c].flat)
            var = squares / m
            running_mean[c] += momentum * (mean - running_mean[c])
            running_var[c] += momentum * (squares / (m - 1) - running_var[c])
        for index in np.ndindex(images, height, width):
            n, i, j = index
            y[n, c, i, j] = weight[c] * (x[n, c, i, j] - mean) / math.sqrt(var + eps) + bias[c]
    return y


def batch_norm_backward(g, x, weight, eps=1e-5):
    grad_x, grad_weight, grad_bias = np.empty(x.shape), np.zeros(len(weight)), np.zeros(len(weight))
    for c in range(len(weight)):
        values, upper = x[:, c], g[:, c]
        m = values.size
        mean = sum(values.flat) / m
        s = math.sqrt(sum((value - mean) ** 2 for value in values.flat) / m + eps)
        grad_mean = 0.0
        grad_var = 0.0
        for value, upstream in zip(values.flat, upper.flat):
            grad_bias[c] += upstream
            grad_weight[c] += upstream * (value - mean) / s
            grad_mean -= upstream * weight[c] / s
            grad_var -= upstream * weight[c] * (value - mean) / (2 * s**3)
        grad_x[:, c] = upper * weight[c] / s + grad_mean / m + grad_var * 2 * (values - mean) / m
    return grad_x, grad_weight, grad_bias
