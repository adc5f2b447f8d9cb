import numpy as np


def unbroadcast(g, shape):
    total = np.zeros(shape)
    added = g.ndim - len(shape)
    for index in np.ndindex(g.shape):
        source = []
        for i, length in zip(index[added:], shape):
            source.append(i % length)
        total[tuple(source)] += g[index]
    return total


def mul_vjp(g, a, b):
    return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)


def matmul_vjp(g, a, b):
    *stack, rows, columns = g.shape
    inner = a.shape[-1]
    a_stack = np.broadcast_to(a, (*stack, rows, inner))
    b_stack = np.broadcast_to(b, (*stack, inner, columns))
    grad_a = np.zeros(a_stack.shape)
    grad_b = np.zeros(b_stack.shape)
    for index in np.ndindex(*stack):
        for m in range(rows):
            for n in range(columns):
                for k in range(inner):
                    grad_a[index][m, k] += g[index][m, n] * b_stack[index][k, n]
                    grad_b[index][k, n] += g[index][m, n] * a_stack[index][m, k]
    return unbroadcast(grad_a, a.shape), unbroadcast(grad_b, b.shape)


def sum_vjp(g, a, axis=None, keepdims=False):
    if axis is None:
        axis = range(a.ndim)
    elif isinstance(axis, int):
        axis = [axis]
    summed = [d % a.ndim for d in axis]
    gradient = np.empty(a.shape)
    for index in np.ndindex(a.shape):
        place = []
        for d, i in enumerate(index):
            if d not in summed:
                place.append(i)
            elif keepdims:
                place.append(0)
        gradient[index] = g[tuple(place)]
    return gradient
