"""Checks of exercise 12."""

import math
from itertools import pairwise

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen, gradient_agrees, refuses


def leaky(z, slope):
    return np.where(z > 0, z, slope * z)


@check(points=2)
def fan_in_and_out(student, rng):
    """fans counts inputs and outputs, times the taps of a kernel"""
    out, into, rows, columns = (int(n) for n in rng.permutation([2, 3, 5, 7]))
    for shape in ((out, into), (out, into, rows, columns)):
        taps = math.prod(shape[2:])
        agree(
            student.fans(shape), [into * taps, out * taps], f"fans({shape})",
            slips={
                "fan_in and fan_out are exchanged: a weight is (out, in, ...)": [out * taps, into * taps],
                "the taps of the kernel are missing": [into, out],
                "the taps count for fan_in only": [into * taps, out],
            },
        )  # fmt: skip
    for shape in ((4,), ()):
        refuses(lambda: student.fans(shape), ValueError, f"fans({shape})")  # noqa: B023


def precise(array, name):
    dtype = getattr(array, "dtype", np.dtype(float))
    expect(dtype == np.float64, f"{name} makes {dtype} from float64: it should keep the precision of what it gets")


@check(points=2)
def he(student, rng):
    """kaiming_normal scales standard normal numbers to variance 2 / ((1 + a^2) fan_in)"""
    for shape in ((3, 5), (2, 3, 4, 5)):
        a, seed = rng.uniform(0.2, 0.9), int(rng.integers(1000))
        normals, fan_in, taps = (
            np.random.default_rng(seed).standard_normal(shape),
            math.prod(shape[1:]),
            math.prod(shape[2:]),
        )
        for settings in ({}, {"a": a}):
            variance = 2 / ((1 + settings.get("a", 0) ** 2) * fan_in)
            fan_out = shape[0] * taps
            found = student.kaiming_normal(shape, np.random.default_rng(seed), **settings)
            agree(
                found, math.sqrt(variance) * normals,
                f"kaiming_normal({shape}, np.random.default_rng({seed})" + "".join(f", {k}={v!r}" for k, v in settings.items()) + ")",
                slips={
                    "it is scaled by the variance, not by its root": variance * normals,
                    "fan_out is taken for fan_in": math.sqrt(variance * fan_in / fan_out) * normals,
                    "it is Glorot's variance, 2 / (fan_in + fan_out)": math.sqrt(2 / (fan_in + fan_out)) * normals,
                    "the 2 is missing": math.sqrt(variance / 2) * normals,
                    "the slope a is not used": math.sqrt(2 / fan_in) * normals,
                    "a is not squared": math.sqrt(2 / ((1 + settings.get("a", 0)) * fan_in)) * normals,
                    "the taps of the kernel are missing": math.sqrt(variance * taps) * normals,
                },
            )  # fmt: skip
            precise(found, "kaiming_normal")


@check(points=3)
def gradient(student, rng):
    """leaky_relu_gradient is g where x > 0, elsewhere slope * g"""
    for shape in ((2, 3), (4,)):
        x = frozen(
            rng.uniform(0.5, 2, size=shape) * rng.permutation(np.arange(math.prod(shape)) % 2 * 2 - 1).reshape(shape)
        )
        g, slope = frozen(rng.normal(size=shape)), rng.uniform(0.1, 0.4)
        found = student.leaky_relu_gradient(g, x, slope)
        gradient_agrees(
            found,
            lambda v: (g * leaky(v, slope)).sum(), x, "the gradient of (g * leaky_relu(x)).sum()",  # noqa: B023
            given={"g": g, "x": x, "slope": slope},
            slips={
                "the incoming gradient g is missing": np.where(x > 0, 1, slope),
                "it is leaky_relu itself, times g": g * leaky(x, slope),
                "it is leaky_relu of g: the sign of x decides, not that of g": leaky(g, slope),
                "it is the gradient of a ReLU: the slope is missing": g * (x > 0),
                "the two sides are exchanged": np.where(x > 0, slope * g, g),
                "where x is not above 0, it is the slope, without g": np.where(x > 0, g, slope),
            },
        )  # fmt: skip
        precise(found, "leaky_relu_gradient")
    x, g = frozen([-1.0, 0.0, 1.0]), frozen([2.0, 2.0, 2.0])
    agree(student.leaky_relu_gradient(g, x, 0.25), [0.5, 0.5, 2], "the gradient", {"g": g, "x": x, "slope": 0.25},
          {"at 0 it takes the slope of the positive side": [0.5, 2, 2]})  # fmt: skip
    agree(student.leaky_relu_gradient(g, x, 0.0), [0, 0, 2], "the gradient of a ReLU", {"g": g, "x": x, "slope": 0.0})


@check(points=3)
def inside(student, rng):
    """look_inside gives each layer's size, and its share of dead units"""
    for widths, slope in (((3, 5, 2, 4), rng.uniform(0.1, 0.4)), ((2, 6, 5), 0.0)):
        x = frozen(rng.normal(size=(3, widths[0])))
        weights = [frozen(rng.normal(size=(b, a))) for a, b in pairwise(widths)]
        given = {"x": x, "weights": weights, "slope": slope}
        found = student.look_inside(x, weights, slope)
        expect(
            isinstance(found, (tuple, list)) and len(found) == 2,
            f"look_inside should return two sequences, (sizes, dead); it returned {type(found).__name__}",
        )
        sizes, dead, zs, ys = [], [], [], []
        y = x
        for weight in weights:
            zs.append(y @ weight.T)
            y = leaky(zs[-1], slope)
            ys.append(y)
            sizes.append(np.sqrt(np.mean(y**2)))
            dead.append(np.mean((zs[-1] <= 0).all(axis=0)))
        agree(
            found[0], sizes, "the sizes", given,
            {
                "the root is missing": np.square(sizes),
                "it is the standard deviation: the mean is taken off": [y.std() for y in ys],
                "it is the norm: divide by the number of elements, under the root": [np.linalg.norm(y) for y in ys],
                "it is the size of z, before the activation": [np.sqrt(np.mean(z**2)) for z in zs],
                "it is the mean of the absolute values": [np.abs(y).mean() for y in ys],
                "there is no activation between the layers": _without_activation(x, weights),
            },
        )  # fmt: skip
        agree(
            found[1], dead, "the shares of dead units", given,
            {
                "it is the share of single values that are not above 0": [np.mean(z <= 0) for z in zs],
                "it is the share of units that are not above 0 for some input": [np.mean((z <= 0).any(axis=0)) for z in zs],
                "it is the share of inputs without any unit above 0": [np.mean((z <= 0).all(axis=1)) for z in zs],
                "it is the number of dead units, not their share": [np.sum((z <= 0).all(axis=0)) for z in zs],
                "it is the share of units that live": 1 - np.array(dead),
            },
        )  # fmt: skip
    x, weights = frozen([[0.0, -1.0, 1.0], [0.0, -2.0, -3.0]]), [frozen(np.eye(3))]
    _, dead = student.look_inside(x, weights, 0.5)
    agree(dead, [2 / 3], "the shares of dead units", {"x": x, "weights": weights, "slope": 0.5},
          {"a unit that is exactly 0 counts as living": [1 / 3]})  # fmt: skip


def _without_activation(x, weights):
    sizes = []
    for weight in weights:
        x = x @ weight.T
        sizes.append(np.sqrt(np.mean(x**2)))
    return sizes
