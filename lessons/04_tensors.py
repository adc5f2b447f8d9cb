# %% [markdown]
# # 4. Tensors: one op, one array, one vector-Jacobian product
#
# **Objective.** After this lesson you can turn the scalar engine into one for arrays: derive the vector-Jacobian
# product of an op, undo broadcasting, and say what memory a graph holds.
#
# **You need** lesson 3, and NumPy's broadcasting. *2 seconds.*
#
# **In the library:** `minigan/tensor.py` (`Op`, `grad`, `Tensor.sum_to`). **Follows:** Griewank and Walther,
# *Evaluating Derivatives* (2008), chapter 3; Giles, *Collected matrix derivative results for forward and reverse mode
# algorithmic differentiation* (2008), section 2.

# %%
import itertools
import tracemalloc
from collections import namedtuple

import matplotlib.pyplot as plt
import numpy as np
from page import length, show

from minigan.tensor import Tensor

# %% [markdown]
# ## From partial derivatives to a product
#
# A layer of 784 inputs and 128 units takes 6.4 million products for 64 images: as many `Value` objects in lesson 3,
# for one layer. So let a node of the graph be an array, and an op a function of arrays, $y=f(x)$, with Jacobian
# $J=\partial y/\partial x$. As a function of its weights this layer's has $(64\cdot 128)(784\cdot 128)$ numbers, 822
# million.
#
# Nobody needs them. The walk arrives with the *cotangent* $g=\partial L/\partial y$, an array of the shape of $y$, and
# goes on with $g^\top J$, an array of the shape of $x$: the *vector-Jacobian product* (vjp). Find a formula for it in
# which no $J$ appears: write $dL=\langle g, dy\rangle$ (the sum of the elements' products), put in $dy$, and bring it
# to the form $\langle\cdot\,, dx\rangle$.
#
# - $y=\tanh x$: $\langle g,(1-y^2)\,dx\rangle=\langle g\,(1-y^2),dx\rangle$. The output is all it needs.
# - $Y=AB$: $\langle G, dA\,B+A\,dB\rangle=\langle GB^\top, dA\rangle+\langle A^\top G, dB\rangle$: a factor changes
#   sides transposed.

# %%
Op = namedtuple("Op", "forward vjp")
Add = Op(lambda a, b: a + b, lambda g, out, a, b: (g, g))
Mul = Op(lambda a, b: a * b, lambda g, out, a, b: (g * b, g * a))
MatMul = Op(lambda a, b: a @ b, lambda g, out, a, b: (g @ b.T, a.T @ g))
Tanh = Op(np.tanh, lambda g, out, a: (g * (1 - out * out),))
Sum = Op(np.sum, lambda g, out, a: (np.full_like(a, g),))

# %% [markdown]
# ## Broadcasting, undone in one place
#
# A bias (3,) is added to scores (4, 3): NumPy copies it to four rows. **Predict** the shape that `Add`'s vjp gives for
# the bias, and the shape that its gradient must have.

# %%
rng = np.random.default_rng(0)
scores, bias, g = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(4, 3))
print("the vjp gives", Add.vjp(g, scores + bias, scores, bias)[1].shape, "for a bias of", bias.shape)


def unbroadcast(g, shape):
    """Undoes broadcasting from `shape`: sums over the dimensions that were added or stretched."""
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(d for d, n in enumerate(shape) if n == 1 != g.shape[d]), keepdims=True)


for shape in [(3,), (1, 3), (4, 1), (1, 1), (), (4, 3)]:
    small = rng.normal(size=shape)
    assert unbroadcast(g, shape).shape == shape
    assert np.isclose((g * np.broadcast_to(small, g.shape)).sum(), (unbroadcast(g, shape) * small).sum())

# %% [markdown]
# A copied number moves the loss by all its copies, so its gradient is the sum of theirs: lesson 3's value used twice.
# Copying is a linear map $B$, with $\langle g, Bb\rangle=\langle B^\top g, b\rangle$, as just checked; $B^\top$ sums.
# It would be easy to forget in one op out of thirty. Hence no vjp does it; the walk does, for all.


# %%
class Node:
    def __init__(self, data, op=None, inputs=()):
        self.data, self.op, self.inputs, self.order = data, op, inputs, next(creation)


def apply(op, *inputs):
    out = op.forward(*[i.data for i in inputs])
    return Node(out, op, inputs) if recording else Node(out)


def grad(output, wanted):
    """The gradients of output, a scalar, with respect to each of the wanted nodes."""
    seen, stack = {output}, [output]
    while stack:
        new = set(stack.pop().inputs) - seen
        seen |= new
        stack.extend(new)
    grads = {output: np.ones(())}
    for t in sorted(seen, key=lambda t: t.order, reverse=True):
        for i, g in zip(t.inputs, t.op.vjp(grads[t], t.data, *[i.data for i in t.inputs]) if t.op else ()):
            g = unbroadcast(g, i.data.shape)
            grads[i] = grads[i] + g if i in grads else g
    return [grads[t] for t in wanted]


creation, recording = itertools.count(), True

# %% [markdown]
# A discriminator of two layers, its gradients found three times: by our engine, by minigan, and, for all arrays at
# once, by a nudge in a random direction $v$, which must move the loss by $\langle\nabla L,v\rangle$. **Predict:** will
# minigan's numbers agree to 6 digits, to 12, or to the last bit?


# %%
def loss(x, w1, b1, w2, b2):
    hidden = apply(Tanh, apply(Add, apply(MatMul, x, w1), b1))  # (N, 8)
    s = apply(Add, apply(MatMul, hidden, w2), b2)  # (N, 1)
    return apply(Sum, apply(Mul, s, s))


arrays = [rng.normal(size=shape) for shape in [(5, 4), (4, 8), (8,), (8, 1), (1,)]]
nodes, directions = [Node(a) for a in arrays], [rng.normal(size=a.shape) for a in arrays]
gradients = grad(loss(*nodes), nodes)
along = sum((g * v).sum() for g, v in zip(gradients, directions))
up, down = [loss(*[Node(a + h * v) for a, v in zip(arrays, directions)]).data for h in (1e-5, -1e-5)]
print(f"along v {along:.8f}, by central differences {(up - down) / 2e-5:.8f}")
assert np.isclose(along, (up - down) / 2e-5, rtol=1e-5, atol=1e-5)
x, w1, b1, w2, b2 = tensors = [Tensor(a, requires_grad=True) for a in arrays]
(((x @ w1 + b1).tanh() @ w2 + b2) ** 2).sum().backward()
for g, tensor in zip(gradients, tensors):
    print(g.shape, "largest difference from minigan", np.abs(g - tensor.grad.numpy()).max())
    assert np.allclose(g, tensor.grad.numpy(), rtol=1e-11, atol=1e-11)

# %% [markdown]
# To the last bit, or nearly: it is the same arithmetic. minigan's engine adds three things. Its vjps are written in
# Tensors, so that a gradient is part of a graph and can be differentiated again. An op is told which inputs need a
# gradient (`needs`). And the walk visits only what lies between the output and the inputs asked for (`_path`).
#
# ## What the graph costs: memory
#
# A vjp wants the op's inputs and output, so the graph keeps them: each array of the forward pass stays alive.
# **Predict** the two curves: the memory held after each layer of a deep network, with the graph and without.

# %%
batch, width, layers = 128, length(normal=256, short=128), 12
start, w, b = [Node(rng.normal(size=shape) / 16) for shape in [(batch, width), (width, width), (width,)]]
tracemalloc.start()  # counts what is allocated from here on
held = {}
for recording in (True, False):
    x, held[recording] = start, [0]  # (batch, width)
    for _ in range(layers):
        x = apply(Tanh, apply(Add, apply(MatMul, x, w), b))
        held[recording].append(tracemalloc.get_traced_memory()[0] / start.data.nbytes)
figure, axes = plt.subplots(figsize=(6, 3.4))
axes.plot(held[True], "o-", label="with the graph")
axes.plot(held[False], "o-", label="without")
axes.set(xlabel="layers computed", ylabel="arrays (batch, width) held", title="The graph keeps every array")
axes.legend()
show(figure, "Arrays held over layers: with the graph a straight line up to 36 after 12 layers; without it, about 1.")
assert held[True][-1] > 2.9 * layers and held[False][-1] < 3

# %% [markdown]
# Three arrays a layer, for as long as the graph lives. That is why a batch that can be drawn from does not always fit
# in training, why `no_grad` exists, and why the result of a step should be dropped before the next one starts.
#
# ## Three questions
#
# 1. Derive the vjp of `transpose`, and of the mean over the rows of an (N, C) array.
# 2. $x$ (4, 1) times $y$ (3,) is a (4, 3) array. Which shapes have the two gradients before and after `unbroadcast`?
# 3. Which of the three arrays a layer keeps does the walk never read? What could an engine do about it?
#
# The answers are in the [book](answers/04.md). **Exercise:** `lessons/exercises/ex04_tensors.py`.
