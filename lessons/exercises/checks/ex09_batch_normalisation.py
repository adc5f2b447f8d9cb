"""Checks of exercise 9."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen, gradient_agrees, refuses

CHANNEL = (0, 2, 3)  # what is summed over for each channel


def along(values):
    """(C,) as (C, 1, 1), to go with (N, C, H, W)."""
    return values[:, None, None]


def normalised(x, mean, var, eps):
    return (x - mean) / np.sqrt(var + eps)


def statistics(x, ddof=0):
    """Mean and variance of each channel, (1, C, 1, 1)."""
    return x.mean(CHANNEL, keepdims=True), x.var(CHANNEL, keepdims=True, ddof=ddof)


@check(points=2)
def training(student, rng):
    """In training, batch_norm normalises each channel over the batch and all pixels"""
    for shape, settings in (
        ((3, 2, 1, 4), {}),
        ((2, 3, 4, 1), {"eps": rng.uniform(0.1, 0.5)}),
        ((2, 1, 3, 4), {}),
        ((2, 1, 1, 1), {}),
        ((1, 2, 3, 4), {}),  # one image, far from 0
        ((1, 3, 2, 1), {}),  # one image, of small variance
    ):
        x, weight, bias = _problem(rng, shape)
        if shape == (1, 2, 3, 4):
            x = frozen(x + 1e6)
        if shape == (1, 3, 2, 1):
            x = frozen(0.02 * x)
        running_mean, running_var = rng.normal(size=shape[1]), rng.uniform(1, 2, size=shape[1])
        eps = settings.get("eps", 1e-5)
        mean, var = statistics(x)
        unbiased = statistics(x, ddof=1)[1]
        old = along(running_mean), along(running_var)
        moved = 0.9 * old[0] + 0.1 * mean, 0.9 * old[1] + 0.1 * unbiased
        x_hat = normalised(x, mean, var, eps)
        wrong = {
            "it is normalised by the running statistics": normalised(x, *old, eps),
            "it is normalised by the running statistics, after they have moved": normalised(x, *moved, eps),
            "the mean is over the images alone, where it should be over the pixels, too":
                normalised(x, x.mean(0), x.var(0), eps),
            "each image is normalised by itself":
                normalised(x, x.mean((2, 3), keepdims=True), x.var((2, 3), keepdims=True), eps),
            "it is divided by the unbiased variance, which is only for running_var": normalised(x, mean, unbiased, eps),
            "eps is added outside of the root": (x - mean) / (np.sqrt(var) + eps),
            "the root of the variance is missing": (x - mean) / (var + eps),
            "the variance is kept from being small: eps is all that should keep it from 0":
                normalised(x, mean, np.maximum(var, 0.01), eps),
        }  # fmt: skip
        slips = {sentence: value * along(weight) + along(bias) for sentence, value in wrong.items()}
        agree(
            _one_image(student, x, weight, bias, running_mean.copy(), running_var.copy(), settings),
            x_hat * along(weight) + along(bias),
            "the result in training",
            given={"x": x, "weight": weight, "bias": bias, "training": True, **settings} | _why_far(x),
            slips=slips | {"weight and bias are missing": x_hat, "the bias is missing": x_hat * along(weight)},
        )
    x = frozen(rng.normal(size=(1, 2, 1, 1)))
    mean, var = np.ones(2), np.ones(2)
    refuses(
        lambda: student.batch_norm(x, np.ones(2), np.ones(2), mean, var, True), ValueError,
        "batch_norm in training, of one image of one pixel,",
    )  # fmt: skip
    expect(
        (mean == 1).all() and (var == 1).all(),
        "batch_norm raised its error for one value in a channel after it had changed the running statistics: look first",
    )


@check(points=2)
def running(student, rng):
    """In training, running_mean and running_var move towards the batch's, in place"""
    for settings in ({}, {"momentum": rng.uniform(0.3, 0.4)}):
        momentum = settings.get("momentum", 0.1)
        mean, var = rng.normal(size=3), rng.uniform(1, 2, size=3)
        for _ in range(2):
            x, weight, bias = _problem(rng, (2, 3, 2, 1))
            before_mean, before_var = mean.copy(), var.copy()
            student.batch_norm(x, weight, bias, mean, var, True, **settings)
            given = {"x": x, "running_mean before": before_mean, "running_var before": before_var, "momentum": momentum}
            _moved(mean, before_mean, x.mean(CHANNEL), momentum, "running_mean", given, {})
            _moved(
                var, before_var, x.var(CHANNEL, ddof=1), momentum, "running_var", given,
                {
                    "it moves towards the biased variance: multiply by m / (m - 1)": x.var(CHANNEL),
                    "it moves towards the standard deviation": x.std(CHANNEL, ddof=1),
                    "it moves towards the variance with eps": x.var(CHANNEL) + 1e-5,
                },
            )  # fmt: skip


def _one_image(student, x, weight, bias, mean, var, settings):
    """batch_norm in training, which must not refuse one image of several pixels."""
    try:
        return student.batch_norm(x, weight, bias, mean, var, True, **settings)
    except ValueError as error:
        if len(x) > 1 or "read-only" in str(error):
            raise
        raise Mistake(
            f"batch_norm in training fails for x of shape {x.shape}: {error}. One image is enough if it has several pixels: "
            "count the values of a channel, N H W, not the images"
        ) from None


def _why_far(x):
    """What to look at where x is far from 0."""
    if abs(x).min() < 1e5:
        return {}
    return {
        "x.min()": float(x.min()),
        "note": "far from 0, E[x^2] - E[x]^2 loses all digits: subtract the mean, then square",
    }


def _moved(found, before, batch, momentum, name, given, others):
    """Whether a running statistic has moved by the share `momentum`. others: {sentence: towards what else}."""
    slips = {
        f"{name} has not moved: change the array that was given, in place": before,
        "momentum is the share of the new value, not of the old one": momentum * before + (1 - momentum) * batch,
        "the old value is not kept in part: it is the batch's": batch,
        "it is the sum, and the old value is not made smaller by 1 - momentum": before + momentum * batch,
    }
    slips |= {sentence: (1 - momentum) * before + momentum * wrong for sentence, wrong in others.items()}
    agree(found, (1 - momentum) * before + momentum * batch, f"{name} after a batch", given, slips)


@check(points=2)
def in_use(student, rng):
    """Not in training, batch_norm normalises by the running statistics, and leaves them alone"""
    for shape, settings in (((2, 3, 2, 1), {}), ((3, 2, 1, 2), {"eps": rng.uniform(0.1, 0.5)}), ((1, 2, 1, 1), {})):
        x, weight, bias = _problem(rng, shape)
        mean, var = rng.normal(size=shape[1]), rng.uniform(0.1, 2, size=shape[1])
        if shape[0] == 1:
            var *= 1e-3  # a channel that hardly varies
        before, eps = (mean.copy(), var.copy()), settings.get("eps", 1e-5)
        given = {
            "x": x,
            "weight": weight,
            "bias": bias,
            "running_mean": before[0],
            "running_var": before[1],
            **settings,
        }
        agree(
            student.batch_norm(x, weight, bias, mean, var, False, **settings),
            normalised(x, along(before[0]), along(before[1]), eps) * along(weight) + along(bias),
            "the result in use", given,
            slips={
                "it is normalised by the batch's statistics, as in training":
                    normalised(x, *statistics(x), eps) * along(weight) + along(bias),
                "it is divided by running_var, without the root":
                    (x - along(before[0])) / along(before[1] + eps) * along(weight) + along(bias),
                "running_var is kept from being small: eps is all that should keep it from 0":
                    normalised(x, along(before[0]), along(np.maximum(before[1], 0.01)), eps) * along(weight) + along(bias),
            },
        )  # fmt: skip
        expect(
            np.array_equal(mean, before[0]) and np.array_equal(var, before[1]),
            "the running statistics have changed, and training was False: in use they stay as they are",
            given,
        )


@check(points=4)
def gradient(student, rng):
    """batch_norm_backward gives the gradients with respect to x, weight and bias, in training"""
    for shape, settings in (((2, 3, 2, 1), {}), ((3, 2, 1, 2), {"eps": rng.uniform(0.1, 0.5)})):
        x, weight, bias = _problem(rng, shape)
        _gradient(student, frozen(rng.normal(size=shape)), x, weight, bias, settings)


def _gradient(student, g, x, weight, bias, settings):
    eps = settings.get("eps", 1e-5)
    given = {"g": g, "x": x, "weight": weight, **settings}
    found = student.batch_norm_backward(g, x, weight, **settings)
    expect(
        isinstance(found, (tuple, list)) and len(found) == 3,
        f"batch_norm_backward should return three arrays; it returned {type(found).__name__}",
        given,
    )

    def loss(x, weight, bias):
        return (g * (normalised(x, *statistics(x), eps) * along(weight) + along(bias))).sum()

    mean, var = statistics(x)
    s = np.sqrt(var + eps)
    x_hat = normalised(x, mean, var, eps)
    h = g * along(weight)
    level, stretch = h.mean(CHANNEL, keepdims=True), x_hat * (h * x_hat).mean(CHANNEL, keepdims=True)
    gradient_agrees(
        found[0], lambda v: loss(v, weight, bias), x, "the gradient with respect to x", given,
        slips={
            "mean and variance are taken for constants, as in use: two of the three terms are missing": h / s,
            "the term of the variance is missing": (h - level) / s,
            "the term of the mean is missing": (h - stretch) / s,
            "weight is missing": (h - level - stretch) / s / along(weight),
            "the division by the standard deviation is missing": h - level - stretch,
            "the division is by the variance, not by its root": (h - level - stretch) / s**2,
            "the sums over the channel are not divided by the number of its values":
                (h - (level + stretch) * x[:, 0].size) / s,
        },
    )  # fmt: skip
    gradient_agrees(
        found[1], lambda v: loss(x, v, bias), weight, "the gradient with respect to weight", given,
        slips={
            "x is not normalised": (g * x).sum(CHANNEL),
            "it is the mean over the channel, where it should be the sum": (g * x_hat).mean(CHANNEL),
            "it is summed over the images alone": (g * x_hat).sum(0),
        },
    )  # fmt: skip
    gradient_agrees(
        found[2], lambda v: loss(x, weight, v), bias, "the gradient with respect to bias", given,
        slips={
            "it is the mean over the channel, where it should be the sum": g.mean(CHANNEL),
            "it is summed over the images alone": g.sum(0),
            "weight is in it": h.sum(CHANNEL),
        },
    )  # fmt: skip


def _problem(rng, shape):
    """Frozen (x, weight, bias); no channel of x is nearly constant, which would make its gradient steep."""
    count = shape[0] * shape[2] * shape[3]
    x = rng.uniform(-0.2, 0.2, size=shape)
    spread = rng.permuted(np.tile(np.linspace(-1, 1, count), (shape[1], 1)), axis=1)  # (C, N H W)
    x += spread.reshape(shape[1], shape[0], *shape[2:]).swapaxes(0, 1) + along(rng.normal(size=shape[1]))
    return frozen(x), frozen(rng.uniform(0.5, 2, size=shape[1])), frozen(rng.normal(size=shape[1]))
