"""Checks of exercise 2."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen, gradient_agrees


def softplus(s):
    return np.logaddexp(0, s)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


@check(points=3)
def central_differences(student, rng):
    """numeric_gradient takes (f(x + h) - f(x - h)) / 2h, element by element"""
    for shape in ((), (3,), (2, 3)):
        x, a, h = frozen(rng.normal(size=shape)), rng.normal(size=shape), rng.uniform(0.05, 0.2)
        agree(
            student.numeric_gradient(lambda v: float((a * v**3).sum()), x, h),
            a * (3 * x**2 + h**2),  # of a cubic, central differences are off by exactly h^2
            "the gradient of (a * x**3).sum()",
            given={"x": x, "a": a, "h": h},
            slips={
                "the difference is forward, f(x + h) - f(x), not central": a * (3 * x**2 + 3 * x * h + h**2),
                "the difference is divided by h where it should be by 2h": 2 * a * (3 * x**2 + h**2),
                "h is not used: the function should take the step it is given": a * (3 * x**2 + 1e-10),
            },
        )
    x, h = frozen(rng.permutation([-2, 1, 3])), rng.uniform(0.05, 0.2)
    agree(
        student.numeric_gradient(lambda v: float((0.3 * v**3).sum()), x, h), 0.3 * (3 * x**2 + h**2),
        "the gradient of (0.3 * x**3).sum(), x holding ints,", given={"x": x, "h": h},
        slips={
            "x was nudged as an array of ints, which drops what comes behind the point: nudge a copy of floats":
                lambda: _truncated(x, h),
            "the gradient was kept in an array of ints, as np.zeros_like(x) is one: what comes behind the point is lost":
                np.trunc(0.3 * (3 * x**2 + h**2)),
        },
    )  # fmt: skip


def _truncated(x, h):
    return np.array([0.3 * (int(v + h) ** 3 - int(v - h) ** 3) / (2 * h) for v in x])


@check(points=1)
def central_differences_mix(student, rng):
    """numeric_gradient nudges one element at a time, in a copy of x"""
    x = rng.normal(size=(2, 2))
    before, seen = x.copy(), []
    gradient = student.numeric_gradient(lambda v: float(np.prod(v)), x, 0.1)
    agree(gradient, np.prod(before) / before, "the gradient of x.prod() with h = 0.1", given={"x": before})
    student.numeric_gradient(lambda v: seen.append(np.abs(v - before).max()) or 0.0, x)
    expect(
        np.allclose(seen, 1e-5, rtol=1e-3),
        f"without an h, x should be nudged by 1e-5; it was nudged by up to {max(seen, default=0):g}",
    )
    expect(
        np.array_equal(x, before),
        f"x has changed, by up to {np.abs(x - before).max():g}: nudge a copy of it",
        given={"x before": before, "x after": x},
    )


@check(points=2)
def loss(student, rng):
    """logistic_loss is the mean of softplus(s) - y s"""
    _loss(student, *_problem(rng))
    _loss(student, *_problem(rng, 1))


def _loss(student, w, x, y):
    s = x @ w
    agree(
        student.logistic_loss(w, x, y), np.mean(softplus(s) - y * s), "the loss",
        given={"w": w, "x": x, "y": y},
        slips={
            "it is the sum over the images, not their mean": np.sum(softplus(s) - y * s),
            "real and fake are exchanged": np.mean(softplus(s) - (1 - y) * s),
        },
    )  # fmt: skip


@check(points=4)
def gradient(student, rng):
    """logistic_loss_gradient is the gradient of that loss"""
    _gradient(student, *_problem(rng))
    _gradient(student, *_problem(rng, 1))


def _gradient(student, w, x, y):
    error = sigmoid(x @ w) - y
    gradient_agrees(
        student.logistic_loss_gradient(w, x, y),
        lambda v: np.mean(softplus(x @ v) - y * (x @ v)),
        w,
        "the gradient of the loss in w",
        given={"w": w, "x": x, "y": y},
        slips={
            "the mean over the images is missing: it is their sum": x.T @ error,
            "the sum over the images is missing: it is that of the first alone": error[0] * x[0] / len(x),
            "the inner derivative, x, is missing": np.full(w.shape, error.mean()),
            "its sign is wrong": -(x.T @ error) / len(x),
            "the labels are missing": x.T @ sigmoid(x @ w) / len(x),
        },
    )


def _problem(rng, images=None):
    count, size = images or rng.integers(2, 6), rng.integers(2, 5)
    y = rng.permutation(np.arange(count) % 2)
    return frozen(rng.normal(size=size)), frozen(rng.normal(size=(count, size))), frozen(y)
