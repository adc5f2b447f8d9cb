"""Checks of exercise 11."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen, refuses


def walked(w, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, epsilon_hat=False, slip=""):
    """Where Adam brings w, or a slip of it does."""
    (beta1, beta2), m, v = betas, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        m = beta1 * m + (1 if slip == "sum" else 1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (abs(g) if slip == "no square" else g * g)
        m_hat = m if slip in ("uncorrected", "m uncorrected") else m / (1 - beta1 ** (1 if slip == "t is 1" else t))
        v_hat = v if slip in ("uncorrected", "v uncorrected") else v / (1 - beta2 ** (1 if slip == "t is 1" else t))
        if slip == "eps in the root":
            below = np.sqrt(v_hat + eps)
        elif slip == "no root":
            below = v_hat + eps
        elif epsilon_hat != (slip == "other eps"):
            below = (np.sqrt(v) + eps) / np.sqrt(1 - beta2**t)
        else:
            below = np.sqrt(v_hat) + eps
        w = w - lr * (g if slip == "no m" else m_hat) / below
    return w


def slips_of(w, gradients, settings):
    """{sentence: where the slip leads}."""
    sentences = {
        "uncorrected": "the bias correction is missing",
        "m uncorrected": "the bias correction of m is missing",
        "v uncorrected": "the bias correction of v is missing",
        "t is 1": "t stays 1: it should count the steps",
        "sum": "m is a sum: the new gradient should count 1 - beta1",
        "no square": "v averages the gradient, not its square",
        "no root": "the root of v is missing",
        "eps in the root": "eps is inside of the root",
        "no m": "the step is along the gradient, not along its average m",
        "other eps": "eps is added "
        + (
            "after the correction of v, as without"
            if settings.get("epsilon_hat")
            else "before the correction of v, as with"
        )
        + " epsilon_hat",
    }
    slips = {sentence: walked(w, gradients, **settings, slip=slip) for slip, sentence in sentences.items()}
    slips["the parameter has not moved: change the array that was given, in place"] = w
    slips["it goes uphill"] = 2 * w - walked(w, gradients, **settings)
    exchanged = settings | {"betas": settings.get("betas", (0.9, 0.999))[::-1]}
    slips["beta1 and beta2 are exchanged"] = walked(w, gradients, **exchanged)
    slips["m and v are lost between the steps"] = w + sum(walked(w, [g], **settings) - w for g in gradients)
    return slips


def away_from_zero(rng, shape):
    """Numbers whose size is 0.5 to 2."""
    return frozen(rng.uniform(0.5, 2, size=shape) * rng.choice([-1, 1], size=shape))


def some_settings(rng):
    return {
        "lr": rng.uniform(0.1, 0.5),
        "betas": (rng.uniform(0.4, 0.6), rng.uniform(0.7, 0.8)),
        "eps": rng.uniform(0.1, 0.5),
    }


def compare(student, rng, shape, settings, count, what):
    start, gradients = frozen(rng.normal(size=shape)), [away_from_zero(rng, shape) for _ in range(count)]
    w = start.copy()
    optimizer = student.Adam([w], **settings)
    for g in gradients:
        optimizer.step([g])
    expect(
        np.isfinite(w).all(),
        f"{what} is {w}: is t 0 in the first correction? 1 - beta**0 is 0; t counts the step that is taken",
    )
    right = walked(start, gradients, **settings)
    agree(
        w, right, what,
        given={"the parameter at first": start, "gradients": gradients, **settings}, slips=slips_of(start, gradients, settings),
    )  # fmt: skip
    expect(
        np.allclose(w, right, 1e-11, 1e-11),
        f"{what} is right to {np.abs(w - right).max():.1g} only, and the parameter is float64: are m and v kept in float32?",
    )


@check(points=3)
def steps(student, rng):
    """A step goes against the corrected m, divided by the root of the corrected v, plus eps"""
    for count in (1, 2, 4):
        compare(student, rng, (2,), some_settings(rng), count, f"the parameter after step {count}")


@check(points=1)
def defaults(student, rng):
    """Without settings, lr is 0.001, betas are (0.9, 0.999), eps is 1e-8 and added after the correction"""
    compare(student, rng, (2,), {}, 3, "the parameter after 3 steps without settings")
    w = np.zeros(1)
    student.Adam([w]).step([np.array([1e-8])])
    agree(
        w, [-0.0005], "a parameter of 0 after one step without settings, along a gradient of 1e-8 (half of lr, since eps is as large)",
        slips={"eps is missing": [-0.001], "eps meets v before the correction": [-0.001 / (1 + 1 / np.sqrt(0.001))]},
        atol=1e-10,
    )  # fmt: skip


@check(points=2)
def keras(student, rng):
    """With epsilon_hat, eps is added to the root of v before the correction of v"""
    for count in (1, 3):
        compare(
            student, rng, (2,), some_settings(rng) | {"epsilon_hat": True}, count, f"with epsilon_hat, the parameter after step {count}"
        )  # fmt: skip


@check(points=2)
def many_parameters(student, rng):
    """Every parameter has averages of its own, and is changed in place"""
    for epsilon_hat in (False, True):
        _many_parameters(student, rng, some_settings(rng) | {"epsilon_hat": epsilon_hat})


def _many_parameters(student, rng, settings):
    shapes = [(), (2, 3), (4,)]
    starts = [frozen(rng.normal(size=shape)) for shape in shapes]
    gradients = [[away_from_zero(rng, shape) for shape in shapes] for _ in range(3)]
    params = [start.copy() for start in starts]
    optimizer = student.Adam(params, **settings)
    student.Adam([np.ones(1)], **settings).step([np.ones(1)])  # a second optimizer must not disturb the first
    for grads in gradients:
        expect(optimizer.step(grads) is None, "step should return nothing: it changes the parameters in place")
    for i, start in enumerate(starts):
        own = [grads[i] for grads in gradients]
        agree(
            params[i], walked(start, own, **settings), f"parameter {i} of shapes {shapes} after 3 steps",
            given={"parameter at first": start, "its gradients": own, **settings}, slips=slips_of(start, own, settings),
        )  # fmt: skip


@check(points=2)
def left_out(student, rng):
    """A parameter without a gradient stays as it is, and so does its count of steps"""
    settings = some_settings(rng)
    starts = [frozen(rng.normal(size=2)) for _ in range(2)]
    gradients = [away_from_zero(rng, 2) for _ in range(3)]
    params = [start.copy() for start in starts]
    optimizer = student.Adam(params, **settings)
    refuses(lambda: optimizer.step([gradients[0]]), ValueError, "a step of two parameters with one gradient")
    refuses(lambda: optimizer.step([gradients[0]] * 3), ValueError, "a step of two parameters with three gradients")
    expect(
        all(np.array_equal(p, start) for p, start in zip(params, starts)),
        "a step that raises its error for the number of gradients has changed a parameter before: look first",
    )
    optimizer.step([gradients[0], None])
    agree(params[1], starts[1], "a parameter whose gradient is None, after the step")
    optimizer.step([gradients[1], gradients[2]])
    counted = {
        "the count of steps is shared: it went on while the gradient was None": _late(starts[1], gradients[2], settings)
    }
    for i, own in enumerate((gradients[:2], gradients[2:])):
        agree(
            params[i], walked(starts[i], own, **settings), f"parameter {i} after the steps [g0, None] and [g1, g2]",
            given={"parameter at first": starts[i], "g0, g1, g2": gradients, **settings},
            slips=(counted if i else {}) | slips_of(starts[i], own, settings),
        )  # fmt: skip
    optimizer.step([np.zeros(2), gradients[0]])
    own = [*gradients[:2], np.zeros(2)]
    agree(
        params[0], walked(starts[0], own, **settings), "parameter 0 after a further step [0, g0]",
        given={"parameter at first": starts[0], "g0, g1, g2": gradients, **settings},
        slips={
            "a gradient of zeros is left out as None is: it counts as a step, m and v shrink, and m still moves the parameter":
                walked(starts[0], own[:2], **settings),
        },
    )  # fmt: skip


def _late(w, g, settings):
    """A first step that is corrected as if it were the second."""
    beta1, beta2 = settings["betas"]
    m_hat, v_hat = (1 - beta1) * g / (1 - beta1**2), (1 - beta2) * g * g / (1 - beta2**2)
    return w - settings["lr"] * m_hat / (np.sqrt(v_hat) + settings["eps"])
