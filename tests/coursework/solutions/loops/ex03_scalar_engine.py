import math


class Value:
    def __init__(self, data, inputs=(), partials=()):
        self.data = data
        self.inputs = inputs
        self.partials = partials
        self.grad = 0.0

    def __add__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data + other.data, [self, other], [1, 1])

    def __sub__(self, other):
        return self + other * Value(-1)

    def __mul__(self, other):
        if not isinstance(other, Value):
            other = Value(other)
        return Value(self.data * other.data, [self, other], [other.data, self.data])

    def __rmul__(self, other):
        return self * other

    def tanh(self):
        out = math.tanh(self.data)
        return Value(out, [self], [1 - out**2])

    def backward(self):
        order = []
        seen = set()
        stack = [(self, False)]
        while stack:
            value, finished = stack.pop()
            if finished:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                for i in value.inputs:
                    stack.append((i, False))
        gradients = dict.fromkeys(order, 0)
        gradients[self] = 1
        for value in reversed(order):
            value.grad += gradients[value]
            for i, partial in zip(value.inputs, value.partials):
                gradients[i] += gradients[value] * partial
