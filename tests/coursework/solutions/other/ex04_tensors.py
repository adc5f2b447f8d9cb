import numpy as np


def unbroadcast(g, shape):
    while g.ndim > len(shape):
        g = np.einsum("i...->...", g)
    for d, length in enumerate(shape):
        if length == 1:
            g = np.add.reduce(g, d, keepdims=True)
    return g


def mul_vjp(g, a, b):
    whole = np.broadcast_arrays(a, b)
    return tuple(unbroadcast(g * other, t.shape) for t, other in zip((a, b), reversed(whole)))


def matmul_vjp(g, a, b):
    return (
        unbroadcast(np.einsum("...mn,...kn->...mk", g, b), a.shape),
        unbroadcast(np.einsum("...mk,...mn->...kn", a, g), b.shape),
    )


def sum_vjp(g, a, axis=None, keepdims=False):
    return np.ones(a.shape) * g.reshape(a.sum(axis, keepdims=True).shape)
