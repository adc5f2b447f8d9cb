# %% [markdown]
# # 12. Initialisation and LeakyReLU: where gradients vanish, and where they live
#
# **Objective.** After this lesson you can look into a network before it is trained, and say whether it can learn.
#
# **You need** layers (lesson 6) and batch normalisation (lesson 9). *4 seconds.*
#
# **In the library:** `minigan/init.py`, and `LeakyReLU` in `minigan/functions.py`. **Follows:** Glorot and Bengio,
# *Understanding the Difficulty of Training Deep Feedforward Neural Networks* (2010); He, Zhang, Ren and Sun, *Delving
# Deep into Rectifiers* (2015), section 2.2.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import length, show

from minigan import backend, data, functions, init, nn, optim, recipes
from minigan.random import Generator
from minigan.tensor import Tensor, grad, no_grad

backend.set_threads(1)  # these networks are too small to share out

# %% [markdown]
# ## The scale of weights
#
# A layer's output is a sum of $n$ products, $y=\sum_i w_i x_i$. For independent $w_i$ of mean 0, its mean square is
# $n\operatorname{Var}[w]$ times that of $x$, and so layer after layer. The gradient on its way back is multiplied
# likewise, with $n$ the number of outputs. So Glorot's variance is $2/(n_\text{in}+n_\text{out})$, between both. A
# ReLU halves the mean square, so He's is $2/n_\text{in}$. DCGAN's, the deep convolutional GAN's, is $0.02^2$.
# **Predict:** by which factor does each change a signal in 20 layers of 100 units?

# %%
scales = {
    "0.02": lambda w, g: init.normal_(w, 0.0, 0.02, g),
    "Glorot": lambda w, g: init.xavier_normal_(w, generator=g),
    "He": lambda w, g: init.kaiming_normal_(w, generator=g),
}
activations = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "ReLU": nn.ReLU}
activations |= {f"LeakyReLU {slope}": lambda slope=slope: nn.LeakyReLU(slope) for slope in (0.2, 0.3)}


def network(activation, scale, widths):
    modules, generator = [], Generator(0)
    for layer in range(len(widths) - 1):
        modules += [nn.Linear(widths[layer], widths[layer + 1]), activation()]
        scale(modules[-2].weight, generator)
        init.zeros_(modules[-2].bias)
    return modules


def outputs(modules, x):
    seen = []
    for module in modules:
        x = module(x)
        seen.append(x)
    return seen


def size(tensor):
    return np.sqrt(np.mean(np.square(tensor.data, dtype=np.float64)))  # root mean square


# %%
rng = np.random.default_rng(0)
x, direction = (Tensor(rng.normal(size=(200, 100)).astype(np.float32), requires_grad=True) for _ in range(2))
figure, axes = plt.subplots(2, 5, figsize=(13, 5), sharex=True, sharey=True, layout="constrained")
ends = {}
for column, (name, activation) in zip(axes.T, activations.items()):
    for label, scale in scales.items():
        ys = outputs(network(activation, scale, [100] * 21), x)[1::2]
        gradients = grad((ys[-1] * direction).sum(), ys)
        column[0].semilogy(range(1, 21), [size(y) for y in ys], label=label)
        column[1].semilogy(range(1, 21), [size(g) for g in gradients])
        ends[name, label] = size(ys[-1]), size(gradients[0])
    column[0].set(title=name, ylim=(1e-18, 1e2))
    column[1].set(xlabel="layer")
axes[0, 0].set_ylabel("size of the output")
axes[1, 0].set_ylabel("size of its gradient")
axes[0, 0].legend()
show(figure, "Sizes by layer, logarithmic: level for tanh with Glorot and the ReLUs with He; with 0.02 down to 1e-17.")
for name, label in (("ReLU", "0.02"), ("ReLU", "Glorot"), ("ReLU", "He"), ("sigmoid", "He"), ("tanh", "Glorot")):
    value, gradient = ends[name, label]
    print(f"{name:7} with {label:6}  output of layer 20: {value:.1e}   gradient at layer 1: {gradient:.1e}")
assert ends["ReLU", "0.02"][0] < 1e-14 and 0.05 < min(ends["ReLU", "He"]) <= max(ends["ReLU", "He"]) < 20
assert ends["sigmoid", "He"][1] < 1e-7 and ends["tanh", "Glorot"][1] > 0.02 > ends["ReLU", "Glorot"][1]

# %% [markdown]
# The upper row is read from left to right, the lower from right to left. With 0.02 a layer multiplies by
# $0.02\sqrt{100}=0.2$, a ReLU by another $\sqrt{1/2}$: $10^{-17}$ after twenty. Glorot suits tanh; in ReLUs it loses a
# factor of $2^{10}$, and He gives that back. The sigmoid's outputs look well, but its slope is at most 1/4, and the
# gradient dies at every scale.
#
# ## Dead units
#
# A ReLU that is negative for *every* image has gradient 0 for every image: nothing brings it back. **Predict:** two
# classifiers of digits, six layers, He's scale, Adam with a large lr of 0.03. How many units are negative for every
# image at the end, with ReLU and with LeakyReLU 0.2?

# %%
digits = data.load_images()[:5000].reshape(5000, -1).astype(np.float32) / 255  # (5000, 784)
digits, labels = (digits - digits.mean()) / digits.std(), data.load_labels()[:5000].astype(np.int64)


def train(activation, steps):
    net = nn.Sequential(*network(activation, scales["He"], [784, 64, 64, 64, 64, 64, 10])[:-1])
    optimizer, rng, losses = optim.Adam(net.parameters(), lr=0.03), np.random.default_rng(0), []
    for _ in range(steps):
        batch = rng.integers(5000, size=32)
        loss = functions.cross_entropy(net(Tensor(digits[batch])), Tensor(labels[batch]))
        optimizer.step(grad(loss, optimizer.params))
        losses.append(loss.item())
    with no_grad():
        hidden = outputs([net[i] for i in range(len(net))], Tensor(digits[:1000]))[:-1:2]  # before the activation
    return losses, np.mean([(y.data <= 0).all(axis=0).mean() for y in hidden])


negative = {}
figure, ax = plt.subplots(figsize=(7, 3.6))
for name in ("ReLU", "LeakyReLU 0.2"):
    losses, negative[name] = train(activations[name], length(normal=300, short=80))
    label = f"{name}: {negative[name]:.0%} of units always negative"
    ax.semilogy(np.convolve(losses, np.ones(20) / 20, "valid"), label=label)
ax.set(xlabel="step", ylabel="loss, mean of 20 steps")
ax.legend()
show(figure, "Loss over step: LeakyReLU starts higher and ends below ReLU, most of whose units are dead.")
assert negative["ReLU"] > 1.2 * negative["LeakyReLU 0.2"]

# %% [markdown]
# Adam's first steps, 0.03 for every weight, throw many units below 0 for every image. A ReLU stays there. A leaky one
# still has a slope of 0.2, and comes back. In a GAN this counts double, because a generator learns only what comes back
# through its discriminator: DCGAN and both our recipes have LeakyReLUs there.
#
# ## A real case: the discriminator of chaudhary2024
#
# Its weights start at 0.02. **Predict:** how large is the gradient that reaches the images, and so the generator, with
# its batch normalisation, and without?

# %%
images = (data.load_images()[:64].astype(np.float32) / 127.5 - 1)[:, None]  # (64, 1, 28, 28)


def gradient_at_images(std, normalised):
    generator, modules = Generator(0), list(recipes.chaudhary_discriminator().modules())[1:-1]  # without the sigmoid
    for module in modules:
        if isinstance(module, nn.Conv2d):
            init.normal_(module.weight, 0.0, std, generator)
    kept = [module for module in modules if normalised or not isinstance(module, nn.BatchNorm2d)]
    x = Tensor(images, requires_grad=True)
    return size(grad((-outputs(kept, x)[-1]).softplus().sum(), x)[0])  # of -log D(x)


found = {std: [gradient_at_images(std, normalised) for normalised in (True, False)] for std in (0.002, 0.02, 0.2)}
for std, (normalised, plain) in found.items():
    print(f"std {std:5}: gradient {normalised:.1e} with batch normalisation, {plain:.1e} without")
assert found[0.02][0] > 20 * found[0.02][1]
assert found[0.2][1] / found[0.002][1] > 1e6 > 100 * found[0.2][0] / found[0.002][0]

# %% [markdown]
# Without it, the gradient goes with the product of four layers' scales: a hundredfold std makes it $10^8$ times larger.
# Normalisation divides the scales of all layers before it out again: only the last layer's is left. So 0.02 works
# *because of* batch normalisation. jeganathan2025 has none in its discriminator, and takes Glorot's scale.
#
# ## Three questions
#
# 1. Why does a network not learn if all its weights start equal, say at 0.1?
# 2. He's variance for LeakyReLU is $2/((1+a^2)\,n)$. Where does $a^2$ come from? Which $a$ gives Glorot's, if
#    $n_\text{in}=n_\text{out}$?
# 3. By how much does a sigmoid layer of 100 units at He's scale multiply a gradient? Compare with the figure.
#
# The answers are in the [book](answers/12.md). **Exercise:** `lessons/exercises/ex12_initialisation.py`.
