# %% [markdown]
# # 11. Adam, and what its bias correction corrects
#
# **Objective.** After this lesson you can write Adam from its paper, and say how long its steps are and why GANs want
# another $\beta_1$ than everyone else.
#
# **You need** gradient descent (lesson 1) and `grad` (lesson 4). *3 seconds.*
#
# **In the library:** `minigan/optim.py`, and `adam` in `kernels/reference.py`. **Follows:** Kingma and Ba, *Adam: A
# Method for Stochastic Optimization* (2015), algorithm 1 and section 2; Radford et al., *Unsupervised Representation
# Learning with Deep Convolutional Generative Adversarial Networks* (2015), section 4.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import length, show

from minigan import optim
from minigan.recipes import RECIPES
from minigan.tensor import Tensor, grad

# %% [markdown]
# ## From SGD and momentum to Adam
#
# Gradient descent takes the step $-\text{lr}\; g$. Momentum remembers: $v \leftarrow \mu v + g$, and the step is
# $-\text{lr}\; v$. Adam averages each weight's gradient, $m_t=\beta_1 m_{t-1}+(1-\beta_1)\,g_t$, and its square,
# $v_t=\beta_2 v_{t-1}+(1-\beta_2)\,g_t^2$, and steps by their quotient. Both averages start at 0, so at first both are
# too small. The correction divides that out:
#
# $$w_t = w_{t-1}-\text{lr}\,\frac{\hat m_t}{\sqrt{\hat v_t}+\epsilon}, \qquad
#   \hat m_t=\frac{m_t}{1-\beta_1^t}, \qquad \hat v_t=\frac{v_t}{1-\beta_2^t}.$$


# %%
def sgd(gradient, w, steps, lr, momentum=0.0):
    path, v = [w], 0.0
    for _ in range(steps):
        v = momentum * v + gradient(path[-1])
        path.append(path[-1] - lr * v)
    return np.array(path)  # (steps + 1, 2)


def adam(gradient, w, steps, lr, betas=(0.9, 0.999), eps=1e-8, correct=True):
    path, m, v = [w], 0.0, 0.0
    for t in range(1, steps + 1):
        g = gradient(path[-1])
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        m_hat, v_hat = (m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)) if correct else (m, v)
        path.append(path[-1] - lr * m_hat / (np.sqrt(v_hat) + eps))
    return np.array(path)  # (steps + 1, 2)


# %% [markdown]
# A ravine to walk in: $L(w)=\tfrac12(100\,w_1^2+w_2^2)$, a hundred times steeper across than along. **Predict:** what
# keeps SGD from a larger learning rate? And what does each of the three do when the loss is multiplied by 100?

# %%
ravine, ravine_times_100 = (lambda w: np.array([100.0, 1.0]) * w), (lambda w: np.array([1e4, 100.0]) * w)
start = np.array([1.0, 1.0])
methods = {"SGD": (sgd, 0.018), "SGD with momentum": (sgd, 0.01, 0.9), "Adam": (adam, 0.05)}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.2), sharex=True, sharey=True, layout="constrained")
for ax, (name, (method, *settings)) in zip(axes, methods.items()):
    path, scaled = (method(loss_gradient, start, 100, *settings) for loss_gradient in (ravine, ravine_times_100))
    print(f"{name:17} ends at {path[-1].round(3)}; with the loss times 100 at {scaled[-1]}")
    ax.plot(*path.T, "o-", markersize=2.5, linewidth=1)
    ax.plot(0, 0, "k*")
    ax.set(title=f"{name}, lr {settings[0]}", xlabel="$w_1$ (steep)", ylabel="$w_2$ (flat)")
show(figure, "SGD zigzags across the ravine, momentum swings, Adam takes the diagonal to the minimum, and past.")
assert np.allclose(path, scaled, atol=1e-6)  # Adam's

w = Tensor(start.copy(), requires_grad=True)  # (2,)
optimizer = optim.Adam([w], lr=0.05)
for _ in range(100):
    optimizer.step([Tensor(ravine(w.data))])
assert np.allclose(w.data, path[-1], rtol=0, atol=1e-9)  # the library's

# %% [markdown]
# Across the ravine SGD multiplies $w_1$ by $1-100\,\text{lr}$ in each step, and past lr 0.02 that is beyond $-1$: the
# steep direction sets the rate for the flat one. Times 100, they are lost. Adam walks the same path: $\hat m$ and
# $\sqrt{\hat v}$ grow by the same factor. It takes the diagonal, since each coordinate is divided by its own size.
#
# ## The first steps
#
# Let the gradient always be 1. Then $m_t=1-\beta_1^t$ and $v_t=1-\beta_2^t$: corrected, both are 1, and each step is
# lr. **Predict:** uncorrected, both are too small. Is the first step then too short or too long?

# %%
figure, ax = plt.subplots(figsize=(7, 3.8))
for betas in ((0.9, 0.999), (0.5, 0.999)):
    walked = adam(lambda w: np.ones(1), np.zeros(1), 3000, 1.0, betas, correct=False)
    sizes = -np.diff(walked[:, 0])  # (3000,)
    assert np.isclose(sizes[0], (1 - betas[0]) / np.sqrt(0.001)) and sizes[-1] < 1.1
    ax.loglog(np.arange(1, 3001), sizes, label=rf"uncorrected, $\beta$ = {betas}: first step {sizes[0]:.1f} lr")
ax.axhline(1, color="k", linestyle="--", label="corrected: lr, from the first step on")
ax.set(xlabel="step t", ylabel="length of the step / lr", ylim=(0.8, 80), title="Uncorrected, Adam leaps at first")
ax.legend()
show(figure, "Step length over step: at first 3 to 7 lr for beta1 0.9, 16 lr for 0.5; down to lr after 3000 steps.")

# %% [markdown]
# Too long: $v$, with its memory of 1000 steps, is further behind than $m$, and the first step is
# $(1-\beta_1)/\sqrt{1-\beta_2}$ times lr. Corrected, no first step is longer than lr, whatever the gradient.
#
# ## Epsilon, and the epsilon of Keras
#
# $\epsilon$ says below which gradient a step is shorter. Section 2 of the paper ends with a faster order of computing,
# in which a constant $\hat\epsilon$ meets $\sqrt{v_t}$ *before* the correction. So it counts as
# $\epsilon=\hat\epsilon/\sqrt{1-\beta_2^t}$. Keras does this, and so jeganathan2025: `epsilon_hat`.

# %%
for name, recipe in RECIPES.items():
    w, path = Tensor(np.zeros(1), requires_grad=True), [0.0]
    optimizer = optim.Adam([w], lr=1.0, **recipe.adam)
    for _ in range(5000):
        optimizer.step([Tensor(np.array([1e-6]))])
        path.append(w.item())
    sizes = -np.diff(path)  # (5000,)
    print(f"{name:14} gradient 1e-6: the first step is {sizes[0]:.3f} lr, step 5000 is {sizes[-1]:.3f} lr")
assert sizes[0] < 0.3 and sizes[-1] > 0.85  # jeganathan2025

# %% [markdown]
# At first $\hat\epsilon=10^{-7}$ counts as $3\cdot 10^{-6}$, and so small a gradient moves a weight by a quarter of lr.
#
# ## Why 0.5 in a GAN
#
# $m$ averages past gradients, of mean age $\beta_1/(1-\beta_1)$: 9 steps for 0.9, 1 for 0.5. An opponent moves on
# meanwhile. In the smallest GAN (the Dirac-GAN, Mescheder et al. 2018) the only real image is the number 0, G says
# $\theta$, the discriminator's logit is $\psi x$. **Predict:** which of 0.9, 0.5 and 0 brings $\theta$ nearest to 0?


# %%
def play(beta1, steps, lr=0.01):
    theta, psi = Tensor(np.array(1.0), requires_grad=True), Tensor(np.array(0.0), requires_grad=True)
    optimizer_g, optimizer_d = optim.Adam([theta], lr, (beta1, 0.999)), optim.Adam([psi], lr, (beta1, 0.999))
    path = []
    for _ in range(steps):
        optimizer_d.step(grad((psi * theta.detach()).softplus(), psi))  # -log(1 - D(theta)); D(0) is always 1/2
        optimizer_g.step(grad((-psi * theta).softplus(), theta))  # -log D(theta)
        path.append((theta.item(), psi.item()))
    return np.array(path)  # (steps, 2)


radius = {}
figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharex=True, sharey=True, layout="constrained")
for ax, beta1 in zip(axes, (0.9, 0.5, 0.0)):
    path = play(beta1, length(normal=4000, short=1000))
    radius[beta1] = np.hypot(*path[-300:].T).mean()
    ax.plot(*path.T, linewidth=0.8)
    ax.plot(*path[-1], "o", color="C3", label="the end")
    ax.plot(0, 0, "k*", markersize=10, label="equilibrium")
    ax.set(title=rf"$\beta_1$ = {beta1}: at the end {radius[beta1]:.2f} away")
    ax.set(xlabel=r"$\theta$ (generator)", ylabel=r"$\psi$ (discriminator)")
ax.legend(loc="lower left")
show(figure, "Paths around the equilibrium: a wide circle for beta1 0.9, half as wide for 0.5, a spiral inwards for 0.")
assert radius[0.9] > 1.4 * radius[0.5] > 1.4 * 1.2 * radius[0.0]

# %% [markdown]
# The game turns: $\theta$ goes where $\psi$ points, and $\psi$ turns against $\theta$. A push that is 9 steps late
# points along an earlier tangent of the circle: outwards. Radford et al. saw it in images: at 0.9 training oscillated,
# 0.5 steadied it. chaudhary2024 takes 0.5; jeganathan2025 keeps 0.9, with a tenth of the learning rate.
#
# ## Three questions
#
# 1. lr is 0.001, the gradient always 3. How far does a weight go in 100 steps? And after a long time of 0, a sudden 3?
# 2. Turn the ravine by 45 degrees. Which of the three paths changes, and why?
# 3. A run is resumed with $m$ and $v$ from the checkpoint, but with $t$ back at 0. What do its first steps look like?
#
# The answers are in the [book](answers/11.md). **Exercise:** `lessons/exercises/ex11_adam.py`.
