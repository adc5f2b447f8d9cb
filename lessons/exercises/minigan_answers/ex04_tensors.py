"""Exercise 4 by minigan's engine."""

from minigan.tensor import Tensor, grad


def unbroadcast(g, shape):
    """By the engine's one place for it."""
    return Tensor(g).sum_to(shape).data


def mul_vjp(g, a, b):
    """By the walk."""
    a, b = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    return [t.data for t in grad(a * b, (a, b), Tensor(g))]


def matmul_vjp(g, a, b):
    """By the walk."""
    a, b = Tensor(a, requires_grad=True), Tensor(b, requires_grad=True)
    return [t.data for t in grad(a @ b, (a, b), Tensor(g))]


def sum_vjp(g, a, axis=None, keepdims=False):
    """By the walk."""
    a = Tensor(a, requires_grad=True)
    return grad(a.sum(axis, keepdims), a, Tensor(g))[0].data
