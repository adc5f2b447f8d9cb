import itertools

import numpy as np

created = itertools.count()


def as_value(other):
    return other if isinstance(other, Value) else Value(other)


class Value:
    def __init__(self, data, edges=()):
        self.data, self.edges, self.grad, self.order = data, edges, 0.0, next(created)

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, [(self, 1), (other, 1)])

    def __sub__(self, other):
        other = as_value(other)
        return Value(self.data - other.data, [(self, 1), (other, -1)])

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, [(self, other.data), (other, self.data)])

    def tanh(self):
        out = np.tanh(self.data)
        return Value(out, [(self, (1 - out) * (1 + out))])

    def backward(self):
        gradients, stack = {self: 1}, [self]
        while stack:
            for i, _ in stack.pop().edges:
                if i not in gradients:
                    gradients[i] = 0
                    stack.append(i)
        for value in sorted(gradients, key=lambda value: -value.order):
            for i, partial in value.edges:
                gradients[i] += partial * gradients[value]
        for value, g in gradients.items():
            value.grad += g
