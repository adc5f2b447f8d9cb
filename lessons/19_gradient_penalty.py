# %% [markdown]
# # 19. Gradients of gradients, and a penalty that needs them
#
# **Objective.** After this lesson you can differentiate a gradient, say what an engine must do so that this is right,
# and end the circling of a GAN with it.
#
# **You need** the engine (lessons 3 and 4), `gradcheck` (lesson 5) and the game of lesson 11. *10 seconds.*
#
# **In the library:** `grad` and `FusedOp` in `minigan/tensor.py`. **Follows:** Mescheder, Geiger and Nowozin, *Which
# Training Methods for GANs do actually Converge?* (2018): the Dirac-GAN of section 2, the penalty $R_1$ of section 4.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import backend, init, nn, optim
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.random import Generator
from minigan.tensor import FusedOp, Tensor, grad

backend.set_threads(1)  # these networks are too small to share out

# %% [markdown]
# ## On one number
#
# A vjp in minigan is written in ops, so walking back through a graph can draw a second graph: `create_graph=True`.

# %%
x = Tensor(np.array(2.0), requires_grad=True)
(first,) = grad(x**3, x, create_graph=True)
(second,) = grad(first, x, create_graph=True)
(third,) = grad(second, x)
print("x^3 at 2:", first, second, third, sep="\n  ")
assert [first.item(), second.item(), third.item(), third.requires_grad] == [12, 12, 6, False]

# %% [markdown]
# The last one was asked for without a graph: it is a number like any other. Ops made for speed (LeakyReLU, batch
# normalisation, losses) compute their gradient on bare arrays, out of the engine's sight. So each also has a
# `reference`, the same function in plain ops, and `grad` differentiates *that* when it has to draw.
# **Predict:** below, `Hasty` uses its fast gradient always. Which of its derivatives are wrong?


# %%
class Cube(FusedOp):
    def forward(self, a):
        return a * a * a

    def arrays_vjp(self, needs, g, out, a):
        return (g * 3 * a * a,)  # arrays: no graph

    def reference(self, a):
        return a * a * a  # Tensors: a graph


class Hasty(Cube):
    def vjp(self, needs, g, out, a):
        return [Tensor(array) for array in self.arrays_vjp(needs, g.data, out.data, a.data)]


points = Tensor(np.random.default_rng(0).normal(size=(2, 3)), requires_grad=True)
assert gradcheck(Cube(), points, order=2) and gradcheck(Hasty(), points, order=1)
try:
    assert not gradcheck(Hasty(), points, order=2)
except GradcheckError as error:
    print(error)

# %% [markdown]
# The first derivative is right, the second is 0, silently: an array that fell from the sky is a constant. Only a check
# of order 2 sees it.
#
# ## On a network: a penalty
#
# How steep is $D$ at the real images? $R_1=\frac\gamma2\,\mathbb{E}_{x\text{ real}}\|\nabla_x D(x)\|^2$ answers with
# a gradient with respect to *images*. To train with it takes that answer's gradient with respect to *weights*.


# %%
def r1(d, real, gamma):
    real = Tensor(real, requires_grad=True)  # (N, ...)
    (slope,) = grad(d(real).sum(), real, create_graph=True)  # (N, ...): image n touches only score n
    return (slope * slope).sum() * (gamma / 2 / len(real))


def layers(sizes, generator, slope):
    modules = []
    for layer in range(len(sizes) - 1):
        modules += [nn.Linear(sizes[layer], sizes[layer + 1]), nn.LeakyReLU(slope)]
        init.kaiming_normal_(modules[-2].weight, slope, generator)
        init.zeros_(modules[-2].bias)
    return nn.Sequential(*modules[:-1])


weight = Tensor(np.random.default_rng(1).normal(size=(3, 8)), requires_grad=True)
assert gradcheck(lambda w: r1(lambda x: (x @ w).tanh().sum(1), points.data, 1.0), weight, order=2)

# %% [markdown]
# ## The game that circles
#
# The Dirac-GAN of lesson 11 with minimax losses: real is the number 0, the generator says $\theta$, the logit is
# $\psi x$. D's step, then G's, by plain gradient descent. **Predict:** the slope of $D$ is $\psi$, so
# $R_1=\frac\gamma2\psi^2$ pulls $\psi$ to 0. Will $\theta$, which nothing pulls, arrive too? Is more $\gamma$ better?


# %%
def play(gamma, steps=400, lr=0.1):
    theta, psi = Tensor(np.array(1.0), requires_grad=True), Tensor(np.array(0.0), requires_grad=True)
    path = []
    for _ in range(steps):
        loss_d = (psi * theta.detach()).softplus() + r1(lambda x: psi * x, np.zeros(1), gamma)
        psi.data -= lr * grad(loss_d, psi)[0].data
        theta.data -= lr * grad(-(psi * theta).softplus(), theta)[0].data
        path.append((theta.item(), psi.item()))
    return np.array(path)  # (steps, 2)


figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), sharex=True, sharey=True, layout="constrained")
end = {}
for ax, gamma in zip(axes, (0.0, 0.2, 1.0, 10.0)):
    path = play(gamma)
    end[gamma] = np.hypot(*path[-1])
    ax.plot(*path.T, "-", 0, 0, "k*", markersize=10)
    ax.set(title=rf"$\gamma$ = {gamma:g}: ends {end[gamma]:.2g} away", xlabel=r"$\theta$", ylabel=r"$\psi$")
show(figure, "Paths of (theta, psi): a circle without penalty; with more and more of it a spiral, a curve, a crawl.")
assert end[0.0] > 0.8 and end[0.2] < 0.1 and end[1.0] < 1e-3 and end[10.0] > 0.1

# %% [markdown]
# Near the equilibrium the game is $\dot\theta=\frac12\psi$, $\dot\psi=-\frac12\theta-\gamma\psi$: a pendulum with
# friction $\gamma$. It swings for ever at 0, comes to rest soonest at $\gamma=1$, and creeps above.
#
# ## A game in the plane
#
# Four clouds of points, two small networks, plain gradient descent. **Predict** how the one without penalty ends.

# %%
steps, corners = length(normal=2000, short=100), np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]) * 0.7
figure, axes = plt.subplots(2, 5, figsize=(11, 4.6), sharex=True, sharey=True, layout="constrained")
covered = {}
for row, gamma in zip(axes, (0.0, 0.3)):
    weights, rng = Generator(0), np.random.default_rng(0)
    g, d = layers([2, 32, 32, 2], weights, 0.0), layers([2, 32, 32, 1], weights, 0.2)
    optimizer_g, optimizer_d = optim.SGD(g.parameters(), lr=0.1), optim.SGD(d.parameters(), lr=0.1)
    for step in tqdm(range(1, steps + 1), desc=f"gamma {gamma}", leave=False):
        real = (corners[rng.integers(4, size=64)] + rng.normal(size=(64, 2)) * 0.05).astype(np.float32)  # (64, 2)
        fake = g(Tensor(rng.normal(size=(64, 2)).astype(np.float32)))  # (64, 2)
        loss_d = (-d(Tensor(real))).softplus().mean() + d(fake.detach()).softplus().mean() + r1(d, real, gamma)
        optimizer_d.step(grad(loss_d, optimizer_d.params))
        optimizer_g.step(grad((-d(fake)).softplus().mean(), optimizer_g.params))
        if step % (steps // 5) == 0:
            ax = row[step * 5 // steps - 1]
            ax.plot(*real.T, "k.", *fake.data.T, "C1.", markersize=3)
            ax.set_title(rf"$\gamma$ = {gamma}, step {step}", fontsize=9)
    distance = np.linalg.norm(fake.data[:, None] - corners, axis=2)  # (64, 4)
    covered[gamma] = len(set(distance.argmin(1)[distance.min(1) < 0.3]))
show(figure, "Generated points: without penalty one lump that moves from cloud to cloud, with it all over the clouds.")
print("clouds with points at the end:", covered)
assert LENGTH == "short" or covered[0.3] > 2 >= covered[0.0]

# %% [markdown]
# Without it, D turns against wherever G's points are, and they run on together: the circle again. With it, D is held
# flat at the real points, and what has arrived can stay.
#
# ## Three questions
#
# 1. What does training do, and say, if `create_graph=True` is left out of `r1`?
# 2. WGAN-GP (Gulrajani et al. 2017) wants slopes of 1, not 0. Where does its penalty lead the Dirac-GAN?
# 3. A LeakyReLU network is linear in pieces: its second derivative in $x$ is 0. Why is the gradient of `r1` not?
#
# The answers are in the [book](answers/19.md). **Exercise:** `lessons/exercises/ex19_gradient_penalty.py`.
