import math

import numpy as np


def numeric_gradient(f, x, h=1e-5):
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        above = x.astype(float)
        above[index] += h
        below = x.astype(float)
        below[index] -= h
        gradient[index] = (f(above) - f(below)) / (2 * h)
    return gradient


def logistic_loss(w, x, y):
    total = 0.0
    for image, label in zip(x, y):
        s = sum(a * b for a, b in zip(image, w))
        total += math.log(1 + math.exp(s)) - label * s
    return total / len(x)


def logistic_loss_gradient(w, x, y):
    gradient = np.zeros(len(w))
    for image, label in zip(x, y):
        s = sum(a * b for a, b in zip(image, w))
        for d in range(len(w)):
            gradient[d] += (1 / (1 + math.exp(-s)) - label) * image[d]
    return gradient / len(x)
