"""Which operation made the first number that is not finite: `with detect_anomaly():` raises an `Anomaly` that says so.

The engine (`tensor.py`) hands every result to `check` inside such a block. A layer or a loss names itself with
`located`. Built on NumPy alone; PyTorch's `torch.autograd.detect_anomaly` is the model.
"""

import contextlib
import functools

import numpy as np

_checking = False  # whether every result is searched for NaN and infinity
_place = None  # what is being computed, in words
_differentiated = None  # the tensor whose gradient is being handed back
_NOTHING = contextlib.nullcontext()


@contextlib.contextmanager
def detect_anomaly(check=True):
    """Inside the block, the first op that makes a NaN or infinity raises an Anomaly naming itself.

    Reads every result back from the device, so it is slow: for finding a fault, not for training. check=False: inside
    the block no op is searched.
    """
    global _checking
    before, _checking = _checking, check
    try:
        yield
    finally:
        _checking = before


def is_checking():
    """Whether every result is searched for NaN and infinity now."""
    return _checking


class Anomaly(FloatingPointError):
    """The first number that is not finite. what: made it, or was given it, in words. kind: "a NaN" or "an infinity".

    given: the Tensor that held it before the op, which then did not make it; else None.
    """

    def __init__(self, what, kind, given=None):
        super().__init__(f"{what} {'made' if given is None else 'was given'} {kind}")
        self.what, self.kind, self.given = what, kind, given


def located(place):
    """Makes a function say, while results are searched for NaN, that its ops are those of `place`, a few words."""

    def decorate(function):
        @functools.wraps(function)
        def inside(*arguments, **options):
            global _place
            if not _checking:
                return function(*arguments, **options)
            before, _place = _place, place
            try:
                return function(*arguments, **options)
            finally:
                _place = before

        return inside

    return decorate


def place():
    """What is being computed, in the words of `located`; or None."""
    return _place


def in_gradient_of(t):
    """Inside the block, the ops are those of the gradient of the op that made the Tensor t."""
    return _gradient_of(t) if _checking else _NOTHING


@contextlib.contextmanager
def _gradient_of(t):
    global _differentiated
    before = _differentiated
    _differentiated = t if before is None else before  # a gradient may be found by differentiating a reference
    try:
        yield
    finally:
        _differentiated = before


def check(op, made, inputs):
    """Raises Anomaly unless all arrays among what an Op made of these Tensors are finite."""
    for array in made:
        is_array = hasattr(array, "__array_interface__") or hasattr(array, "__cuda_array_interface__")
        kind = not_finite(array) if is_array else None
        if kind:
            given = next((t for t in inputs if not_finite(t.data)), None)
            raise Anomaly(_in_words(op, inputs), kind, given)


def not_finite(array):
    """What an array holds that is no finite number: "a NaN", "an infinity", or None."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    return "a NaN" if np.isnan(array).any() else "an infinity"


def _in_words(op, inputs):
    """An op's name, its inputs' shapes, and where it is."""
    gradient, of = "", ""
    if _differentiated is not None:
        op, inputs, gradient = _differentiated.op, _differentiated.inputs, "the gradient of "
        of = f", of {_place}" if _place not in (None, op.place) else ""
    given = ", ".join(f"{t.dtype}{t.shape}" for t in inputs)
    return f"{gradient}{type(op).__name__}({given}){f' in {op.place}' if op.place else ''}{of}"
