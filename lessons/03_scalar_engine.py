# %% [markdown]
# # 3. A scalar engine: the chain rule as a program
#
# **Objective.** After this lesson you can write a program that differentiates other programs, and say in which order
# it must walk, and why gradients add up where a value is used twice.
#
# **You need** lesson 2, and Python classes with operators. *2 seconds.*
#
# **In the library:** the walk in `minigan/tensor.py` (`grad` and `_path`). **Follows:** Rumelhart, Hinton and
# Williams, *Learning representations by back-propagating errors* (1986), equations 4 to 7; Griewank and Walther,
# *Evaluating Derivatives* (2008), chapter 3.

# %%
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show

# %% [markdown]
# A program gets to its result by small steps, and the derivative of each step is known. So let each number remember
# which numbers it was computed from (`inputs`), and how fast it moves with each of them (`partials`).

# %%
creation = itertools.count()


class Value:
    def __init__(self, data, inputs=(), partials=()):
        self.data, self.inputs, self.partials = data, inputs, partials
        self.grad, self.order = 0.0, next(creation)

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def tanh(self):
        return Value(math.tanh(self.data), (self,), (1 - math.tanh(self.data) ** 2,))

    def softplus(self):
        return Value(math.log1p(math.exp(self.data)), (self,), (1 / (1 + math.exp(-self.data)),))


# %% [markdown]
# A result now hangs on a graph whose edges carry partial derivatives. A nudge of an input reaches it along every path.
# Along one path the partials multiply: the chain rule. Over the paths the products add up, because small changes do.
# So walk every path, from the result back to the inputs. **Predict** the three gradients of $(wx+b)\,w$ by hand.


# %%
def push(value, g):
    """Hands g to a value, and on to what it was computed from. Returns the number of calls."""
    value.grad += g
    return 1 + sum(push(i, g * partial) for i, partial in zip(value.inputs, value.partials))


w, x, b = Value(2.0), Value(3.0), Value(-1.0)
product = w * x
total = product + b
result = total * w
push(result, 1.0)
assert (w.grad, x.grad, b.grad) == (2 * 2 * 3 - 1, 2 * 2, 2)

places = {w: ("w", 0, 2), x: ("x", 0, 1), b: ("b", 1, 0.2)}
places |= {product: ("w x", 1, 1.3), total: ("w x + b", 2, 0.8), result: ("(w x + b) w", 3, 1.5)}
figure, axes = plt.subplots(figsize=(8, 3.6))
box = {"boxstyle": "round", "facecolor": "lavender"}
for value, (name, right, up) in places.items():
    axes.text(right, up, f"{name} = {value.data:g}\ngradient {value.grad:g}", ha="center", va="center", bbox=box)
    for (_, left, low), partial in zip([places[i] for i in value.inputs], value.partials):
        axes.plot([left, right], [low, up], color="tab:gray", zorder=0)
        axes.text((left + right) / 2, (low + up) / 2 + 0.05, f"{partial:g}", color="tab:red")
axes.set(xlim=(-0.4, 3.5), ylim=(0, 2.3), xticks=[], yticks=[], frame_on=False, title="In red: partial derivatives")
show(figure, "The graph of (w x + b) w: from w two edges go right, of partials 3 and 5; its gradient is 3 * 1 * 2 + 5.")

# %% [markdown]
# Two paths start at $w$: through the product, $3\cdot 1\cdot 2=6$, and straight, $5$. Their sum, 11, is $2wx+b$. With
# `value.grad = g` the second to arrive would have erased the first. The sum is equation 7 of Rumelhart, Hinton and
# Williams: the error of a unit is collected from all the units it feeds.
#
# ## The order of the walk
# **Predict:** here $y$ is doubled 14 times. How many calls does `push` make?

# %%
x = y = Value(1.0)
for _ in range(14):
    y = y + y
print(f"{push(y, 1.0)} calls, gradient {x.grad:g}")

# %% [markdown]
# The answer is right, but the walk took each of $2^{14}$ paths, in a graph of 15 values. The remedy: a value passes
# its gradient on *once*, after everything that used it has passed on its own (a *topological order*, reversed). One
# such order is free: a value is created after its inputs. A loop in place of recursion spares Python's stack.


# %%
def backward(output):
    """Adds the derivative of output to `.grad` of all it was computed from. Returns how many values there are."""
    seen, stack = {output}, [output]
    while stack:
        new = set(stack.pop().inputs) - seen
        seen |= new
        stack.extend(new)
    output.grad = 1.0
    for value in sorted(seen, key=lambda v: v.order, reverse=True):
        for i, partial in zip(value.inputs, value.partials):
            i.grad += value.grad * partial
    return len(seen)


x = y = Value(1.0)
for _ in range(1000):
    y = y + y
assert backward(y) == 1001 and x.grad == 2.0**1000

# %% [markdown]
# ## A discriminator of two neurons
# Real points lie near 0, generated ones on both sides. One neuron, $\tanh(wx+b)$, can only split the line in two; two
# can cut out the middle. The loss is lesson 2's: softplus$(-s)$ for a real point of score $s$, softplus$(s)$ for a
# generated one.


# %%
def score(p, x):
    return (p[0] * Value(x) + p[1]).tanh() * p[4] + (p[2] * Value(x) + p[3]).tanh() * p[5] + p[6]


def loss(p):
    first, *others = [(score(p, x) * Value(-1.0)).softplus() for x in real] + [score(p, x).softplus() for x in fake]
    return sum(others, first) * Value(1 / (len(real) + len(fake)))


real, fake = [-0.7, -0.4, -0.1, 0.2, 0.5, 0.6], [-2.4, -1.9, -1.4, 1.3, 1.8, 2.5]
start = np.random.default_rng(0).normal(size=7)
ours = [Value(n) for n in start]
backward(loss(ours))
nudged = [[loss([Value(n) for n in start + sign * row]).data for sign in (1e-5, -1e-5)] for row in np.eye(7)]
error = max(abs(value.grad - (up - down) / 2e-5) for value, (up, down) in zip(ours, nudged))
print(f"largest difference between the walk and central differences: {error:.1e}")
assert error < 1e-8

# %% [markdown]
# Differences took 14 losses for 7 parameters. The walk takes about the time of one, however many parameters there are.
# **Predict** the curve $D(x)=\sigma(s(x))$ after gradient descent.

# %%
p, line = ours, np.linspace(-3, 3, 121)
for _ in range(length(normal=1500, short=300)):
    p = [Value(value.data - 0.5 * value.grad) for value in p]  # new ones, with .grad = 0
    backward(loss(p))
figure, axes = plt.subplots(figsize=(6, 3.2))
for neurons, label in ((ours, "D before"), (p, "D after")):
    axes.plot(line, [1 / (1 + math.exp(-score(neurons, t).data)) for t in line], label=label)
axes.plot(real, np.ones(6), "o", label="real points")
axes.plot(fake, np.zeros(6), "x", label="generated points")
axes.set(xlabel="x", ylabel="D(x)", title="Two neurons cut out the middle")
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(figure, "D(x) before training: a slope. After: near 1 over the real points around 0, near 0 on both sides.")
assert loss(p).data < (0.1 if LENGTH != "short" else loss(ours).data)

# %% [markdown]
# ## Three questions
#
# 1. `backward(y)` is called a second time, without new values. For $y=f(g(x))$, is `x.grad` then twice the derivative?
# 2. Why does minigan's `grad` keep its gradients in a table of its own, and not on the tensors?
# 3. Start with all seven parameters 0, and train. Which of them move, and what does $D$ become?
#
# The answers are in the [book](answers/03.md). **Exercise:** `lessons/exercises/ex03_scalar_engine.py`.
