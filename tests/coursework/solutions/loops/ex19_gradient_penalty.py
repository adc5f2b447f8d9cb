from minigan.tensor import Tensor, grad


def hessian_vector(f, x, v):
    x = Tensor(x, requires_grad=True)
    (gradient,) = grad(f(x), x, create_graph=True)
    product = (gradient * Tensor(v)).sum()
    (answer,) = grad(product, x)
    return answer


def squared_slope(d, image):
    image = Tensor(image, requires_grad=True)
    score = d(image)
    (slope,) = grad(score, image, create_graph=True)
    return (slope**2).sum()


def r1_penalty(d, real, gamma):
    total = 0.0
    for n in range(len(real)):
        total = total + squared_slope(d, real[n : n + 1])
    return total * (gamma / 2) / len(real)


def gradient_penalty(d, real, fake, t):
    total = 0.0
    for n in range(len(real)):
        between = t[n] * real[n : n + 1] + (1 - t[n]) * fake.data[n : n + 1]
        total = total + (squared_slope(d, between).sqrt() - 1) ** 2
    return total / len(real)
