import math

import numpy as np


def inner(a, b):
    total = 0.0
    for left, right in zip(np.ravel(a), np.ravel(b)):
        total += left * right
    return total


def directional_difference(f, x, v, g, h=1e-5):
    above = inner(g, f(x + h * v))
    below = inner(g, f(x - h * v))
    return (above - below) / (2 * h)


def gradient_is_right(f, vjp, x, rng, h=1e-5, rtol=1e-6, atol=1e-9):
    y = f(x)
    g = rng.standard_normal(y.shape)
    v = rng.standard_normal(x.shape)
    gradient = vjp(g, x)
    if gradient.shape != x.shape:
        return False
    d = directional_difference(f, x, v, g, h)
    size = max(math.sqrt(inner(gradient, gradient)), abs(d))
    tolerance = atol * (1 + abs(inner(g, y))) + rtol * size
    return abs(inner(gradient, v) - d) <= tolerance


def worst_element(f, vjp, x, g, h=1e-5):
    gradient = vjp(g, x)
    largest = -math.inf
    for index in np.ndindex(x.shape):
        axis = np.zeros(x.shape)
        axis[index] = 1
        numeric = directional_difference(f, x, axis, g, h)
        error = abs(gradient[index] - numeric)
        if error > largest:
            largest = error
            worst = index, gradient[index], numeric
    return worst
