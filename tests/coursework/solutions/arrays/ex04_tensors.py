import numpy as np


def unbroadcast(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(d for d, n in enumerate(shape) if n < g.shape[d])
    return g.sum(axis=stretched, keepdims=True)


def mul_vjp(g, a, b):
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


def matmul_vjp(g, a, b):
    return unbroadcast(g @ b.mT, a.shape), unbroadcast(a.mT @ g, b.shape)


def sum_vjp(g, a, axis=None, keepdims=False):
    if axis is not None and not keepdims:
        g = np.expand_dims(g, axis)
    return np.broadcast_to(g, a.shape)
