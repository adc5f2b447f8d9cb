from functools import partial

import numpy as np

softplus = partial(np.logaddexp, 0)


def bce_with_logits(x, y):
    return np.mean(y * softplus(-x) + (1 - y) * softplus(x))


def sigmoid(x):
    return np.exp(-softplus(-x))


def bce_with_logits_gradient(x, y):
    return (sigmoid(x) - y) / x.size


def generator_loss(x, kind="nonsaturating"):
    match kind:
        case "nonsaturating":
            return softplus(-x).mean()
        case "minimax":
            return -softplus(x).mean()
    raise ValueError(f"no loss {kind}")


def generator_loss_gradient(x, kind="nonsaturating"):
    signs = {"nonsaturating": -1, "minimax": 1}
    if kind not in signs:
        raise ValueError(f"no loss {kind}")
    return -sigmoid(signs[kind] * x) / x.size
