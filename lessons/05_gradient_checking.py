# %% [markdown]
# # 5. Gradient checking, and how a bad check passes
#
# **Objective.** After this lesson you can write a gradient check that fails when the gradient is wrong, and name the
# mistakes that a weaker check lets through.
#
# **You need** lessons 2 and 4. *2 seconds.*
#
# **In the library:** `minigan/gradcheck.py`. **Follows:** Ioffe and Szegedy, *Batch Normalization* (2015), section 3,
# for the gradient that is checked; Griewank and Walther, *Evaluating Derivatives* (2008), chapter 3, for the identity.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import length, show
from tqdm import tqdm

from minigan.functions import leaky_relu
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.tensor import Op, Tensor

# %% [markdown]
# ## A gradient worth checking
#
# Batch normalisation brings each column of $x$ (N, C) to mean 0 and variance 1:
# $\hat x=(x-\mu)/\sqrt{\sigma^2+\epsilon}$. Since $\mu$ and $\sigma$ depend on every row, the vector-Jacobian product
# mixes the rows (a bar is the mean over them; lesson 9 derives it):
#
# $$\text{vjp}(g) = \frac{1}{\sqrt{\sigma^2+\epsilon}}\Bigl(g - \overline{g} - \hat x\;\overline{g\,\hat x}\Bigr).$$
#
# Here it is, right or with one of six mistakes, in lines that run on arrays and on Tensors alike.

# %%
EPS = 1e-5


def batch_norm(x):
    centred = x - x.mean(0)
    return centred * ((centred * centred).mean(0) + EPS) ** -0.5  # (N, C)


def vjp(g, x, mistake="none"):
    if mistake == "cut graph":  # right, but x is taken for a constant when the gradient is differentiated
        x = getattr(x, "detach", lambda: x)()
    if mistake == "cotangent ignored":
        g = g * 0 + 1
    centred = x - x.mean(0)
    scale = ((centred * centred).mean(0) + (0 if mistake == "epsilon forgotten" else EPS)) ** -0.5  # (C,)
    if mistake == "mean and variance constant":
        return g * scale
    found = (g - g.mean(0)) * scale  # (N, C)
    if mistake != "variance constant":
        found = found - centred * scale**2 * (g * centred * scale).mean(0)
    return found * (1 + np.eye(len(g), 1)) if mistake == "first row doubled" else found


# %% [markdown]
# ## The check
#
# Both sides of the identity $\langle J^\top g, v\rangle = \langle g, Jv\rangle$ are one number: on the left the vjp,
# on the right the function, nudged along $v$. With random $g$ and $v$ all of $J$ takes part, for two evaluations of
# the function.


# %%
def passes(x, mistake, g, v, rtol, h):
    """Whether <vjp(g), v> agrees with a central difference of <g, f> along v."""
    gradient = vjp(g, x, mistake)
    numeric = ((batch_norm(x + h * v) - batch_norm(x - h * v)) * g).sum() / (2 * h)
    size = max((gradient**2).sum() ** 0.5, abs(numeric))
    return abs((gradient * v).sum() - numeric) <= 1e-9 + rtol * size


# %% [markdown]
# Four checks often seen instead: a **cotangent of ones**, which is what the gradient of `f(x).sum()` amounts to; **one
# index** of $x$, picked at random; float32 with the same tolerance; float32 with one so loose that it stops
# complaining. **Predict** which mistakes each of the four lets through.

# %%
MISTAKES = ["mean and variance constant", "first row doubled", "epsilon forgotten", "variance constant"]
MISTAKES = ["none", *MISTAKES, "cotangent ignored", "cut graph"]


class Checked(Op):
    def __init__(self, mistake):
        self.mistake = mistake

    def forward(self, x):
        return batch_norm(x)

    def vjp(self, needs, g, out, x):
        return (vjp(g, x, self.mistake),)


def minigan_passes(function, x, seed=1000):
    try:
        return gradcheck(function, Tensor(x, requires_grad=True), order=2, seed=seed)
    except GradcheckError:
        return False


def alarms_of(mistake, seed):
    rng = np.random.default_rng(seed)
    x, g, v = 0.3 * rng.normal(size=(8, 3)), rng.normal(size=(8, 3)), rng.normal(size=(8, 3))
    x32, g32, v32 = np.float32([x, g, v])
    one = (np.arange(24) == rng.integers(24)).reshape(8, 3)
    return [
        not passes(x, mistake, np.ones_like(g), v, 1e-6, 1e-5),
        not passes(x, mistake, g, one, 1e-6, 1e-5),
        not passes(x32, mistake, g32, v32, 1e-6, np.float32(4e-3)),
        not passes(x32, mistake, g32, v32, 1e-2, np.float32(4e-3)),
        not passes(x, mistake, g, v, 1e-6, 1e-5),
        not minigan_passes(Checked(mistake), x, seed=1000 + seed),
    ]


CHECKS = ("cotangent of ones", "one index", "float32, 1e-6", "float32, 1e-2", "random, float64", "minigan, order 2")
repeats = length(normal=50, short=10)
alarms = np.array([np.mean([alarms_of(m, seed) for seed in range(repeats)], 0) for m in tqdm(MISTAKES, leave=False)])

# %%
figure, axes = plt.subplots(figsize=(8, 4))
axes.imshow(np.vstack([1 - alarms[:1], alarms[1:]]), cmap="Blues", vmin=0, vmax=1.6, aspect="auto")
for (row, column), share in np.ndenumerate(alarms):
    axes.text(column, row, f"{share:.0%}", ha="center", va="center")
axes.set_xticks(range(6), [name.replace(", ", ",\n").replace("t of", "t\nof") for name in CHECKS])
axes.set_yticks(range(7), MISTAKES)
axes.set(ylabel="mistake", title="How often a check raises an alarm: white where its verdict is wrong")
show(figure, "Shares of alarms, six checks by seven gradients. Only the last, minigan's, is right about all of them.")
assert not alarms[0, [0, 4, 5]].any() and alarms[0, 2] > 0.8  # the right gradient
assert not alarms[2:, 0].any() and alarms[2, 1] < 0.6 and not alarms[3, 3].any()
assert alarms[1:6, 4].min() > 0.7 and not alarms[6, 4].any() and alarms[1:, 5].min() > 0.8

# %% [markdown]
# - **Ones.** Each column of $\hat x$ sums to 0, whatever $x$ is, so the true gradient of the sum is 0. With $g=1$
#   three of the mistakes work on $g-\overline g=0$, and a fourth changes nothing: $0=0$.
# - **One index** sees one of 24 partial derivatives. A mistake in one row of eight is met one time in eight.
# - **float32** alarms at everything, right or wrong. At 1e-2 it passes what is right, and a forgotten $\epsilon$, too.
# - **Random**: an error $e$ shows as $\langle e,v\rangle$, a normal number of standard deviation $|e|$. It is missed
#   only within the tolerance $t$: a chance of about $0.8\,t/|e|$.
# - **Order 2** checks the gradient, too, as a function of $x$ and $g$. A cut graph is invisible without it, and a
#   gradient penalty would train on nonsense.
#
# ## Kinks, and places never visited
#
# No check sees more than the points it is given. **Predict** which of three checks pass.


# %%
def slope_forgotten(t):
    """A leaky ReLU, max(t, 0.2 t), but with the gradient of t: what is detached counts as a constant."""
    return t + (leaky_relu(t, 0.2) - t).detach()


x = np.random.default_rng(0).uniform(1, 2, (8, 3))
wrong_right, wrong_both = minigan_passes(slope_forgotten, x), minigan_passes(slope_forgotten, x - 1.5)
right_kink = minigan_passes(lambda t: leaky_relu(t, 0.2), 0 * x)
print(f"wrong gradient, x > 0: {wrong_right}; wrong, both signs: {wrong_both}; right gradient, x = 0: {right_kink}")
assert wrong_right and not wrong_both and not right_kink

# %% [markdown]
# Draw inputs on both sides of a kink, none within a few $h$ of it. And break the gradient once, to see the check fail.
#
# ## Three questions
#
# 1. One partial derivative is wrong, by 1% of the gradient's norm. How often does a random direction at 1e-6 miss it?
# 2. Why must the function be pure? What does `gradcheck` say about dropout that draws its mask in the function?
# 3. Inputs and cotangents come from two generators of the same seed, so $g=x$. What is wrong with that, here?
#
# The answers are in the [book](answers/05.md). **Exercise:** `lessons/exercises/ex05_gradient_checking.py`.
