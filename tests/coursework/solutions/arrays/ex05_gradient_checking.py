import numpy as np


def directional_difference(f, x, v, g, h=1e-5):
    return np.vdot(g, f(x + h * v) - f(x - h * v)) / (2 * h)


def gradient_is_right(f, vjp, x, rng, h=1e-5, rtol=1e-6, atol=1e-9):
    y = f(x)
    g = rng.standard_normal(y.shape)
    v = rng.standard_normal(x.shape)
    gradient, d = vjp(g, x), directional_difference(f, x, v, g, h)
    if gradient.shape != x.shape:
        return False
    rounding = atol * (1 + np.abs(np.vdot(g, y)))
    return np.abs(np.vdot(gradient, v) - d) <= rounding + rtol * np.maximum(np.linalg.norm(gradient), np.abs(d))


def worst_element(f, vjp, x, g, h=1e-5):
    axes = np.eye(x.size).reshape(x.size, *x.shape)
    numeric = np.reshape([directional_difference(f, x, axis, g, h) for axis in axes], x.shape)
    gradient = vjp(g, x)
    worst = np.unravel_index(np.argmax(np.abs(gradient - numeric)), x.shape)
    return worst, gradient[worst], numeric[worst]
