"""Exercise 2 by minigan."""

import numpy as np

from minigan.functions import binary_cross_entropy_with_logits
from minigan.tensor import Tensor, grad


def numeric_gradient(f, x, h=1e-5):
    """minigan looks along one random direction at a time; here it looks along each axis."""
    axes = np.eye(x.size).reshape(x.size, *x.shape)
    return np.reshape([(f(x + h * axis) - f(x - h * axis)) / (2 * h) for axis in axes], x.shape)


def logistic_loss(w, x, y):
    """BCE with logits."""
    return _loss(Tensor(w), x, y).item()


def logistic_loss_gradient(w, x, y):
    """By the engine."""
    w = Tensor(w, requires_grad=True)
    return grad(_loss(w, x, y), w)[0].data


def _loss(w, x, y):
    return binary_cross_entropy_with_logits((Tensor(x) * w).sum(1), Tensor(y.astype(float)))
