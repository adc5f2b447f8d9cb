import numpy as np


def numeric_gradient(f, x, h=1e-5):
    steps = h * np.eye(x.size).reshape(x.size, *x.shape)
    differences = [f(x + step) - f(x - step) for step in steps]
    return np.reshape(differences, x.shape) / (2 * h)


def logistic_loss(w, x, y):
    s = x @ w
    return np.mean(np.logaddexp(0, s) - y * s)


def logistic_loss_gradient(w, x, y):
    return x.T @ (1 / (1 + np.exp(-(x @ w))) - y) / len(y)
