from collections import Counter
from math import copysign, exp


class Value:
    def __init__(self, data, inputs=(), pull=None):
        self.data, self.inputs, self.pull, self.grad = data, inputs, pull, 0.0

    def combined(self, other, data, pull):
        other = other if isinstance(other, Value) else Value(other)
        return Value(data(self.data, other.data), (self, other), lambda g: pull(g, self.data, other.data))

    def __add__(self, other):
        return self.combined(other, lambda a, b: a + b, lambda g, a, b: (g, g))

    def __sub__(self, other):
        return self.combined(other, lambda a, b: a - b, lambda g, a, b: (g, -g))

    def __mul__(self, other):
        return self.combined(other, lambda a, b: a * b, lambda g, a, b: (g * b, g * a))

    def tanh(self):
        small = exp(-2 * abs(self.data))
        out = copysign((1 - small) / (1 + small), self.data)
        return Value(out, (self,), lambda g: (g * 4 * small / (1 + small) ** 2,))

    def backward(self):
        uses, found = Counter(), [self]
        while found:
            for i in found.pop().inputs:
                uses[i] += 1
                if uses[i] == 1:
                    found.append(i)
        gradients, ready = Counter({self: 1}), [self]
        while ready:
            value = ready.pop()
            value.grad += gradients[value]
            for i, g in zip(value.inputs, value.inputs and value.pull(gradients[value])):
                gradients[i] += g
                uses[i] -= 1
                if uses[i] == 0:
                    ready.append(i)
