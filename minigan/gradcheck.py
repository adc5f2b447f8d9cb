"""Gradient checks: analytic gradients against central differences, to any order, in float64.

For outputs y = f(x), random cotangents u and random directions v, the check compares <dx, v>, where
dx is the gradient of <u, f(x)>, with (<u, f(x + hv)> - <u, f(x - hv)>) / 2h. Random cotangents matter:
with all ones, the gradient of batch normalisation is zero, and any wrong one that is zero, too, passes.
Order 2 checks the gradient itself the same way, as a function of the inputs and of the cotangents.
"""

import numpy as np

from minigan import backend
from minigan.tensor import Tensor, grad

# Apart from default_rng(seed), by which the caller may have drawn the inputs: cotangents equal to those hide mistakes.
_STREAM = 0x67726164
MOST_ELEMENTS = 2000  # looked at one by one for the worst, when a check has failed


class GradcheckError(AssertionError):
    """A gradient that central differences contradict; the message says which element, and by how much."""


def gradcheck(function, inputs, order=1, eps=1e-5, rtol=1e-6, atol=1e-9, seed=0, names=None):
    """Checks the gradients of `function` at `inputs`; returns True.

    function: of Tensors, to a Tensor or a sequence of them; pure, and smooth around the inputs.
    inputs: a Tensor or a sequence, float64; those that require a gradient are checked.
    order: 1 checks gradients, 2 also gradients of gradients, and so on.
    eps: the step h. A difference passes up to atol (1 + |<u, f>|) + rtol max(|dx|, |numeric|).
    names: of the inputs, for the message. Raises GradcheckError where a gradient is wrong,
    TypeError for inputs that are not float64, ValueError where no input requires a gradient.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    names = list(names) if names else [f"input {i}" for i in range(len(inputs))]
    for name, t in zip(names, inputs):
        if t.dtype.kind == "f" and t.dtype != np.float64:
            raise TypeError(f"gradcheck works in float64, but {name} is {t.dtype}: convert it with .to('float64')")
    if not any(t.requires_grad for t in inputs):
        raise ValueError("no input requires a gradient: there is nothing to check")
    random = np.random.default_rng([seed, _STREAM])
    cotangents = _check_first_order(function, inputs, names, eps, rtol, atol, random)
    if order > 1:
        checked = [i for i, t in enumerate(inputs) if t.requires_grad]

        def gradients(*arguments):
            points, weights = arguments[: len(inputs)], arguments[len(inputs) :]
            total = _weighted_sum(_outputs(function, points), weights)
            wanted = [points[i] for i in checked]
            if not total.requires_grad:
                return [Tensor(t.data * 0) for t in wanted]
            found = grad(total, wanted, create_graph=True, allow_unused=True)
            return [Tensor(t.data * 0) if g is None else g for t, g in zip(wanted, found)]

        weights = [Tensor(u, requires_grad=True) for u in cotangents]
        more = [f"the cotangent of output {i}" for i in range(len(weights))]
        gradcheck(gradients, (*inputs, *weights), order - 1, eps, rtol, atol, seed + 1, names + more)
    return True


def _check_first_order(function, inputs, names, eps, rtol, atol, random):
    points = [_copy(t) for t in inputs]
    outputs = _outputs(function, points)
    cotangents = [_normals(random, y.data) for y in outputs]
    weights = [Tensor(u) for u in cotangents]
    total = _weighted_sum(outputs, weights)
    checked = [i for i, t in enumerate(points) if t.requires_grad]
    if total.requires_grad:
        found = grad(total, [points[i] for i in checked], allow_unused=True)
    else:
        found = [None] * len(checked)

    def value(position, array):
        moved = [Tensor(array, t.requires_grad) if i == position else _copy(t) for i, t in enumerate(inputs)]
        return _weighted_sum(_outputs(function, moved), weights).item()

    for position, g in zip(checked, found):
        at = inputs[position].data
        analytic = at * 0 if g is None else g.data
        if analytic.shape != at.shape:
            raise GradcheckError(f"the gradient of {names[position]} has shape {analytic.shape}, not {at.shape}")
        direction = _normals(random, at)
        numeric = (value(position, at + eps * direction) - value(position, at - eps * direction)) / (2 * eps)
        expected = float((analytic * direction).sum())
        size = max(float((analytic * analytic).sum()) ** 0.5, abs(numeric))
        if not abs(numeric - expected) <= atol * (1 + abs(total.item())) + rtol * size:
            raise GradcheckError(
                f"the gradient of {names[position]} is wrong: along a random direction it is {expected:.8g}, but central "
                f"differences give {numeric:.8g}. {_worst(value, position, at, analytic, eps)}"
            )
    return cotangents


def _worst(value, position, at, analytic, eps):
    """Names the element whose gradient is furthest off."""
    xp = backend.array_module(backend.device_of(at))
    elements = range(min(at.size, MOST_ELEMENTS))
    numeric = np.empty(len(elements))
    for i in elements:
        step = xp.zeros_like(at)
        step.reshape(-1)[i] = eps
        numeric[i] = (value(position, at + step) - value(position, at - step)) / (2 * eps)
    found = backend.to_numpy(xp.ascontiguousarray(analytic)).reshape(-1)[: len(elements)]
    error = np.where(np.isfinite(found), np.abs(found - numeric), np.inf)
    worst = int(np.argmax(error))
    relative = error[worst] / max(abs(found[worst]), abs(numeric[worst]), 1e-300)
    index = tuple(int(i) for i in np.unravel_index(worst, at.shape))
    looked_at = "" if at.size <= MOST_ELEMENTS else f" of its first {MOST_ELEMENTS} elements"
    return (
        f"The worst{looked_at} is at index {index}: analytic {found[worst]:.8g}, numeric {numeric[worst]:.8g}, "
        f"relative error {relative:.2g}"
    )


def _outputs(function, points):
    outputs = function(*points)
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _weighted_sum(outputs, weights):
    """<y, u>, summed over all outputs."""
    first, *others = ((y * u).sum() for y, u in zip(outputs, weights))
    return sum(others, first)


def _copy(t):
    return Tensor(t.data.copy(), t.requires_grad)


def _normals(random, like):
    return backend.to_device(random.standard_normal(like.shape), backend.device_of(like))
