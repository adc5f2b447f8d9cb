import math

import numpy as np


def fans(shape):
    if len(shape) < 2:
        raise ValueError("a weight has at least 2 dimensions")
    fan_in = shape[1]
    fan_out = shape[0]
    for taps in shape[2:]:
        fan_in *= taps
        fan_out *= taps
    return fan_in, fan_out


def kaiming_normal(shape, rng, a=0.0):
    fan_in, _ = fans(shape)
    return rng.standard_normal(shape) * math.sqrt(2 / ((1 + a**2) * fan_in))


def leaky_relu_gradient(g, x, slope):
    gradient = g.copy()
    for index in np.ndindex(x.shape):
        if x[index] <= 0:
            gradient[index] *= slope
    return gradient


def look_inside(x, weights, slope):
    sizes = []
    dead = []
    for weight in weights:
        total = 0.0
        units = []
        for row in weight:
            unit = []
            alive = False
            for image in x:
                z = sum(a * b for a, b in zip(image, row))
                if z > 0:
                    alive = True
                else:
                    z = slope * z
                unit.append(z)
                total += z**2
            units.append(unit)
            dead.append(not alive)
        count = len(weight)
        sizes.append(math.sqrt(total / count / len(x)))
        dead[-count:] = [sum(dead[-count:]) / count]
        x = list(zip(*units))
    return sizes, dead
