"""Checks of exercise 6."""

from functools import partial

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen, gradient_agrees, refuses


@check(points=2)
def forward(student, rng):
    """linear is x W^T + b"""
    for x, weight, bias, _ in _problems(rng):
        given = {"x": x, "weight": weight, "bias": bias}
        slips = {"the bias is missing": x @ weight.T}
        if weight.shape[0] == weight.shape[1]:
            slips["the weight is not transposed: row k of it belongs to output k"] = x @ weight + bias
        agree(student.linear(x, weight, bias), x @ weight.T + bias, "linear(x, weight, bias)", given, slips)
        agree(student.linear(x, weight), x @ weight.T, "linear(x, weight), without a bias,", {"x": x, "weight": weight})


@check(points=4)
def backward(student, rng):
    """linear_backward gives the gradients with respect to x, weight and bias"""
    for problem in _problems(rng):
        _backward(student, *problem)


def _backward(student, x, weight, bias, g):
    given = {"g": g, "x": x, "weight": weight}
    found = student.linear_backward(g, x, weight)
    expect(
        isinstance(found, (tuple, list)) and len(found) == 3,
        f"linear_backward should return three arrays; it returned {type(found).__name__}",
        given,
    )
    grad_x, grad_weight, grad_bias = found
    slips = {"the sum over the outputs is missing: it is that of the first alone": np.outer(g[:, 0], weight[0])}
    if weight.shape[0] == weight.shape[1]:
        slips["the weight is transposed where it should not be"] = g @ weight.T
    gradient_agrees(
        grad_x, lambda v: (g * (v @ weight.T + bias)).sum(), x, "the gradient with respect to x", given, slips
    )
    gradient_agrees(
        grad_weight, lambda v: (g * (x @ v.T + bias)).sum(), weight, "the gradient with respect to weight", given,
        slips={
            "it is transposed: row k should belong to output k (and a reshape does not transpose)": x.T @ g,
            "it is averaged over the batch, where it should be summed": g.T @ x / len(x),
            "the sum over the batch is missing: it is that of the first image alone": np.outer(g[0], x[0]),
            "the sum over the batch is missing: it is that of the last image alone": np.outer(g[-1], x[-1]),
        },
    )  # fmt: skip
    gradient_agrees(
        grad_bias, lambda v: (g * (x @ weight.T + v)).sum(), bias, "the gradient with respect to bias", given,
        slips={
            "the sum over the batch is missing": g,
            "it is summed over the outputs, where it should be over the batch": g.sum(axis=1),
            "it is averaged over the batch, where it should be summed": g.mean(axis=0),
            "it counts the images, and g is missing": np.full(len(bias), len(x)),
        },
    )  # fmt: skip


@check(points=2)
def names(student, rng):
    """named_parameters finds every array, by its dotted name, in order"""
    net = _net(student, rng)
    pairs = list(net.named_parameters())
    found, expected = [name for name, _ in pairs], [name for name, _ in NET]
    expect(
        sorted(found) == sorted(expected),
        f"the names are {found}; they should be {expected}" + _why(found),
    )
    expect(found == expected, f"the order is {found}; it should be {expected}: a module's own arrays first")
    for (name, array), (_, path) in zip(pairs, NET):
        expect(
            np.shares_memory(array, path(net)),
            f"the array of {name} is not the one that was assigned, or not the module's own",
        )
    net.head.scale = replaced = rng.normal(size=2)
    for name, array in net.named_parameters():
        expect(
            name != "head.scale" or np.array_equal(array, replaced),
            "after another array was assigned to head.scale, named_parameters still gives the first one",
        )
    other = dict(_net(student, rng).named_parameters())
    expect(
        len(other) == len(NET) and not any(np.shares_memory(other["shift"], array) for _, array in pairs),
        "a second network has the arrays of the first: is what a module notes kept on the class, not on the object?",
    )


@check(points=2)
def state(student, rng):
    """state_dict gives the module's own arrays; load_state_dict copies into them, or refuses and changes nothing"""
    net = _net(student, rng)
    own = net.state_dict()
    expect(
        isinstance(own, dict) and list(own) == [name for name, _ in NET],
        f"state_dict should be a dict with the names {[name for name, _ in NET]}, in this order; it is {own!r:.300}",
    )
    expect(
        all(np.shares_memory(own[name], path(net)) for name, path in NET),
        "the arrays in state_dict are copies: they should be the module's own",
    )
    held, before = {name: path(net) for name, path in NET}, {name: array.copy() for name, array in own.items()}
    new = {name: rng.normal(size=array.shape) for name, array in reversed(own.items())}

    def unchanged(after):
        for name, path in NET:
            expect(
                np.array_equal(path(net), before[name]),
                f"after {after}, load_state_dict has changed {name} before it raised the error: look first, then copy",
            )

    for name, array in own.items():
        less = {n: a for n, a in new.items() if n != name}
        refuses(partial(net.load_state_dict, less), KeyError, f"load_state_dict of a state without {name}", [name])
        unchanged(f"a state without {name}")
        shapes = [(1, *array.shape[1:])]  # can be broadcast, but must not be
        if array.ndim == 2:
            shapes += [array.shape[::-1], (array.shape[0], 1)]  # of the same size, and of the same length
        for shape in shapes:
            wrong = {**new, name: rng.normal(size=shape)}
            refuses(partial(net.load_state_dict, wrong), ValueError,
                    f"load_state_dict with {name} of shape {shape} for {array.shape}: compare the shapes, whole: this", [name])  # fmt: skip
            unchanged(f"{name} of another shape")
    more = {"body.extra": np.zeros(2), **new}
    refuses(partial(net.load_state_dict, more), KeyError, "load_state_dict with an unknown body.extra", ["body.extra"])
    unchanged("an unknown name")
    net.load_state_dict({name: frozen(array) for name, array in new.items()})
    for name, path in NET:
        expect(
            path(net) is held[name],
            f"load_state_dict put another array in the place of {name}: copy the values into the array that is there",
        )
        agree(path(net), new[name], f"{name} after load_state_dict")


def _problems(rng):
    """Frozen (x, weight, bias, g): with I = K, where a transposed weight still has its shape, with none equal, and of one image."""
    for n, i, k in ((2, 3, 3), rng.permutation([2, 3, 4]), (1, 2, 4)):
        yield tuple(frozen(rng.normal(size=size)) for size in ((n, i), (k, i), (k,), (n, k)))


NET = [
    ("scale", lambda net: net.scale),
    ("shift", lambda net: net.shift),
    ("body.first.weight", lambda net: net.body.first.weight),
    ("body.first.bias", lambda net: net.body.first.bias),
    ("body.last.weight", lambda net: net.body.last.weight),
    ("head.scale", lambda net: net.head.scale),
]


def _net(student, rng):
    """A network of three levels; what it assigns first to itself is a module, and not all of it counts."""

    class Layer(student.Module):
        def __init__(self, **arrays):
            super().__init__()
            for name, array in arrays.items():
                setattr(self, name, array)

    class Net(student.Module):
        def __init__(self):
            super().__init__()
            self.body, self.name, self.sizes = Layer(), "net", [2, 3]
            self.scale = rng.normal(size=(2, 3))
            self.body.first = Layer(weight=rng.normal(size=(3, 2)), bias=rng.normal(size=3))
            self.body.act = Layer()
            self.head = Layer(scale=rng.normal(size=2))
            self.body.last, self.shift = Layer(weight=rng.normal(size=(2, 4))), rng.normal(size=2)

    return Net()


def _why(found):
    if not found:
        return ": nothing was found"
    if not any(name.startswith("body.first") for name in found):
        return ": a module inside a module inside a module has parameters, too"
    if "name" in found or "sizes" in found:
        return ": a text or a list is not a parameter"
    return ""
