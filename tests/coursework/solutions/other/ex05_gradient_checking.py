from math import hypot

import numpy as np


def along(f, x, v, g):
    return lambda t: np.sum(g * f(x + t * v))


def directional_difference(f, x, v, g, h=1e-5):
    loss = along(f, x, v, g)
    return (loss(h) - loss(-h)) / h / 2


def gradient_is_right(f, vjp, x, rng, h=1e-5, rtol=1e-6, atol=1e-9):
    g = rng.normal(size=np.shape(f(x)))
    v = rng.normal(size=x.shape)
    gradient = vjp(g, x)
    if gradient.shape == x.shape:
        d = directional_difference(f, x, v, g, h)
        allowed = rtol * np.max([hypot(*gradient.flat), abs(d)]) + atol + atol * abs(along(f, x, v, g)(0.0))
        return abs(np.sum(gradient * v) - d) - allowed <= 0
    return False


def worst_element(f, vjp, x, g, h=1e-5):
    gradient, found = vjp(g, x), []
    for index in np.ndindex(x.shape):
        above, below = x.copy(), x.copy()
        above[index] += h
        below[index] -= h
        numeric = np.sum(g * f(above) - g * f(below)) / 2 / h
        found.append((index, gradient[index], numeric))
    return max(found, key=lambda row: abs(row[1] - row[2]))
