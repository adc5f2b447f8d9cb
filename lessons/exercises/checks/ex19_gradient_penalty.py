"""Checks of exercise 19."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen, gradient_agrees

from minigan.tensor import Tensor, grad

MAY_IMPORT = ("minigan.tensor",)


def slopes(w, x):
    """The gradient of each score of `Critic` with respect to its own image, flat: (N, D)."""
    flat = x.reshape(len(x), -1)
    return (1 - np.tanh(flat @ w) ** 2) @ w.T


class Critic:
    """d(x) = the sum of tanh(x w): a discriminator with one weight."""

    def __init__(self, w, column):
        self.w, self.column = Tensor(w.copy(), requires_grad=True), column

    def __call__(self, x):
        if not isinstance(x, Tensor):
            raise Mistake(f"d takes a Tensor; it was given a {type(x).__name__}")
        return (x.reshape(len(x), -1) @ self.w).tanh().sum(1, keepdim=self.column)  # (N, 1) or (N,)


def r1(w, x, gamma):
    return gamma / 2 * np.mean(np.sum(slopes(w, x) ** 2, axis=1))


def wgan_gp(w, x):
    return np.mean((np.linalg.norm(slopes(w, x), axis=1) - 1) ** 2)


def as_penalty(found, name):
    """The number, if it is a Tensor of one element."""
    why = "is there a `return`?" if found is None else "stay with Tensors, or the penalty has no gradient"
    expect(isinstance(found, Tensor), f"{name} should return a Tensor; it returned {type(found).__name__}: {why}")
    expect(found.data.size == 1, f"{name} should return one number; it returned the shape {found.shape}")
    return found.data.reshape(())


def gradient_in_weights(penalty, d, name):
    """The penalty's gradient in d's weights, an array."""
    (found,) = grad(penalty.reshape(()), d.w, allow_unused=True) if penalty.requires_grad else (None,)
    if found is None:
        raise Mistake(
            f"{name} is a number without a graph: its gradient with respect to d's weights would be 0. Ask the inner `grad` for "
            "create_graph=True, and stay with Tensors"
        )
    return found.data


def nothing_left(d, name):
    """Raises Mistake where d's weights have a gradient that nobody asked for."""
    expect(
        d.w.grad is None,
        f"after {name} the weights of d have a .grad, which they had not before: backward adds to every leaf that wants a "
        "gradient, and the optimizer would step by it. grad(scores, x, create_graph=True) asks for that of x alone",
    )


@check(points=3)
def hessian(student, rng):
    """hessian_vector is the matrix of second derivatives times v"""
    for shape in ((3,), (2, 3)):
        x, v, a = (frozen(rng.uniform(0.5, 2, size=shape)) for _ in range(3))
        matrix = frozen(rng.normal(size=(x.size, x.size)))
        given = {"x": x, "v": v, "a": a, "M": matrix}

        def f(t):
            expect(isinstance(t, Tensor), f"f takes a Tensor; it was given a {type(t).__name__}")
            flat = t.reshape(-1)
            return (t**3 * a).sum() + (flat @ matrix) @ flat  # noqa: B023

        def derivative(y):
            return 3 * a * y**2 + ((matrix + matrix.T) @ y.reshape(-1)).reshape(shape)  # noqa: B023

        try:
            answer = student.hessian_vector(f, x, v)
        except RuntimeError as error:
            if "does not depend on" not in str(error):
                raise
            raise Mistake(
                "hessian_vector differentiates a gradient that has no graph, for which x is nothing but a constant. "
                f"Ask the first `grad` for create_graph=True ({error})"
            ) from None
        agree(
            answer, 6 * a * x * v + ((matrix + matrix.T) @ v.reshape(-1)).reshape(shape),
            "H v of f(x) = (a x^3).sum() + x M x", given,
            slips={
                "it is the gradient of f, not yet that of <gradient, v>": derivative(x),
                "it is the gradient times v: it has to be differentiated once more": derivative(x) * v,
                "v is missing: it is the sum of H's columns": 6 * a * x + ((matrix + matrix.T) @ np.ones(x.size)).reshape(shape),
                "v is multiplied after the second gradient, element by element": v
                * (6 * a * x + ((matrix + matrix.T) @ np.ones(x.size)).reshape(shape)),
                "it is differentiated through f once, and not through its gradient": np.zeros(shape),
                "v is multiplied in twice": 6 * a * x * v**2 + ((matrix + matrix.T) @ (v**2).reshape(-1)).reshape(shape),
            },
        )  # fmt: skip
    x, v, a = (frozen(rng.uniform(0.5, 2, size=4)) for _ in range(3))
    agree(
        student.hessian_vector(lambda t: (((t - x) * 1e6).exp() * a).sum() * 1e-12, x, v), a * v,
        "H v of the steep f(y) = (a exp(10^6 (y - x))).sum() / 10^12 at y = x (derived by `grad`, not by differences)",
        {"x": x, "v": v, "a": a},
    )  # fmt: skip


@check(points=3)
def mescheder(student, rng):
    """r1_penalty is gamma / 2 times the mean squared slope at the real images, and can be differentiated"""
    for shape, column in (((3, 2), False), ((2, 1, 2, 2), True)):
        real, gamma = frozen(rng.normal(size=shape)), rng.uniform(0.5, 3)
        w = frozen(rng.normal(size=(real[0].size, 3)) * 0.6)
        d = Critic(w, column)
        penalty = student.r1_penalty(d, real, gamma)
        value, squares = r1(w, real, gamma), slopes(w, real) ** 2
        given = {"d": f"x -> tanh(x w).sum(1, keepdim={column}), x flat", "w": w, "real": real, "gamma": gamma}
        agree(
            as_penalty(penalty, "r1_penalty"), value, "R1", given,
            slips={
                "the factor 1/2 is missing": 2 * value,
                "gamma is missing": value / gamma,
                "it is the sum over the images, not their mean": value * len(real),
                "it is the mean over the elements too: |.|^2 is a sum": value / real[0].size,
                "the scores were averaged before their gradient: image n then counts 1/N, and its square 1/N^2": value / len(real) ** 2,
                "the norm is not squared": gamma / 2 * np.mean(np.sqrt(squares.sum(1))),
                "the slopes are summed over the images before they are squared": gamma / 2 * (slopes(w, real).sum(0) ** 2).sum() / len(real),
            },
        )  # fmt: skip
        nothing_left(d, "r1_penalty")
        found = gradient_in_weights(penalty, d, "r1_penalty")
        gradient_agrees(found, lambda u: r1(u, real, gamma), w, "the gradient of R1 with respect to w", given)  # noqa: B023


@check(points=4)
def gulrajani(student, rng):
    """gradient_penalty wants slopes of length 1 between real and fake, and leaves the generator alone"""
    for shape, column in (((3, 2), True), ((2, 1, 2, 2), False)):
        real, made, t = (
            frozen(rng.normal(size=shape)),
            frozen(rng.normal(size=shape)),
            frozen(rng.uniform(0.1, 0.9, size=shape[0])),
        )
        w = frozen(rng.normal(size=(real[0].size, 3)) * 0.6)
        d, latent = Critic(w, column), Tensor(made, requires_grad=True)
        fake = latent * 1.0  # on the graph of a generator
        penalty = student.gradient_penalty(d, real, fake, t)
        each = t.reshape(-1, *[1] * (real.ndim - 1))
        x = each * real + (1 - each) * made
        g = slopes(w, x)
        lengths = np.linalg.norm(g, axis=1)
        first = t[0] * real + (1 - t[0]) * made
        given = {"d": f"x -> tanh(x w).sum(1, keepdim={column}), x flat", "w": w, "real": real, "fake": made, "t": t}
        agree(
            as_penalty(penalty, "gradient_penalty"), wgan_gp(w, x), "the penalty", given,
            slips={
                "it is taken at the real images": wgan_gp(w, real),
                "it is taken at the generated images": wgan_gp(w, made),
                "real and fake are exchanged: t belongs to real": wgan_gp(w, each * made + (1 - each) * real),
                "one t is used for all images": wgan_gp(w, first),
                "it is the sum over the images, not their mean": wgan_gp(w, x) * len(real),
                "the 1 is not taken off": np.mean(lengths**2),
                "the root is missing: it is (|.|^2 - 1)^2": np.mean((lengths**2 - 1) ** 2),
                "the square around (|.| - 1) is missing": np.mean(lengths - 1),
                "the norm is that of the whole batch": (np.sqrt((g**2).sum()) - 1) ** 2,
                "the norm is over the mean of squares, not their sum": np.mean((np.sqrt((g**2).mean(1)) - 1) ** 2),
                "the scores were averaged before their gradient: each slope is divided by N": np.mean((lengths / len(real) - 1) ** 2),
            },
        )  # fmt: skip
        nothing_left(d, "gradient_penalty")
        found = gradient_in_weights(penalty, d, "gradient_penalty")
        gradient_agrees(found, lambda u: wgan_gp(u, x), w, "the gradient of the penalty with respect to w", given)  # noqa: B023
        (leak,) = grad(penalty.reshape(()), latent, allow_unused=True)
        expect(leak is None, "the penalty's gradient flows back into the generator: use fake.detach() (or fake.data)")
