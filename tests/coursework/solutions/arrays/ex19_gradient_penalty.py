from minigan.tensor import Tensor, grad


def hessian_vector(f, x, v):
    x = Tensor(x, requires_grad=True)
    (g,) = grad(f(x), x, create_graph=True)
    (answer,) = grad(g, x, grad_outputs=Tensor(v))
    return answer


def slopes(d, x):
    scores = d(x)
    (g,) = grad(scores.sum(), x, create_graph=True)
    return g.flatten(1)


def r1_penalty(d, real, gamma):
    return (slopes(d, Tensor(real, requires_grad=True)) ** 2).sum(1).mean() * (gamma / 2)


def gradient_penalty(d, real, fake, t):
    t = t.reshape(-1, *(1 for _ in real.shape[1:]))
    x = Tensor(fake.data + t * (real - fake.data), requires_grad=True)
    return (((slopes(d, x) ** 2).sum(1).sqrt() - 1) ** 2).mean()
