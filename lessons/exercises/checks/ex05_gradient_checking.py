"""Checks of exercise 5."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen

EPS = 1e-5


@check(points=2)
def difference(student, rng):
    """directional_difference is the central difference of <g, f> along v"""
    for shape, count in (((3,), 2), ((2, 3), 4), ((), 3)):
        size = int(np.prod(shape))
        mix = rng.normal(size=(count, size))
        x, v, g = (frozen(rng.normal(size=s)) for s in (shape, shape, count))
        h = float(rng.uniform(0.1, 0.3))
        cubic = lambda t, mix=mix: mix @ (np.reshape(t, -1) ** 3)
        inner = (g @ mix).reshape(shape)
        exact = 3 * x**2 * v + h**2 * v**3  # of a cubic, central differences are off by exactly this
        agree(
            student.directional_difference(cubic, x, v, g, h), (inner * exact).sum(), "the derivative of <g, mix @ x**3> along v",
            given={"x": x, "v": v, "g": g, "mix": mix, "h": h},
            slips={
                "the difference is forward, not central": (inner * (exact + 3 * x * v**2 * h)).sum(),
                "the difference is divided by h where it should be by 2h": 2 * (inner * exact).sum(),
                "h is not used: the function should take the step it is given": (inner * 3 * x**2 * v).sum(),
                "the cotangent g is ignored": (mix.sum(0).reshape(shape) * exact).sum(),
                "the direction is brought to length 1: v should be taken as it is":
                    (inner * (3 * x**2 * v / _norm(v) + h**2 * (v / _norm(v)) ** 3)).sum(),
            },
        )  # fmt: skip
    x, v, seen = frozen(rng.normal(size=(2, 3))), frozen(rng.normal(size=(2, 3))), []
    student.directional_difference(_spied(lambda t: t, seen), x, v, np.ones((2, 3)))
    _nudged_by(seen, x, v, 1e-5, "directional_difference without an h")


@check(points=2)
def draws(student, rng):
    """gradient_is_right draws a cotangent, then a direction, and uses both"""
    seed = int(rng.integers(2**32))
    x, mix = frozen(rng.normal(size=(3, 2))), rng.normal(size=(4, 3))
    same = np.random.default_rng(seed)
    g, v = same.standard_normal((4, 2)), same.standard_normal((3, 2))
    late = np.random.default_rng(seed)
    late.standard_normal((3, 2))
    cotangents, seen = [], []

    def vjp(cotangent, at):
        cotangents.append(np.array(cotangent, float))
        return mix.T @ cotangent

    student.gradient_is_right(_spied(lambda t: mix @ t, seen), vjp, x, np.random.default_rng(seed), h=0.1)
    expect(cotangents, "gradient_is_right has not called vjp")
    agree(
        cotangents[0], g, "the cotangent that vjp was given", {"x": x, "f": "lambda x: mix @ x", "mix": mix},
        {
            "it is all ones, which hides every mistake that shows only where the elements of f get different weights": np.ones((4, 2)),
            "the direction was drawn first: draw g, then v": late.standard_normal((4, 2)),
            "it is a unit vector: g should be used as it was drawn": g / _norm(g),
            "it is uniform, not normal": np.random.default_rng(seed).random((4, 2)),
        },
    )  # fmt: skip
    nudges = [(at - x) / 0.1 for at in seen if not np.allclose(at, x)]
    expect(nudges, "gradient_is_right has not evaluated f anywhere but at x")
    expect(
        np.count_nonzero(np.abs(nudges[0]) > 1e-9) > 1,
        "f was nudged in one element only: a random direction moves all of them at once",
        {"x": x, "x' - x": nudges[0] * 0.1},
    )
    agree(np.sign((nudges[0] * v).sum()) * nudges[0], v, "the direction (x' - x) / h along which f was nudged", slips={
        "it is a unit vector: v should be used as it was drawn": v / _norm(v),
        "h is not used": v * 1e-4,
    })  # fmt: skip
    seen.clear()
    student.gradient_is_right(_spied(lambda t: mix @ t, seen), vjp, x, np.random.default_rng(seed))
    _nudged_by(seen, x, v, 1e-5, "gradient_is_right without an h")


@check(points=2)
def accepts(student, rng):
    """gradient_is_right accepts right gradients, and what is within its tolerance"""
    mix = rng.normal(size=(4, 3))
    for what, f, vjp, shape in (
        ("np.tanh(x)", np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2), (2, 3)),
        ("mix @ x", lambda x: mix @ x, lambda g, x: mix.T @ g, (3, 2)),
        ("(x**2).sum()", lambda x: (x**2).sum(), lambda g, x: 2 * g * x, (5,)),
        ("batch_norm(x)", batch_norm, batch_norm_vjp, (6, 3)),
        ("1e6 * x**3", lambda x: 1e6 * x**3, lambda g, x: 3e6 * g * x**2, (2, 3)),
        ("np.ones(4), of zero gradient", lambda x: np.ones(4), lambda g, x: 0 * x, (3,)),
    ):
        x = frozen(rng.normal(size=shape))
        answer = student.gradient_is_right(f, vjp, x, np.random.default_rng(rng.integers(2**32)))
        _verdict(answer, True, f"f = {what}, a right gradient", {"x": x})
    x, zero = frozen(rng.normal(size=3)), np.random.default_rng(int(rng.integers(2**32)))
    answer = student.gradient_is_right(lambda x: 0 * x, lambda g, x: 0 * x, x, zero, atol=0.0)
    _verdict(
        answer,
        True,
        "f = 0 * x, its gradient 0 * x, and atol = 0: no difference at all is within any tolerance",
        {"x": x},
    )
    for options in ({"rtol": 0.01, "atol": 0.0}, {"rtol": 0.0, "atol": 0.01}, {"rtol": 0.0}, {"atol": 0.0}):
        for shape in ((4, 2), ()):
            for share in (0.9, 1.1):
                _at_the_edge(student, rng, shape, share, options)


@check(points=2)
def rejects(student, rng):
    """gradient_is_right rejects wrong gradients"""
    for mistake, why in (
        ("variance", "takes the variance for a constant"),
        ("row", "is off by 1% in one row of six"),
        ("epsilon", "forgets epsilon, a small term"),
        ("cotangent", "ignores the cotangent"),
        ("sign", "has the wrong sign"),
        ("zero", "is 0 everywhere"),
        ("nan", "is NaN in one element"),
        ("shape", "is right, but flattened to shape (18,), where x is (6, 3)"),
    ):
        wrong = lambda g, x, mistake=mistake: batch_norm_vjp(g, x, mistake)
        x, seed = _plain_case(rng, wrong)
        answer = student.gradient_is_right(batch_norm, wrong, x, np.random.default_rng(seed))
        _verdict(answer, False, f"f is batch normalisation, and vjp {why}", {"x": x})
    x, draws = frozen(rng.normal(size=(4, 3))), np.random.default_rng(rng.integers(2**32))
    answer = student.gradient_is_right(lambda x: x.sum(1), lambda g, x: g[:, None], x, draws)
    _verdict(answer, False, "f is x.sum(1), and vjp returns g as a column, (4, 1), where x is (4, 3)", {"x": x})


@check(points=2)
def worst(student, rng):
    """worst_element finds the element, and both of its derivatives"""
    for shape in ((3,), (2, 3), (2, 1, 4), ()):
        x, g, h = frozen(rng.normal(size=shape)), frozen(rng.normal(size=(2, *shape))), float(rng.uniform(0.01, 0.05))
        place = tuple(int(rng.integers(n)) for n in shape)
        off = rng.uniform(-0.1, 0.1, shape)
        off[place] = rng.choice([-1, 1]) * rng.uniform(0.5, 1)
        f = lambda t: np.stack([t**3, 2 * t])
        wrong = lambda g, t, off=off: g[0] * 3 * t**2 + g[1] * 2 + off
        named = {"f": "lambda x: np.stack([x**3, 2 * x])", "vjp": f"the right one, plus {off.tolist()}"}
        given = {"x": x, "g": g, "h": h} | named
        numeric = g[0] * (3 * x**2 + h**2) + 2 * g[1]
        answer = student.worst_element(f, wrong, x, g, h)
        expect(
            isinstance(answer, tuple) and len(answer) == 3,
            f"worst_element should return (index, analytic, numeric), but returns {answer!r:.100}", given,
        )  # fmt: skip
        index, analytic, found = answer
        expect(isinstance(index, tuple), f"the index should be a tuple of {len(shape)} ints, but is {index!r}", given)
        seen = tuple(int(i) for i in index)
        expect(
            seen == place,
            f"the worst element is at index {place}, not {seen}{_measure(seen, wrong(g, x), numeric)}", given,
        )  # fmt: skip
        slips = {"it is the numeric one": numeric[place]}
        agree(analytic, wrong(g, x)[place], "the analytic derivative there, from vjp,", given, slips)
        agree(found, numeric[place], "the numeric derivative there", given, {
            "the difference is divided by h where it should be by 2h": 2 * numeric[place],
            "h is not used": numeric[place] - g[0][place] * h**2,
            "the cotangent g is ignored": 3 * x[place] ** 2 + h**2 + 2,
            "the difference is forward, not central": numeric[place] + 3 * g[0][place] * x[place] * h,
        })  # fmt: skip
    x, g = frozen([[1.0, -2.0, 3.0]]), frozen([[2.0, 4.0, -1.0]])
    given = {"f": "lambda x: 2 * x", "vjp": "lambda g, x: 2 * g", "x": x, "g": g, "h": 0.5}
    answer = student.worst_element(lambda t: 2 * t, lambda g, t: 2 * g, x, g, 0.5)
    expect(
        isinstance(answer, tuple) and len(answer) == 3 and isinstance(answer[0], tuple),
        f"worst_element returns {answer!r:.100} where the gradient is right to the last bit; it should return any element, as "
        "all errors are 0. (Does a search for the largest error start at 0, and find none above it?)", given,
    )  # fmt: skip
    place = tuple(int(i) for i in answer[0])
    for name, found in zip(("analytic", "numeric"), answer[1:]):
        agree(found, 2 * g[place], f"the {name} derivative at {place}, where the gradient is right,", given)
    x, seen = frozen(rng.normal(size=(2, 2))), []
    student.worst_element(_spied(lambda t: t, seen), lambda g, t: g, x, np.ones((2, 2)))
    _nudged_by(seen, x, np.ones(1), 1e-5, "worst_element without an h")


def batch_norm(x):
    centred = x - x.mean(0)
    return centred / np.sqrt((centred**2).mean(0) + EPS)


def batch_norm_vjp(g, x, mistake=None):
    if mistake == "cotangent":
        g = np.ones_like(g)
    centred = x - x.mean(0)
    scale = 1 / np.sqrt((centred**2).mean(0) + (0 if mistake == "epsilon" else EPS))
    last = 0 if mistake == "variance" else centred * scale * (g * centred * scale).mean(0)
    found = scale * (g - g.mean(0) - last)
    if mistake == "row":
        found[2] *= 1.01
    if mistake == "nan":
        found[1, 1] = np.nan
    return {"sign": -found, "zero": 0 * found, "shape": found.ravel()}.get(mistake, found)


def _norm(a):
    return np.sqrt((np.asarray(a) ** 2).sum())


def _plain_case(rng, wrong):
    """x and a seed of draws for which the mistake is far beyond the tolerance."""
    while True:
        x, seed = frozen(0.3 * rng.normal(size=(6, 3))), int(rng.integers(2**32))
        draws = np.random.default_rng(seed)
        g, v = draws.standard_normal(x.shape), draws.standard_normal(x.shape)
        found = wrong(g, x)
        if found.shape != x.shape or not np.isfinite(found).all():
            return x, seed
        if abs(((found - batch_norm_vjp(g, x)) * v).sum()) > 1e-7 + 1e-5 * _norm(batch_norm_vjp(g, x)):
            return x, seed


def _at_the_edge(student, rng, shape, share, options):
    """A gradient that is off by a share of what is tolerated, of a linear function, whose differences are exact."""
    rtol, atol = options.get("rtol", 1e-6), options.get("atol", 1e-9)
    while True:  # a single number: |d| shall be the larger one
        seed = int(rng.integers(2**32))
        draws = np.random.default_rng(seed)
        g, v = draws.standard_normal((*shape, 2)), np.asarray(draws.standard_normal(shape))
        if shape or abs(v) > 1.5:
            break
    x, factors = frozen(rng.uniform(0.5, 2, shape)), rng.uniform(0.5, 2, (*shape, 2))
    right = (g * factors).sum(-1)
    d = (right * v).sum()
    tolerance = atol * (1 + abs((right * x).sum())) + rtol * max(_norm(right), abs(d))
    off = share * tolerance * v / (v**2).sum()
    answer = student.gradient_is_right(
        lambda t: factors * t[..., None], lambda g, t: (g * factors).sum(-1) + off, x, np.random.default_rng(seed), h=0.25, **options
    )  # fmt: skip
    what = f"the difference along v is {share} times what should be tolerated with {options}"
    numbers = {"<G, v>": d + share * tolerance, "d": d, "|G|": _norm(right + off), "<g, f(x)>": (right * x).sum()}
    _verdict(answer, share < 1, what, {"x": x} | {name: float(number) for name, number in numbers.items()})


def _verdict(answer, expected, what, given):
    expect(
        isinstance(answer, (bool, np.bool_)), f"gradient_is_right should return True or False, but returns {answer!r}"
    )
    expect(answer == expected, f"gradient_is_right says {bool(answer)}; it should say {expected}: {what}", given)


def _spied(f, seen):
    def spied(t):
        seen.append(np.array(t, float))
        return f(t)

    return spied


def _measure(seen, analytic, numeric):
    """By what other measure the element at `seen` is the worst, in words; nothing if by none that is known."""
    error = np.abs(analytic - numeric)
    signed = seen == _place_of_largest(analytic - numeric) or seen == _place_of_largest(numeric - analytic)
    relative = any(seen == _place_of_largest(error / scale) for scale in (
        np.abs(numeric), np.abs(analytic), np.abs(numeric) + np.abs(analytic), np.maximum(np.abs(numeric), np.abs(analytic)),
    ))  # fmt: skip
    yours = ["the largest with its sign"] * signed + ["the largest in relation to the derivative"] * relative
    return ", by |analytic - numeric|: yours is " + ", or ".join(yours) if yours else ""


def _place_of_largest(array):
    return tuple(int(i) for i in np.unravel_index(np.argmax(array), array.shape))


def _nudged_by(seen, x, v, h, what):
    steps = [np.abs(at - x).max() for at in seen]
    widest = max(steps, default=0.0) / np.abs(v).max()
    expect(0.999 * h < widest < 1.001 * h, f"{what} should take h = {h:g}; it took {widest:g}")
