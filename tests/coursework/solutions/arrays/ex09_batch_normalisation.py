import numpy as np


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    mean, var = running_mean, running_var
    if training:
        m = x.size // len(weight)
        if m < 2:
            raise ValueError(f"{x.shape} has one value per channel")
        mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
        running_mean[:] = (1 - momentum) * running_mean + momentum * mean
        running_var[:] = (1 - momentum) * running_var + momentum * var * m / (m - 1)
    scale = weight / np.sqrt(var + eps)
    return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]


def batch_norm_backward(g, x, weight, eps=1e-5):
    over = {"axis": (0, 2, 3), "keepdims": True}
    s = np.sqrt(x.var(**over) + eps)
    x_hat = (x - x.mean(**over)) / s
    h = g * weight[:, None, None]
    grad_x = (h - h.mean(**over) - x_hat * (h * x_hat).mean(**over)) / s
    return grad_x, (g * x_hat).sum(axis=(0, 2, 3)), g.sum(axis=(0, 2, 3))
