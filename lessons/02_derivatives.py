# %% [markdown]
# # 2. Derivatives, by finite differences and by hand
#
# **Objective.** After this lesson you can find the derivative of a small program in two ways, and use
# each to check the other.
#
# **You need** the chain rule, and NumPy arrays. *5 seconds.*
#
# **In the library:** `minigan/gradcheck.py` is the grown-up form of what we write
# here. **Follows:** Nocedal and Wright, *Numerical Optimization* (2006), section 8.1.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import show

# %% [markdown]
# ## A derivative without calculus
#
# Every network in these lessons is trained by asking one question: if I nudge this number, how does the loss
# move? The definition of the derivative is that question. Nudge $x$ by a small $h$ and look:
#
# $$f'(x) \approx \frac{f(x+h)-f(x)}{h} \quad\text{(forward)}, \qquad
#   f'(x) \approx \frac{f(x+h)-f(x-h)}{2h} \quad\text{(central)}.$$


# %%
def forward_difference(f, x, h):
    return (f(x + h) - f(x)) / h


def central_difference(f, x, h):
    return (f(x + h) - f(x - h)) / (2 * h)


def softplus(x):
    """log(1 + e^x): the loss of a discriminator that gives a fake image the score x."""
    return np.log1p(np.exp(x))


print("forward", forward_difference(softplus, 0.5, 1e-4))
print("central", central_difference(softplus, 0.5, 1e-4))

# %% [markdown]
# By hand: the outer derivative of $\log(1+u)$ is $1/(1+u)$, the inner one of $u=e^x$ is $e^x$, so
#
# $$\text{softplus}'(x) = \frac{e^x}{1+e^x} = \sigma(x),$$
#
# the *sigmoid*. Both differences above agree with it, but not to the same number of digits.
#
# **Predict before you run.** As $h$ shrinks from 1 to $10^{-15}$, does the error of each keep shrinking? Draw the two
# curves you expect on log-log axes.


# %%
def sigmoid(x):
    return 1 / (1 + np.exp(-x))


steps = 10.0 ** np.arange(-15, 0.1, 0.25)
errors = {
    "forward": [abs(forward_difference(softplus, 0.5, h) - sigmoid(0.5)) for h in steps],
    "central": [abs(central_difference(softplus, 0.5, h) - sigmoid(0.5)) for h in steps],
}

figure, axes = plt.subplots(figsize=(7, 4))
for name, error in errors.items():
    axes.loglog(steps, np.maximum(error, 1e-17), "o-", markersize=3, label=name)
axes.set(xlabel="step h", ylabel="error of the derivative", title="Too large a step bends, too small a step rounds")
axes.legend()
show(figure, "Error over step size for both differences, each a V: the central one reaches 1e-11 near h = 1e-5.")

# %% [markdown]
# Two V shapes. On the right, the error is that of the formula: it falls with $h$ (forward) or with $h^2$
# (central), as Taylor's series says. On the left, it is rounding: $f(x+h)$ and $f(x-h)$ agree in almost every
# digit, the difference keeps only the noise in the last ones, and dividing by $h$ makes that noise large. The best
# central step balances $h^2$ with $10^{-16}/h$: $h\approx 10^{-5}$. That is the `eps` that `gradcheck` uses, and
# it is why gradient checks want float64.

# %%
best = {name: steps[int(np.argmin(error))] for name, error in errors.items()}
print("best steps:", best)
assert min(errors["central"]) < 1e-10 < 1e-9 > min(errors["forward"])
assert 1e-7 < best["central"] < 1e-3 and best["forward"] < best["central"]

# %% [markdown]
# ## Many inputs: the gradient
#
# A loss has one output and many inputs, $L(w_1,\dots,w_n)$; its gradient collects the $n$ partial derivatives. By
# differences that takes $2n$ evaluations. By hand it takes one formula. Here is the smallest discriminator there
# is: one score $s = \sum_i w_i x_i$ an image, and softplus$(-s)$ as the loss if the image is real.
#
# $$\frac{\partial L}{\partial w_i} = \frac{dL}{ds}\,\frac{\partial s}{\partial w_i} = -\sigma(-s)\;x_i$$
#
# **Predict:** for an image of 784 pixels, how many times slower is the gradient by differences?


# %%
def loss(w, x):
    return softplus(-(x @ w))


def loss_gradient(w, x):
    return -sigmoid(-(x @ w)) * x  # (784,)


def numeric_gradient(f, w, h=1e-5):
    gradient = np.zeros_like(w)
    for i in range(w.size):
        nudge = np.zeros_like(w)
        nudge[i] = h
        gradient[i] = (f(w + nudge) - f(w - nudge)) / (2 * h)
    return gradient


rng = np.random.default_rng(0)
w, x = rng.normal(size=784) * 0.1, rng.random(784)
evaluations = 0


def counted(w):
    global evaluations
    evaluations += 1
    return loss(w, x)


by_hand, numeric = loss_gradient(w, x), numeric_gradient(counted, w)
print(f"{evaluations} evaluations of the loss; largest difference {np.abs(by_hand - numeric).max():.1e}")
assert evaluations == 2 * 784
assert np.allclose(by_hand, numeric, rtol=0, atol=1e-9)

# %% [markdown]
# 1568 evaluations for one gradient. The generator of chaudhary2024 has some 300,000 weights: one training step by
# differences would take half an hour, by the chain rule it takes milliseconds. So from here on the chain rule does the
# work (lesson 3 lets a program apply it), and differences are kept for what they are good at: *checking* it.
#
# ## Three questions
#
# 1. Why is the error of the central difference proportional to $h^2$, that of the forward one to $h$?
# 2. In float32 a number keeps about 7 digits. Which central step is best there, and how many digits of the
#    derivative are left?
# 3. What do differences say about $|x|$ at 0, and what does `minigan.functions.leaky_relu` say?
#
# The answers are in the [book](answers/02.md). **Exercise:** `lessons/exercises/ex02_derivatives.py`.
