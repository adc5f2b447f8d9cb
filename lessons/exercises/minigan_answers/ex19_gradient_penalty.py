"""Exercise 19: minigan has no penalties; lesson 19 writes one in three lines, and these are like it."""

from minigan.tensor import Tensor, grad


def hessian_vector(f, x, v):
    """As minigan's gradcheck of order 2 goes about it."""
    x = Tensor(x, requires_grad=True)
    (g,) = grad(f(x), x, create_graph=True)
    return grad((g * v).sum(), x)[0].data


def r1_penalty(d, real, gamma):
    """The lesson's."""
    slope = _slope(d, Tensor(real, requires_grad=True))
    return (slope * slope).sum() * (gamma / 2 / len(real))


def gradient_penalty(d, real, fake, t):
    """The same slope elsewhere."""
    t = t.reshape(-1, *[1] * (real.ndim - 1))
    slope = _slope(d, Tensor(t * real + (1 - t) * fake.data, requires_grad=True))
    lengths = (slope * slope).flatten(1).sum(1).sqrt()  # (N,)
    return ((lengths - 1) ** 2).mean()


def _slope(d, x):
    return grad(d(x).sum(), x, create_graph=True)[0]
