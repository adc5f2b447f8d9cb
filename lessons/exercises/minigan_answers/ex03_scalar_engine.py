"""Exercise 3 by minigan: a Value is a Tensor of one float64."""

from minigan.tensor import Tensor, grad


class Value:
    """A Tensor without dimensions. Every value keeps a gradient, which minigan does for leaves alone."""

    def __init__(self, data, made_from=()):
        self.tensor = data if isinstance(data, Tensor) else Tensor(data, requires_grad=True, dtype="float64")
        self.made_from, self.grad = made_from, 0.0

    @property
    def data(self):
        """The number."""
        return self.tensor.item()

    def __add__(self, other):
        return Value(self.tensor + _tensor(other), (self, other))

    def __sub__(self, other):
        return Value(self.tensor - _tensor(other), (self, other))

    def __mul__(self, other):
        return Value(self.tensor * _tensor(other), (self, other))

    def tanh(self):
        """The hyperbolic tangent."""
        return Value(self.tensor.tanh(), (self,))

    def backward(self):
        """By the engine's walk."""
        seen, stack = set(), [self]
        while stack:
            value = stack.pop()
            if isinstance(value, Value) and value not in seen:
                seen.add(value)
                stack.extend(value.made_from)
        seen = list(seen)
        for value, g in zip(seen, grad(self.tensor, [value.tensor for value in seen])):
            value.grad += g.item()


def _tensor(other):
    return other.tensor if isinstance(other, Value) else other
