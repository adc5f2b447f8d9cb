import numpy as np

from minigan.tensor import Tensor, grad


def derivative(f, x):
    x = Tensor(x, requires_grad=True)
    return x, *grad(f(x).sum(), x, create_graph=True)


def hessian_vector(f, x, v):
    x, g = derivative(f, x)
    g.backward(Tensor(v))
    return x.grad.data


def r1_penalty(d, real, gamma):
    _, g = derivative(d, real)
    return gamma * (g * g).sum() / (2 * len(real))


def gradient_penalty(d, real, fake, t):
    x = np.moveaxis(t * np.moveaxis(real, 0, -1) + (1 - t) * np.moveaxis(fake.numpy(), 0, -1), -1, 0)
    _, g = derivative(d, x)
    squares = (g * g).reshape(len(t), -1).sum(1)
    return (squares - 2 * squares**0.5 + 1).mean()
