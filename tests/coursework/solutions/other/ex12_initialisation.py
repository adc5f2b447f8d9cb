import math

import numpy as np


def fans(shape):
    try:
        out, into, *kernel = shape
    except ValueError:
        raise ValueError("fewer than 2 dimensions") from None
    return into * math.prod(kernel), out * math.prod(kernel)


def kaiming_normal(shape, rng, a=0.0):
    gain = math.sqrt(2) / math.hypot(1, a)
    return gain / fans(shape)[0] ** 0.5 * rng.standard_normal(shape)


def leaky_relu_gradient(g, x, slope):
    return g * (slope + (1 - slope) * (x > 0))


def look_inside(x, weights, slope):
    found = []
    for weight in weights:
        z = np.inner(x, weight)
        x = np.maximum(z, slope * z)
        found.append((np.linalg.norm(x) / np.sqrt(x.size), 1 - np.any(z > 0, axis=0).sum() / len(weight)))
    return list(zip(*found))
