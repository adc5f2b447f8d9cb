"""Checks of exercise 10."""

from functools import partial

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, frozen, gradient_agrees, refuses


def softplus(x):
    return np.logaddexp(0, x)


def sigmoid(x):
    return np.exp(-softplus(-x))


def without_overflow(function, *arguments):
    """What the student's function returns; Mistake if it overflows on the way."""
    try:
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            return function(*arguments)
    except (FloatingPointError, OverflowError) as error:
        shown = ", ".join(repr(a) for a in arguments)
        raise Mistake(
            f"{function.__name__}({shown}): {error}. Take exponentials only of numbers that are not positive (np.where "
            "computes both of its sides), and no logarithm of a 1 - p that may have been rounded to 0"
        ) from None


@check(points=3)
def loss(student, rng):
    """bce_with_logits is right for every logit"""
    for shape in ((3,), (2, 1, 3)):
        x, y = _problem(rng, shape)
        losses = softplus(x) - y * x
        agree(
            student.bce_with_logits(x, y), losses.mean(), "the loss", given={"x": x, "y": y},
            slips={
                "it is the sum, not the mean": losses.sum(),
                "the mean is over the first dimension alone": losses.mean(axis=0),
                "its sign is wrong": -losses.mean(),
                "the term of the label 0, log(1 - p), is missing": (y * softplus(-x)).mean(),
                "the term of the label 1, log p, is missing": ((1 - y) * softplus(x)).mean(),
                "the labels 0 and 1 are exchanged": (softplus(x) - (1 - y) * x).mean(),
                "x is taken for a probability's negative logit": (softplus(-x) + y * x).mean(),
            },
        )  # fmt: skip
    for x, y, expected in (
        (1000, 0, 1000),
        (-1000, 1, 1000),
        (1000, 1, 0),
        (-1000, 0, 0),
        (-800, 0.25, 200),
        (800, 0.25, 600),
        (0, 0, np.log(2)),
        (0, 1, np.log(2)),
    ):
        _at_one(student.bce_with_logits, (x, y), expected, "the loss")
    for x, y in ((40, 1), (-40, 0)):
        _at_one(student.bce_with_logits, (x, y), np.log1p(np.exp(-40)), "the loss of a right answer at 40")
    single = {"x": frozen(-0.7), "y": frozen(1.0)}
    agree(student.bce_with_logits(*single.values()), softplus(0.7), "the loss of an array without dimensions", single)


@check(points=3)
def gradient(student, rng):
    """bce_with_logits_gradient is its gradient"""
    for shape in ((3,), (2, 1, 3)):
        x, y = _problem(rng, shape)
        gradient_agrees(
            student.bce_with_logits_gradient(x, y), lambda v, y=y: np.mean(softplus(v) - y * v), x,
            "the gradient of the loss", given={"x": x, "y": y},
            slips={
                "it is that of the sum: divide by the number of elements": sigmoid(x) - y,
                "it is divided by the length of the first dimension, not by the number of elements":
                    (sigmoid(x) - y) / len(x),
                "its sign is wrong": (y - sigmoid(x)) / x.size,
                "the labels are missing": sigmoid(x) / x.size,
                "it is the gradient with respect to p, not x": (1 - y / sigmoid(x)) / sigmoid(-x) / x.size,
                "the derivative of the sigmoid is in it once too often":
                    (sigmoid(x) - y) * sigmoid(x) * sigmoid(-x) / x.size,
            },
        )  # fmt: skip
    for x, y, expected in (
        (1000, 1, 0),
        (-1000, 0, 0),
        (1000, 0, 1),
        (-1000, 1, -1),
        (-800, 0.25, -0.25),
        (20, 0, sigmoid(20)),
        (0, 0, 0.5),
        (0, 1, -0.5),
    ):
        _at_one(student.bce_with_logits_gradient, (x, y), expected, "the gradient")
    _at_one(student.bce_with_logits_gradient, (-40, 0), sigmoid(-40), "the gradient of a right answer at -40")
    single = {"x": frozen(-0.7), "y": frozen(1.0)}
    found = student.bce_with_logits_gradient(*single.values())
    agree(found, -sigmoid(0.7), "the gradient for an array without dimensions", single)


@check(points=2)
def generator(student, rng):
    """generator_loss is -log p, or log(1 - p)"""
    x, _ = _problem(rng, (2, 1, 3))
    right = {"nonsaturating": softplus(-x).mean(), "minimax": -softplus(x).mean()}
    slips = {
        "it is the loss of the other kind": lambda: right["minimax" if kind == "nonsaturating" else "nonsaturating"],
        "its sign is wrong": lambda: -right[kind],
        "it is D's loss for generated images, log(1 - p) with the wrong sign": softplus(x).mean(),
        "it is the sum, not the mean": lambda: right[kind] * x.size,
    }
    for kind, expected in right.items():
        agree(student.generator_loss(x, kind), expected, f'generator_loss(x, "{kind}")', {"x": x}, slips)
    agree(student.generator_loss(x), right["nonsaturating"], "generator_loss(x), by default nonsaturating,", {"x": x})
    for kind, sign in (("nonsaturating", 1), ("minimax", -1)):
        for x, expected in ((-1000, 1000), (1000, 0), (40, np.log1p(np.exp(-40))), (0, np.log(2))):
            _at_one(student.generator_loss, (sign * x, kind), sign * expected, f"the {kind} loss")
    refuses(partial(student.generator_loss, np.zeros(2), "wasserstein"), ValueError,
            'generator_loss of a kind that it does not know, "wasserstein",', ["wasserstein"])  # fmt: skip


@check(points=2)
def generator_gradient(student, rng):
    """generator_loss_gradient is its gradient"""
    x, _ = _problem(rng, (2, 1, 3))
    for kind, push in (("nonsaturating", -sigmoid(-x)), ("minimax", -sigmoid(x))):
        agree(
            student.generator_loss_gradient(x, kind), push / x.size, f'generator_loss_gradient(x, "{kind}")', {"x": x},
            slips={
                "it is that of the other kind": (-1 - push) / x.size,
                "its sign is wrong: both losses push x up": -push / x.size,
                "it is that of the sum: divide by the number of elements": push,
                "it is divided by the length of the first dimension, not by the number of elements": push / len(x),
                "it is the gradient of log D with the label exchanged": (1 + push) / x.size,
            },
        )  # fmt: skip
    default = student.generator_loss_gradient(x)
    agree(default, -sigmoid(-x) / x.size, "generator_loss_gradient(x), by default nonsaturating,", {"x": x})
    for kind, x, expected in (
        ("nonsaturating", -1000, -1), ("nonsaturating", 1000, 0), ("minimax", -1000, 0), ("minimax", 1000, -1),
        ("minimax", -40, -sigmoid(-40)), ("nonsaturating", 0, -0.5), ("minimax", 0, -0.5),
    ):  # fmt: skip
        _at_one(student.generator_loss_gradient, (x, kind), expected, f"the gradient of the {kind} loss")
    refuses(partial(student.generator_loss_gradient, np.zeros(2), "wasserstein"), ValueError,
            'generator_loss_gradient of a kind that it does not know, "wasserstein",', ["wasserstein"])  # fmt: skip


def _at_one(function, arguments, expected, what):
    """Checks a function at one logit: without overflow, and to 6 digits of the result, however small it is."""
    x, other = arguments
    other = other if isinstance(other, str) else np.array([other], float)
    found = without_overflow(function, np.array([x], float), other)
    slips = {}
    if x == 0:
        slips["the logit 0 was forgotten, and its place left 0: it is neither in x > 0 nor in x < 0"] = 0.0
    slips |= {
        "it is clamped: a logarithm was kept from going below -100": 100.0,
        "1 - p, or 1 + exp(-|x|), was rounded: take sigmoid(-x) for 1 - p, and np.log1p": 0.0,
    }
    for least in 10.0 ** -np.arange(4, 17):
        sentence = f"p was kept in {least:.0e} to 1 - {least:.0e} (the gradient there would be 0), or {least:.0e} was added to it"
        slips[sentence] = -np.log(1 - (1 - least))
    given = {"x": np.array([x], float), "y or kind": other}
    agree(np.reshape(found, ()), expected, f"{what}, x = {x},", given, slips, atol=1e-300)


def _problem(rng, shape):
    """Frozen (x, y): logits of both signs, labels of which at least one is 0, one is 1 and one is between."""
    size = int(np.prod(shape))
    x = rng.uniform(0.3, 3, size=size) * rng.permutation([1, -1, 1, -1, 1, -1][:size])
    y = np.concatenate([[0, 1], rng.uniform(0.1, 0.4, size=size - 2)])
    return frozen(x.reshape(shape)), frozen(rng.permutation(y).reshape(shape))
