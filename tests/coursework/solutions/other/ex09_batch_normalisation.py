import numpy as np


def rows(x):
    return x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1)


def unrows(values, shape):
    return values.reshape(shape[1], shape[0], *shape[2:]).transpose(1, 0, 2, 3)


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    values = rows(x)
    if not training:
        scale = np.diag(weight * (running_var + eps) ** -0.5)
        return unrows(scale @ (values.T - running_mean).T + np.outer(bias, np.ones(values.shape[1])), x.shape)
    if values.shape[1] == 1:
        raise ValueError("a batch needs two values per channel")
    mean, var = np.mean(values, axis=1), np.var(values, axis=1)
    running_mean *= 1 - momentum
    running_mean += momentum * mean
    running_var *= 1 - momentum
    running_var += momentum * np.var(values, axis=1, ddof=1)
    y = [w * (v - mu) / np.sqrt(s2 + eps) + b for w, v, mu, s2, b in zip(weight, values, mean, var, bias)]
    return unrows(np.array(y), x.shape)


def batch_norm_backward(g, x, weight, eps=1e-5):
    upper, values = rows(g), rows(x)
    m = values.shape[1]
    centre = np.eye(m) - np.ones((m, m)) / m
    grad_x = []
    grad_weight = []
    for w, u, v in zip(weight, upper, values):
        d = centre @ v
        s2 = d @ d / m + eps
        jacobian = (centre - np.outer(d, d) / (m * s2)) / np.sqrt(s2)
        grad_x.append(w * (u @ jacobian))
        grad_weight.append(u @ d / np.sqrt(s2))
    return unrows(np.array(grad_x), x.shape), np.array(grad_weight), np.sum(upper, axis=1)
