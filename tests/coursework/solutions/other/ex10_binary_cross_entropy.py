import numpy as np


def probabilities(x):
    small = np.exp(-np.abs(x))
    ordered = np.stack([small, np.ones_like(small)]) / (1 + small)
    return np.where(x > 0, ordered[::-1], ordered)


def negative_logs(x):
    rest = np.log1p(np.exp(-np.abs(x)))
    return rest + (np.abs(x) - x) / 2, rest + (np.abs(x) + x) / 2


def bce_with_logits(x, y):
    of_real, of_fake = negative_logs(x)
    return np.average(y * of_real + (1 - y) * of_fake)


def bce_with_logits_gradient(x, y):
    p, rest = probabilities(x)
    return ((1 - y) * p - y * rest) / x.size


def generator_loss(x, kind="nonsaturating"):
    of_real, of_fake = negative_logs(x)
    return {"nonsaturating": of_real, "minimax": -of_fake}[known(kind)].mean()


def generator_loss_gradient(x, kind="nonsaturating"):
    p, rest = probabilities(x)
    return -{"nonsaturating": rest, "minimax": p}[known(kind)] / x.size


def known(kind):
    if kind in ("nonsaturating", "minimax"):
        return kind
    raise ValueError("no loss " + kind)
