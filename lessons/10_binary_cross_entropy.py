# %% [markdown]
# # 10. Binary cross-entropy, logits, and why $\log(1-p)$ dies
#
# **Objective.** After this lesson you can derive the gradient of binary cross-entropy, say where float32 loses it, and
# why the generator is trained on $-\log D$ instead of $\log(1-D)$.
#
# **You need** the sigmoid and derivatives (lesson 2). *2 seconds.*
#
# **In the library:** the two losses in `minigan/functions.py`, `generator_loss` in `minigan/gan.py`. **Follows:**
# Goodfellow et al., *Generative Adversarial Nets* (2014), equation 1 and section 3.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import show

from minigan import nn
from minigan.gan import generator_loss
from minigan.gradcheck import gradcheck
from minigan.tensor import Tensor, grad

# %% [markdown]
# ## The loss of a classifier with two answers
#
# D returns a number $x$, the *logit*, and means by it the probability $p=\sigma(x)=1/(1+e^{-x})$ that the image is
# real. The label $y$ is 1 for a real image, 0 for a generated one. The probability that D gave to what is true is $p$
# or $1-p$, and its negative logarithm is the loss:
#
# $$L = -y\log p-(1-y)\log(1-p).$$
#
# The gradient is simpler than the loss. With $\frac{dL}{dp}=\frac{p-y}{p(1-p)}$ and $\frac{dp}{dx}=p(1-p)$,
#
# $$\frac{dL}{dx} = \frac{p-y}{p(1-p)}\;p(1-p) = \sigma(x)-y:$$
#
# the answer minus the truth, at most 1 in size, and near $\pm1$ where D is most wrong. The factors $1/p(1-p)$ and
# $p(1-p)$ cancel *on paper*.
#
# **Predict:** a computer multiplies them one after the other, in float32. For a generated image, $y=0$, and a D that is
# surer and surer that it is real, $x=5,10,15,20,\dots$: where does this go wrong?

# %%
probability_loss, logit_loss = nn.BCELoss(reduction="sum"), nn.BCEWithLogitsLoss(reduction="sum")
x = Tensor(np.arange(-40, 40.5, 0.5, dtype=np.float32), requires_grad=True)
generated = Tensor(np.zeros_like(x.data))  # labels
(through_p,) = grad(probability_loss(x.sigmoid(), generated), x)
(from_logits,) = grad(logit_loss(x, generated), x)
for logit in (5, 10, 15, 20, 30):
    i = int(np.flatnonzero(x.data == logit)[0])
    p = x.sigmoid().data[i]
    print(f"x = {logit:2}  p = {p:.9f}  1 - p = {1 - p:.2e}  gradient through p {through_p.data[i]:.6f}, "
          f"from the logit {from_logits.data[i]:.6f}")  # fmt: skip
assert np.allclose(from_logits.data, 1 / (1 + np.exp(-x.data.astype(np.float64))), rtol=1e-5)
assert not through_p.data[x.data >= 20].any() and through_p.data[x.data == 15] > 0.99
check = Tensor(np.linspace(-30.0, 30, 7), requires_grad=True), Tensor(np.array([0, 1, 0, 1, 0, 1, 0.9]))
gradcheck(nn.BCEWithLogitsLoss(), check)

# %% [markdown]
# Between 0.5 and 1 the float32 numbers are $2^{-24}\approx6\cdot10^{-8}$ apart. $1-p$ is a multiple of that, and from
# $x=25\log2\approx17.3$ on $p$ rounds to 1. Then $\log(1-p)=-\infty$ and $1/p(1-p)=\infty$. PyTorch's `BCELoss`, and
# ours, clamp: a logarithm is at least $-100$, and $p(1-p)$ in the denominator at least $10^{-12}$. That keeps
# infinities out of the loss, but the other factor, $p(1-p)=0$, makes the gradient 0: where D is most wrong it learns
# nothing. Near $p=0$ float32 is far finer, down to $10^{-38}$; there it is the clamp that takes the gradient away,
# below $x=-28$.
#
# From the logit nothing is lost. $\log p$ and $\log(1-p)$ are $-\log(1+e^{-x})$ and $-\log(1+e^{x})$, so
# $L=\log(1+e^x)-yx$. **Predict:** what does `np.log(1 + np.exp(x))` give for $x=100$ in float32?

# %%
large = np.array([-80, 0, 80, 100], np.float32)
with np.errstate(over="ignore"):
    naive = np.log(1 + np.exp(large))
stable = np.maximum(large, 0) + np.log1p(np.exp(-np.abs(large)))
print("naive ", naive, " stable", stable)
losses = nn.BCEWithLogitsLoss(reduction="none")(Tensor(large), Tensor(np.zeros_like(large))).data
assert np.isinf(naive[-1]) and np.allclose(losses, stable, rtol=1e-6) and losses[-1] == 100
assert naive[0] == 0 < losses[0]

# %% [markdown]
# $e^{100}$ is more than the largest float32, $3.4\cdot10^{38}$. Taking out the larger of $0$ and $x$ leaves
# $\log(1+e^{-|x|})$, whose exponential cannot overflow; `log1p` keeps the small values that `1 +` would swallow.
#
# ## The generator: minimax or not?
#
# D lowers $L$ for real and generated images. In the game of equation 1, G raises the second part: it minimises
# $\log(1-D(G(z)))$. Section 3 of the paper advises against that, and has G minimise $-\log D(G(z))$: the same BCE with
# the wrong label. With respect to the logit of a generated image,
#
# $$\frac{d}{dx}\log(1-\sigma(x)) = -\sigma(x), \qquad
#   \frac{d}{dx}\big({-\log\sigma(x)}\big) = -(1-\sigma(x)) = -\sigma(-x).$$
#
# Both are negative: both push $x$ up. **Predict:** early in training D sees through every generated image, say $x=-8$.
# How large is the push of each?

# %%
logits = Tensor(np.linspace(-10, 10, 201), requires_grad=True)
curves = {"minimax": r"$\log(1-D)$, minimax", "nonsaturating": r"$-\log D$, non-saturating"}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(x.data, through_p.data, label="through the probability")
left.plot(x.data, from_logits.data, "--", label="from the logit")
left.set(xlabel="logit x of a generated image", ylabel="dL/dx", title="D's gradient in float32: 0 from 17.3 on")
left.legend()
for kind, label in curves.items():
    losses = generator_loss(nn.BCEWithLogitsLoss(reduction="none"), logits, kind)
    (push,) = grad(losses.sum(), logits)
    right.plot(logits.data, push.data, label=label)
    print(f"{kind:13} at x = -8: {push.data[20]:.5f}, at 0: {push.data[100]:.2f}, at 8: {push.data[180]:.5f}")
    assert np.allclose(push.data, -1 / (1 + np.exp(logits.data * (-1 if kind == "minimax" else 1))))
right.set(xlabel="logit x of a generated image", ylabel="gradient of G's loss", title="G's gradient", ylim=(-1.4, 0.1))
right.axvspan(-10, -5, color="0.9")
right.text(-9.7, -0.55, "D is sure:\ngenerated")
right.legend(loc="lower center")
show(figure, "Left: the gradient from the logit rises from 0 to 1 and stays; through the probability it is 0 from 17.3 "
     "on. Right: where D is sure, left of -5, the minimax gradient is near 0, the other near -1.")  # fmt: skip

# %% [markdown]
# $-0.0003$ against $-0.9997$: the minimax loss teaches G nothing while G is bad, which is when it has most to learn;
# the other one pushes where D is sure, and rests where D is fooled. At $x=0$ they agree. How much time that is, one
# number shows: let gradient descent with a learning rate of 1 move $x$ itself from $-8$ until D is at a loss.
# **Predict** the steps.

# %%
histories = {}
for kind in curves:
    x, history = -8.0, []
    while x < 0:
        history.append(x)
        p = 1 / (1 + np.exp(-x))
        x += p if kind == "minimax" else 1 - p
    histories[kind] = history
figure, axes = plt.subplots(figsize=(7, 3.5))
for kind, history in histories.items():
    axes.semilogx(np.arange(1, len(history) + 1), history, ".-", label=f"{curves[kind]}: {len(history)} steps")
axes.set(xlabel="step", ylabel="logit x", title="From x = -8 to 0, where D cannot tell")
axes.legend()
show(
    figure,
    "The logit over steps, on a log axis: the non-saturating loss reaches 0 in about 9 steps, minimax needs 3000.",
)
steps = {kind: len(history) for kind, history in histories.items()}
assert steps["nonsaturating"] < 15 and 2500 < steps["minimax"] < 3500

# %% [markdown]
# With $\dot x=\sigma(x)\approx e^{x}$ the time from $-8$ is about $e^{8}=2981$ steps; with $\dot x\approx1$ it is 8.
# Both losses have the same fixed point, says the paper: only the way there differs. chaudhary2024 takes BCE of
# probabilities, and jeganathan2025 BCE of logits; in both G has the label 1 (`--loss minimax` is there to try the
# other).
#
# ## Three questions
#
# 1. A real image, $y=1$, at $x=-30$: why is the gradient through $p$ $-0.094$ and not $-1$? And would float64 save the
#    generated one at $x=20$?
# 2. One-sided label smoothing takes $y=0.9$ for real images. At which logit is the gradient 0, and what is the loss
#    there?
# 3. Adam (lesson 11) divides a gradient by its usual size. Does that make the minimax loss as good as the other?
#
# The answers are in the [book](answers/10.md). **Exercise:** `lessons/exercises/ex10_binary_cross_entropy.py`.
