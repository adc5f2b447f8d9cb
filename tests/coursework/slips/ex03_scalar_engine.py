"""Slips of exercise 3: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

TABLE = """        gradients = dict.fromkeys(order, 0)
        gradients[self] = 1
        for value in reversed(order):
            value.grad += gradients[value]
            for i, partial in zip(value.inputs, value.partials):
                gradients[i] += gradients[value] * partial
"""
WALK = """
        for value in reversed(order):
            for i, partial in zip(value.inputs, value.partials):
                i.grad += value.grad * partial
"""
PUSH = """        def push(value, g):
            value.grad += g
            for i, partial in zip(value.inputs, value.partials):
                push(i, g * partial)
        push(self, 1)
"""
STACK = """        stack = [(self, False)]
        while stack:
            value, finished = stack.pop()
            if finished:
                order.append(value)
            elif value not in seen:
                seen.add(value)
                stack.append((value, True))
                for i in value.inputs:
                    stack.append((i, False))
"""
RECURSIVE = """        def visit(value):
            if value not in seen:
                seen.add(value)
                for i in value.inputs:
                    visit(i)
                order.append(value)
        visit(self)
"""
SLIPS = [
    ("overwritten", "loops", "gradients[i] += gradients", "gradients[i] = gradients", "overwrites what came first"),
    ("product", "arrays", "(self, other.data), (other, self.data)", "(self, self.data), (other, other.data)", "its own value"),
    ("minus", "arrays", "(other, -1)", "(other, 1)", "minus sign of the second operand is forgotten"),
    ("no square", "loops", "1 - out**2", "1 - out", "the square is missing"),
    ("input for output", "loops", "1 - out**2", "1 - self.data**2", "of the input: it should be of the output"),
    ("at the output", "loops", "1 - out**2", "1 - math.tanh(out) ** 2", "taken at the output, not at the input"),
    ("tanh starts afresh", "other", "(g * 4 * small / (1 + small) ** 2,)", "(4 * small / (1 + small) ** 2,)", "tanh ignores the gradient that arrives"),
    ("product starts afresh", "other", "(g * b, g * a)", "(b, a)", "the product ignores the gradient that arrives"),
    ("minus starts afresh", "other", "(g, -g)", "(1, -1)", "the difference ignores the gradient that arrives"),
    ("left over", "loops", TABLE, f"        self.grad = 1.0{WALK}", "what the first had left in .grad, too"),
    ("sums handed on", "loops", TABLE, f"        self.grad += 1.0{WALK}", "keep the gradients of a walk in a table"),
    ("set to 0 first", "loops", TABLE, f"        for v in order:\n            v.grad = 0.0\n        self.grad = 1.0{WALK}", "sets .grad to 0 before it starts"),
    ("every path", "loops", TABLE, PUSH, "each time that one arrives"),
    ("recursion", "loops", STACK, RECURSIVE, "calls itself along the graph"),
    ("any order", "arrays", "-value.order", "0", "handed its gradient on before all that used it"),
    ("numbers refused", "loops", "        if not isinstance(other, Value):\n            other = Value(other)\n        return Value(self.data + ", "        return Value(self.data + ", "has no attribute"),
    ("ints refused", "arrays", "other if isinstance(other, Value) else Value(other)", "Value(other) if isinstance(other, float) else other", "A plain number may be an int"),
    ("tanh overflows", "loops", "out = math.tanh(self.data)", "out = (math.exp(self.data) - math.exp(-self.data)) / (math.exp(self.data) + math.exp(-self.data))",
     "is beyond any float"),
    ("nothing on a leaf", "loops", "        order = []\n", "        if not self.inputs:\n            return\n        order = []\n", "being computed from nothing"),
    ("in place", "arrays", "        return Value(self.data + other.data, [(self, 1), (other, 1)])", "        self.data += other.data\n        return self", "should be"),
]  # fmt: skip
