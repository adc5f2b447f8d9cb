"""Checks of exercise 4."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen, gradient_agrees


@check(points=3)
def broadcasting(student, rng):
    """unbroadcast sums over the dimensions that were added or stretched"""
    shapes = [((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), (1, 3)), ((2, 3), (1, 1)), ((2, 3), ()), ((2, 3), (2, 3)), ((3,), (1,)),
              ((1, 3), (1, 3)), ((3, 3), (3,)), ((4, 2, 3), (2, 1)), ((4, 2, 3), (1, 3)), ((2, 1, 3), (1, 1)), ((5, 4, 2, 3), (4, 1, 3)), ((2, 3, 4), (4,))]  # fmt: skip
    for _ in range(3):
        whole = tuple(int(n) for n in rng.permutation([2, 3, 4]))
        part = whole[rng.integers(3) :]
        shapes.append((whole, tuple(1 if rng.integers(2) else n for n in part)))
    for whole, shape in shapes:
        g = frozen(rng.normal(size=whole))
        expected = _summed(g, shape)
        added = len(whole) - len(shape)
        no_ones = [n for n in shape if n > 1]
        slips = {
            "only the dimensions that were added are summed, not those that were stretched": g.sum(tuple(range(added))),
            "it is a mean: copies of a number each move the loss, so their gradients add": expected * expected.size / g.size,
            "the stretched dimensions are gone: keep them, with length 1": expected.reshape(no_ones),
            "nothing was summed": g,
            "added dimensions were summed at the end of the shape: NumPy adds them in front": g.sum(tuple(range(-added, 0))),
        }  # fmt: skip
        agree(student.unbroadcast(g, shape), expected, f"unbroadcast(g, {shape})", {"g": g}, slips)
    g = rng.normal(size=(2, 3, 4))
    g[1] = 1e-4 * g[1] - g[0]
    answer = student.unbroadcast(frozen(g), (3, 1))
    what = "unbroadcast(g, (3, 1)), where g[0] and g[1] nearly cancel (float32 keeps too few digits for that: stay in float64),"
    agree(answer, _summed(g, (3, 1)), what, {"g": g})


@check(points=2)
def products(student, rng):
    """mul_vjp is the gradient of <g, a * b>, where a and b broadcast"""
    for shapes in [((2, 3), (2, 3)), ((4, 1), (3,)), ((3,), (2, 3)), ((2, 1, 3), (4, 1)), ((), (3,))]:
        a, b = (frozen(rng.normal(size=shape)) for shape in shapes)
        g = frozen(rng.normal(size=(a * b).shape))
        ones = np.ones_like(g)
        whole = "broadcasting is not undone: the gradient must have its input's shape"
        ignored = "the cotangent g is ignored"
        own = "each input was multiplied by itself, not by the other"
        slips = (
            {own: _summed(g * a, a.shape), ignored: _summed(ones * b, a.shape), whole: g * b},
            {own: _summed(g * b, b.shape), ignored: _summed(ones * a, b.shape), whole: g * a},
        )
        _both(student.mul_vjp(g, a, b), lambda a, b: a * b, "a * b", g, a, b, slips)


@check(points=3)
def matrices(student, rng):
    """matmul_vjp is the gradient of <g, a @ b>, for matrices and for stacks of them"""
    for shapes in [
        ((3, 3), (3, 3)),
        ((2, 3), (3, 4)),
        ((1, 3), (3, 2)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 1)),
        ((4, 1, 2, 3), (5, 3, 2)),
    ]:
        a, b = (frozen(rng.normal(size=shape)) for shape in shapes)
        g = frozen(rng.normal(size=(a @ b).shape))
        turned = "a matrix is not transposed: a factor changes sides transposed"
        whole = "the stack is not summed: the gradient must have its input's shape"
        ignored = "the cotangent g is ignored"
        at, bt, ones = np.swapaxes(a, -1, -2), np.swapaxes(b, -1, -2), np.ones_like(g)
        slips = (
            {whole: g @ bt, ignored: _summed(ones @ bt, a.shape)},
            {whole: at @ g, ignored: _summed(at @ ones, b.shape)},
        )
        if shapes[0] == shapes[1]:
            side = "the factors are on the wrong sides"
            slips[0].update({turned: g @ b, side: bt @ g, "the result is transposed": b @ g.T})
            slips[1].update({turned: a @ g, side: g @ at, "the result is transposed": g.T @ a})
        try:
            answer = student.matmul_vjp(g, a, b)
        except ValueError as error:
            if a.ndim == b.ndim == 2 or "read-only" in str(error):
                raise
            raise Mistake(
                f"matmul_vjp fails for a of shape {a.shape} and b of shape {b.shape}: {error}.\n"
                "(.T reverses all dimensions; of a stack of matrices only the last two change places.)"
            ) from None
        _both(answer, lambda a, b: a @ b, "a @ b", g, a, b, slips)


@check(points=2)
def totals(student, rng):
    """sum_vjp is the gradient of <g, a.sum(axis, keepdims)>: each summed element gets a copy"""
    for shape, axis in [
        ((3, 3), 0),
        ((3, 3), 1),
        ((2, 3, 4), -2),
        ((2, 3, 4), (0, 2)),
        ((2, 3, 4), (-1, 0)),
        ((2, 3), None),
        ((3, 3), ()),
    ]:
        for keepdims in (False, True):
            a = frozen(rng.normal(size=shape))
            kept = a.sum(axis, keepdims=True)
            g = frozen(rng.normal(size=a.sum(axis, keepdims=keepdims).shape))
            expected = np.ones_like(a) * g.reshape(kept.shape)
            slips = {
                "g is divided by the count, as for a mean": expected * kept.size / a.size,
                "g is returned as it is: each summed element should get a copy": g,
                "the cotangent g is ignored": np.ones_like(a),
            }
            if np.ndim(axis) == 0 and shape == (3, 3):
                slips["g was copied along the wrong dimension"] = expected.T
            given = {"a": a, "g": g, "axis": axis, "keepdims": keepdims}
            agree(
                student.sum_vjp(g, a, axis, keepdims), expected, "the gradient of a.sum(axis, keepdims)", given, slips
            )
    a, g = frozen(rng.normal(size=(2, 3))), frozen(rng.normal(size=2))
    agree(
        student.sum_vjp(np.array(2.0), a),
        np.full((2, 3), 2.0),
        "sum_vjp(np.array(2.0), a), the gradient of 2 a.sum(),",
        {"a": a},
    )
    agree(
        student.sum_vjp(g, a, 1),
        g[:, None] + 0 * a,
        "sum_vjp(g, a, 1), the gradient of <g, a.sum(1)>,",
        {"a": a, "g": g},
    )


def _summed(g, shape):
    """What each element of `shape` has been broadcast to in g, added up."""
    source = np.broadcast_to(np.arange(np.prod(shape, dtype=int)).reshape(shape), g.shape)
    return np.bincount(source.ravel(), g.ravel(), source.max() + 1).reshape(shape)


def _both(answer, f, what, g, a, b, slips):
    expect(
        isinstance(answer, (tuple, list)) and len(answer) == 2,
        f"the gradients of {what} should be two arrays, one for a and one for b, but are {type(answer).__name__}",
    )
    given = {"g": g, "a": a, "b": b}
    gradient_agrees(
        answer[0], lambda x: float((g * f(x, b)).sum()), a, f"the gradient of <g, {what}> in a", given, slips[0]
    )
    gradient_agrees(
        answer[1], lambda x: float((g * f(a, x)).sum()), b, f"the gradient of <g, {what}> in b", given, slips[1]
    )
