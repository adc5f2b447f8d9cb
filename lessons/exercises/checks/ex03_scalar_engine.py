"""Checks of exercise 3."""

import math
import sys

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, gradient_agrees

MOST_CALLS = 20000  # of a walk over some forty values; a walk along every path would need 2**40


def tanh(v):
    return math.tanh(v) if isinstance(v, float) else v.tanh()


def walked(student, f, point):
    """The .grad of each input of f after f(*inputs).backward()."""
    values = [student.Value(float(p)) for p in point]
    f(*values).backward()
    return np.array([v.grad for v in values], float)


def of_floats(f):
    """f as a function of an array."""
    return lambda point: f(*map(float, point))


@check(points=2)
def values(student, rng):
    """+, -, * and tanh compute, with Values and with plain numbers on their right"""
    a, b = (float(n) for n in rng.normal(size=2))
    v, w = student.Value(a), student.Value(b)
    given = {"v": f"Value({a})", "w": f"Value({b})"}
    for what, made, expected in (
        ("v + w", v + w, a + b), ("v - w", v - w, a - b), ("v * w", v * w, a * b), ("v.tanh()", v.tanh(), math.tanh(a)),
        ("v + 2.5", v + 2.5, a + 2.5), ("v - 2.5", v - 2.5, a - 2.5), ("v * 2.5", v * 2.5, a * 2.5),
        ("v + 2", _with_int(lambda: v + 2, "v + 2"), a + 2), ("v - 2", _with_int(lambda: v - 2, "v - 2"), a - 2),
        ("v * 2", _with_int(lambda: v * 2, "v * 2"), a * 2),
    ):  # fmt: skip
        expect(isinstance(made, student.Value), f"{what} should be a Value, but is {made!r}", given)
        agree(made.data, expected, f"({what}).data", given)
        expect(made.grad == 0, f"({what}).grad should be 0.0 before `backward`, but is {made.grad!r}", given)
    expect((v.data, w.data) == (a, b), "an operator has changed v.data or w.data", given)
    for large in (1000.0, -1000.0):
        large_tanh = _without_overflow(student, large)
        agree(large_tanh.data, math.tanh(large), f"Value({large}).tanh().data")


@check(points=3)
def derivatives(student, rng):
    """backward finds the derivative of each operator, times the gradient that arrives"""
    a, b, c = rng.uniform(0.3, 1.2, 3) * [1, -1, 1] + [0, -0.5, 0.7]
    slope = 1 - math.tanh(a) ** 2
    for what, f, point, slips in (
        ("a + b", lambda a, b: a + b, (a, b), {}),
        ("a - b", lambda a, b: a - b, (a, b), {"the minus sign of the second operand is forgotten": [1, 1]}),
        ("a * b", lambda a, b: a * b, (a, b), {"each factor got its own value, not that of the other": [a, b]}),
        ("a.tanh()", tanh, (a,), {
            "the derivative is taken at the output, not at the input": [1 - math.tanh(math.tanh(a)) ** 2],
            "the square is missing: the derivative of tanh is 1 - tanh**2": [1 - math.tanh(a)],
            "the derivative is 1 - a**2, of the input: it should be of the output": [1 - a * a],
        }),
        ("a.tanh() * b", lambda a, b: tanh(a) * b, (a, b), {
            "tanh ignores the gradient that arrives: it should be multiplied by the derivative": [slope, math.tanh(a)],
        }),
        ("(a * b) * c", lambda a, b, c: (a * b) * c, (a, b, c), {
            "the product ignores the gradient that arrives": [b, a, a * b],
        }),
        ("c - (a - b)", lambda a, b, c: c - (a - b), (a, b, c), {
            "the difference ignores the gradient that arrives": [1, -1, 1],
        }),
        ("(a + b) * c", lambda a, b, c: (a + b) * c, (a, b, c), {
            "the sum ignores the gradient that arrives": [1, 1, a + b],
        }),
        ("(a * 2.5 + 0.5 - 1.5) * 0.3", lambda a: (a * 2.5 + 0.5 - 1.5) * 0.3, (a,), {}),
    ):  # fmt: skip
        gradient_agrees(
            walked(student, f, point), of_floats(f), point, f"the gradient of {what}",
            given=dict(zip("abc", map(float, point))), slips=slips,
        )  # fmt: skip


@check(points=2)
def sums(student, rng):
    """gradients add up where a value is used more than once, and every value gets its own"""
    a, b = (float(n) for n in rng.uniform(0.4, 1.5, 2))
    last = {"what arrives second overwrites what came first: add to .grad": [a]}
    for what, f, slips in (
        ("a * a", lambda a: a * a, last),
        ("a + a", lambda a: a + a, {next(iter(last)): [1.0]}),
        (
            "a - a",
            lambda a: a - a,
            {next(iter(last)): [-1.0], "each operand sets .grad, instead of adding to it": [1.0]},
        ),
    ):
        gradient_agrees(walked(student, f, (a,)), of_floats(f), (a,), f"the gradient of {what}", {"a": a}, slips)
    leaf = student.Value(a)
    leaf.backward()
    agree(leaf.grad, 1.0, "v.grad after v.backward(), v being computed from nothing,", {"v": f"Value({a})"})
    x, y = student.Value(a), student.Value(b)
    h = x * y
    t = h.tanh()
    result = t * h
    unused = x * 3.0
    result.backward()
    slope = math.tanh(a * b) + a * b * (1 - math.tanh(a * b) ** 2)
    given = {"x": f"Value({a})", "y": f"Value({b})", "h": "x * y", "t": "h.tanh()", "result": "t * h"}
    for name, value, expected in (
        ("result.grad", result, 1.0), ("t.grad", t, a * b), ("h.grad", h, slope), ("x.grad", x, slope * b), ("y.grad", y, slope * a),
    ):  # fmt: skip
        agree(value.grad, expected, f"{name} after result.backward()", given)
    expect(unused.grad == 0, "(x * 3.0).grad should stay 0: result was not computed from it", given)


@check(points=2)
def order(student, rng):
    """a value hands its gradient on once, after all that used it, in graphs with many paths or of great depth"""
    a = float(rng.uniform(0.2, 0.6))
    early = "h handed its gradient on before all that used it had handed on theirs"
    for what, f, slips in (
        ("h + h.tanh().tanh().tanh()", lambda h: h + tanh(tanh(tanh(h))), {early: [2.0]}),
        ("h.tanh().tanh().tanh() + h", lambda h: tanh(tanh(tanh(h))) + h, {early: [2.0]}),
        ("h.tanh().tanh() * h", lambda h: tanh(tanh(h)) * h, {early: [2 * math.tanh(math.tanh(2 * a))]}),
        ("h * h.tanh().tanh()", lambda h: h * tanh(tanh(h)), {early: [2 * math.tanh(math.tanh(2 * a))]}),
    ):
        g = lambda v, f=f: f(v * 2.0)
        what = f"the gradient of {what} with h = a * 2.0 in a"
        gradient_agrees(walked(student, g, (a,)), of_floats(g), (a,), what, {"a": a}, slips)
    x = y = student.Value(a)
    for _ in range(40):
        y = y + y
    _count_calls(y.backward)
    agree(x.grad / 2.0**40, 1.0, "x.grad / 2**40, after y = y + y forty times from y = x, and y.backward(),")
    x = y = student.Value(1.0)
    for _ in range(1500):
        y = y * 1.001
    try:
        y.backward()
    except RecursionError:
        raise Mistake(
            "RecursionError in a graph of 1500 products in a row: `backward` calls itself along the graph. Keep a list "
            "of the values still to visit, and take them from it in a loop"
        ) from None
    agree(x.grad, 1.001**1500, "x.grad, after y = y * 1.001 1500 times from y = x = Value(1.0), and y.backward(),")


@check(points=1)
def again(student, rng):
    """a second walk adds the same derivatives again, whatever the first one left behind"""
    a, b = (float(n) for n in rng.uniform(0.4, 1.5, 2))
    x = student.Value(a)
    h = x * b
    first, second = h.tanh(), h * h
    first.backward()
    first.backward()
    slope = 1 - math.tanh(a * b) ** 2
    given = {"x": f"Value({a})", "h": f"x * {b}", "first": "h.tanh()", "second": "h * h"}
    agree(
        [x.grad, h.grad, first.grad], [2 * slope * b, 2 * slope, 2.0],
        "[x.grad, h.grad, first.grad] after first.backward() twice", given,
        {
            "the second walk handed on what the first had left in .grad, too": [3 * slope * b, 2 * slope, 1.0],
            "the second walk handed on the sums in .grad: keep the gradients of a walk in a table of its own":
                [4 * slope * b, 3 * slope, 2.0],
            "`backward` sets .grad to 0 before it starts: it should add": [slope * b, slope, 1.0],
        },
    )  # fmt: skip
    second.backward()
    agree(
        x.grad, 2 * slope * b + 2 * a * b * b, "x.grad after second.backward(), too,", given,
        {"`backward` sets .grad to 0 before it starts: it should add": 2 * a * b * b},
    )  # fmt: skip


def _with_int(compute, what):
    """compute(), an operator with an int on its right."""
    try:
        return compute()
    except (AttributeError, TypeError) as error:
        raise Mistake(
            f"{what}, with v a Value and 2 an int, fails: {type(error).__name__}: {error}. A plain number may be an int, too: "
            "ask whether `other` is a Value, and make one of it if not"
        ) from None


def _without_overflow(student, number):
    """Value(number).tanh(), which must not overflow."""
    try:
        return student.Value(number).tanh()
    except (OverflowError, ZeroDivisionError) as error:
        raise Mistake(
            f"Value({number}).tanh() fails: {error}. An exponential of {abs(number):g} or more is beyond any float, but tanh "
            f"is {math.tanh(number):g} there: take math.tanh or np.tanh, or exponentials only of what is not positive"
        ) from None


def _count_calls(call):
    """Raises Mistake if call() makes more calls than a walk that visits each value once."""
    calls, before = 0, sys.getprofile()

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")
        if calls > MOST_CALLS:
            raise Mistake(
                f"y = y + y, forty times: y.backward() has made {MOST_CALLS} calls for 41 values, and is not done. Does a "
                "value hand its gradient on each time that one arrives? There are 2**40 paths: it should wait until all have come"
            )

    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
