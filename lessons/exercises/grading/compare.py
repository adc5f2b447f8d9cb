"""Compares a student's answer with the right one, and says where they differ and what the difference looks like."""

import numpy as np

from grading.check import Mistake

LONGEST = 60  # elements of an array that is printed whole


def frozen(array):
    """The array, read-only: an answer that changes its input in place fails instead of spoiling later checks."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def agree(answer, expected, what, given=None, slips=None, rtol=1e-6, atol=1e-8):
    """Raises Mistake unless `answer` equals `expected` in shape and, within tolerances, in every element.

    what: names the answer: "the gradient of weight". given: {name: value}, the inputs that show the mistake.
    slips: {sentence: wrong answer}, known mistakes, each value an array or a function that computes it; where
    the answer equals one of them, the message says so: "It looks as if " + sentence.
    """
    _compare(answer, expected, what, given, slips, rtol, atol, "yours is {:.8g}, it should be {:.8g}")


def gradient_agrees(analytic, function, at, what, given=None, slips=None, rtol=1e-5, atol=1e-7, h=1e-5):
    """Raises Mistake unless `analytic` is the gradient of `function` (array -> number) at `at`, by central differences."""
    told = "analytic (yours) {:.8g}, numeric (central differences) {:.8g}"
    _compare(analytic, numeric_gradient(function, at, h), what, given, slips, rtol, atol, told)


def _compare(answer, expected, what, given, slips, rtol, atol, told):
    """As `agree`. told: how the worst element of both is told."""
    expected = np.asarray(expected, float)
    if answer is None:
        raise Mistake(f"{what} is None: is there a `return`?")
    try:
        array = np.asarray(answer.data if type(answer).__name__ == "Tensor" else answer, float)
    except (TypeError, ValueError):
        raise Mistake(f"{what} should be an array of shape {expected.shape}, but is {answer!r:.200}") from None
    if array.shape == expected.shape and np.allclose(array, expected, rtol, atol):
        return
    if array.shape != expected.shape:
        found = f"{what} has shape {array.shape}; it should have shape {expected.shape}."
    else:
        error = np.where(np.isfinite(array), np.abs(array - expected), np.inf)
        worst = np.unravel_index(int(np.argmax(error)), error.shape)
        place = f" at index {tuple(int(i) for i in worst)}" if error.ndim else ""
        found = f"{what} is wrong. The worst{place}: {told.format(array[worst], expected[worst])}."
    raise Mistake(found + _resemblance(array, slips, rtol, atol) + _shown(given))


def numeric_gradient(function, at, h=1e-5):
    """The gradient of `function` (array -> number) at `at`, element by element, in float64."""
    at = np.array(at, float)
    gradient = np.zeros_like(at)
    for index in np.ndindex(at.shape):
        middle = at[index]
        at[index] = middle + h
        above = float(function(at.copy()))
        at[index] = middle - h
        below = float(function(at.copy()))
        at[index] = middle
        gradient[index] = (above - below) / (2 * h)
    return gradient


def expect(condition, message, given=None):
    """Raises Mistake(message) unless the condition holds."""
    if not condition:
        raise Mistake(message + _shown(given))


def refuses(call, error, what, mention=()):
    """Raises Mistake unless call() raises `error`, with every word of `mention` in its message. what: names the call."""
    try:
        call()
    except error as found:
        for word in mention:
            if str(word) not in str(found):
                raise Mistake(
                    f"{what} raises {type(found).__name__}, but its message ({found}) lacks {word!r}"
                ) from None
    else:
        raise Mistake(f"{what} should raise {error.__name__}, but does not")


def _resemblance(array, slips, rtol, atol):
    """What a wrong answer looks like, if it looks like anything known."""
    for sentence, wrong in (slips or {}).items():
        wrong = np.asarray(wrong() if callable(wrong) else wrong, float)
        if wrong.shape == array.shape and np.allclose(array, wrong, rtol, atol):
            return f"\nIt looks as if {sentence}."
    return ""


def _shown(given):
    """The inputs, printed so that they can be pasted into a Python prompt, if they are small."""
    lines = []
    for name, value in (given or {}).items():
        if isinstance(value, np.ndarray) and value.size > LONGEST:
            lines.append(f"  {name}: array of shape {value.shape}, {value.dtype}")
        else:
            lines.append(f"  {name} = {value!r}")
    return "\nWith\n" + "\n".join(lines) if lines else ""
