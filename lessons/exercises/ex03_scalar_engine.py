"""Exercise 3: a scalar engine that walks back through what it computed (lesson 3). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex03
"""


class Value:
    """A number that remembers which values it was computed from.

    data: the number, a float. grad: a float, 0.0 in a new Value; `backward` adds to it.
    Operators take a Value or a plain number, int or float, on their right (v + w, v * 0.5, v - 1), return a new Value and change neither.
    You may keep further attributes and give `__init__` further arguments, as long as Value(2.0) works.
    """

    def __init__(self, data):
        raise NotImplementedError("Value")

    def __add__(self, other):
        """self + other."""
        raise NotImplementedError("+")

    def __sub__(self, other):
        """self - other."""
        raise NotImplementedError("-")

    def __mul__(self, other):
        """self * other."""
        raise NotImplementedError("*")

    def tanh(self):
        """The hyperbolic tangent of self, for numbers of any size: at 1000 it is 1, and nothing overflows."""
        raise NotImplementedError("tanh")

    def backward(self):
        """Adds d self / d v to v.grad, for each Value v that self was computed from, and 1 to self.grad (even if from none).

        Each value hands its gradient on once, however many paths lead through it; so it must come after all that used
        it. A graph may be thousands of values deep: do not call a function recursively along it. What an earlier
        call has left in `.grad` has no part in the walk: a second call adds the same derivatives once more.
        """
        raise NotImplementedError("backward")
