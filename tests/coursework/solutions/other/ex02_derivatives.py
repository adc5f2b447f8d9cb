import numpy as np


def numeric_gradient(f, x, h=1e-5):
    x = np.array(x, float)
    flat, gradient = x.reshape(-1), np.empty(x.size)
    for i, middle in enumerate(flat.copy()):
        flat[i] = middle + h
        gradient[i] = f(x)
        flat[i] = middle - h
        gradient[i] -= f(x)
        flat[i] = middle
    return (gradient / h / 2).reshape(x.shape)


def logistic_loss(w, x, y):
    sign = 1 - 2 * y
    return np.average(np.log1p(np.exp(sign * x.dot(w))))


def logistic_loss_gradient(w, x, y):
    sign = 1 - 2 * y
    weight = sign * (np.tanh(sign * x.dot(w) / 2) + 1) / 2
    return np.einsum("n,nd->d", weight, x) / len(x)
