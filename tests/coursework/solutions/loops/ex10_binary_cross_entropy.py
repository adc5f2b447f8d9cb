import math

import numpy as np


def bce_with_logits(x, y):
    total = 0.0
    for logit, label in zip(x.flat, y.flat):
        small = math.log1p(math.exp(-abs(logit)))
        if logit > 0:
            total += (1 - label) * logit + small
        else:
            total += -label * logit + small
    return total / x.size


def sigmoid(logit):
    small = math.exp(-abs(logit))
    if logit > 0:
        return 1 / (1 + small)
    return small / (1 + small)


def bce_with_logits_gradient(x, y):
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        gradient[index] = (sigmoid(x[index]) - y[index]) / x.size
    return gradient


def generator_loss(x, kind="nonsaturating"):
    if kind == "nonsaturating":
        return bce_with_logits(x, np.ones(x.shape))
    if kind == "minimax":
        return -bce_with_logits(x, np.zeros(x.shape))
    raise ValueError(kind)


def generator_loss_gradient(x, kind="nonsaturating"):
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        if kind == "nonsaturating":
            gradient[index] = -sigmoid(-x[index]) / x.size
        elif kind == "minimax":
            gradient[index] = -sigmoid(x[index]) / x.size
        else:
            raise ValueError(kind)
    return gradient
