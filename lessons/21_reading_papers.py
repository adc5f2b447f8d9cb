# %% [markdown]
# # 21. Two papers, read against their code
#
# **Objective.** After this lesson you can read a paper on GANs with its code beside it, find where they part, and find
# out by a small experiment what the difference does.
#
# **You need** lessons 10, 14 and 15. *6 seconds.*
#
# **In the library:** `minigan/recipes.py`. **Follows:** Chaudhary et al., *Image Generation with Generative Adversarial
# Networks* (2024); Jeganathan, *Exploring the Power of GANs for Image Generation* (2025); for the corrections,
# Goodfellow et al., *Generative Adversarial Nets* (2014), section 3; Mirza and Osindero, *Conditional GANs* (2014).

# %%
from dataclasses import fields

import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import data, functions, gan, nn, optim, random, recipes
from minigan.tensor import Tensor, concatenate, grad

# %% [markdown]
# `recipes.py` holds what a paper decides and nothing else, one field a decision; the engine, the step and the loop are
# shared. Where we could not or would not follow, `deviations` says so and why. **Predict:** in how many of the settings
# do two DCGANs for the same digits agree?

# %%
papers = recipes.chaudhary2024, recipes.jeganathan2025
for field in fields(recipes.Recipe)[6:]:
    print(f"{field.name:20}", *(f"{getattr(recipe, field.name)!s:64}" for recipe in papers))
print(*recipes.jeganathan2025.deviations, sep="\n")

# %% [markdown]
# In none. What follows are the places where text and code part, or where the text is wrong, each worth a test.
#
# ## 1. Minimax in the text, non-saturating in the code
#
# The formula has G minimise $\log(1-D(G(z)))$, the code $-\log D(G(z))$. In the logit of $p=D(G(z))$ their slopes are
# $-p$ and $-(1-p)$: the first dies when D is sure. **Predict:** D trains alone. When do the gradients differ tenfold?

# %%
recipe = recipes.chaudhary2024
generator, discriminator = recipes.build(recipe, seed=0)
adam_d = optim.Adam(discriminator.parameters(), lr=recipe.lr_d / 10, **recipe.adam)
noise, batches = random.Generator(0, random.NOISE), data.Batches(data.load_images(), 16, seed=0)
norms = {"nonsaturating": [], "minimax": []}
for step in tqdm(range(length(40, 15)), leave=False):
    fake = generator(Tensor(noise.normal((16, 100, 1, 1))))  # (16, 1, 28, 28)
    for loss, seen in norms.items():
        grads = grad(gan.generator_loss(recipe.criterion, discriminator(fake), loss), list(generator.parameters()))
        seen.append(np.sqrt(sum((g.data**2).sum() for g in grads)))
    answers = discriminator(Tensor(batches.batch(step))), discriminator(fake.detach())
    adam_d.step(grad(gan.discriminator_loss(recipe.criterion, *answers), list(discriminator.parameters())))
ratio = np.array(norms["nonsaturating"]) / norms["minimax"]
print(f"ratio of the gradients: {ratio[0]:.1f} at first, {ratio[-1]:.0f} after {step} steps of D")
assert 0.2 < ratio[0] < 5 < ratio[-1]

figure, axes = plt.subplots(figsize=(7, 3.2))
axes.semilogy(norms["nonsaturating"], "o-", markersize=3, label="code: minimise -log D(G(z))")
axes.semilogy(norms["minimax"], "o-", markersize=3, label="text: minimise log(1 - D(G(z)))")
axes.set(xlabel="steps of D, G standing still", ylabel="length of G's gradient", title="D becomes sure")
axes.legend()
show(figure, "Both gradients start alike; as D trains, the text's falls more than tenfold, the code's does not.")

# %% [markdown]
# ## 2. ReLU and LeakyReLU
#
# Two names that are easily exchanged. The code has ReLU in chaudhary2024's G, LeakyReLU(0.2) in its D, LeakyReLU(0.3)
# in jeganathan2025's networks. The difference is how many units pass a gradient back, here in an untrained D:

# %%
hidden = recipes.chaudhary_discriminator()[0](Tensor(batches.batch(0)))  # (16, 28, 14, 14)
for name, slope in (("ReLU", 0.0), ("LeakyReLU(0.2)", 0.2)):
    (g,) = grad(functions.leaky_relu(hidden, slope).sum(), [hidden])
    print(f"{name}: {np.mean(g.data == 0):.0%} of the units pass nothing back")
    assert (g.data == 0).any() == (slope == 0)

# %% [markdown]
# ## 3. Binary cross entropy "for one-hot encodings"
#
# BCE compares one probability with one label, 0 or 1: that is what D needs. For one-hot labels there is cross entropy,
# $-\log p_y$; BCE summed over all outputs is another loss. **Predict** which of the two tells these answers apart: both
# give the true class 0.4; one spreads the other 0.6 over nine classes, one puts it all on a single wrong one.

# %%
p = np.array([[0.4] + 9 * [0.6 / 9], [0.4, 0.6] + 8 * [1e-9]])  # spread; single: (2, 10)
one_hot, classes = np.eye(10)[[0, 0]], np.array([0, 0])
cross_entropy = functions.cross_entropy(Tensor(np.log(p)), Tensor(classes), reduction="none").data
bce = functions.binary_cross_entropy(Tensor(p), Tensor(one_hot), reduction="none").data.sum(1)
print("cross entropy", cross_entropy.round(3), "BCE summed over ten outputs", bce.round(3))
assert np.isclose(*cross_entropy) and bce[1] > bce[0] + 0.2

# %% [markdown]
# ## 4. Stable Diffusion is no GAN
#
# Ask of any model: is there a second network that plays against it? Stable Diffusion's (Rombach et al. 2022) is trained
# to predict, by squared error, the noise that was added to a picture's code: one loss, one network, no game. (The
# autoencoder that makes the codes was trained with a discriminator's help. That does not make the whole a GAN.)
#
# ## 5. A conditional GAN whose labels became targets
#
# A conditional GAN shows the label to both players as an *input*. In a hurry, it lands where D's target belongs:
# `criterion(d(real), label)`. That runs, too. **Predict** what G will make, if the classes are 0 and 1.

# %%
centres, rng = np.array([[-1, 0], [1, 0]], np.float32), np.random.default_rng(0)
random.manual_seed(0)
ones, zeros = (Tensor(np.full((200, 1), value, np.float32)) for value in (1, 0))


def play(labels_are_inputs):
    """Trains on two clusters. Returns the last 200 labels, and the points that G made when asked for them (200, 2)."""
    seen, bce = 4 if labels_are_inputs else 2, nn.BCEWithLogitsLoss()
    g, d = (nn.Sequential(nn.Linear(seen, 64), nn.LeakyReLU(0.2), nn.Linear(64, made)) for made in (2, 1))
    adam_g, adam_d = (optim.Adam(n.parameters(), lr=2e-3, betas=(0.5, 0.999)) for n in (g, d))

    def with_label(x, one_hot):
        return concatenate([x, one_hot], 1) if labels_are_inputs else x

    for _ in tqdm(range(length(1200, 60)), leave=False):
        label = rng.integers(0, 2, 200)
        one_hot = Tensor(np.eye(2, dtype=np.float32)[label])  # (200, 2)
        real = Tensor(centres[label] + 0.15 * rng.standard_normal((200, 2), np.float32))
        fake = g(with_label(Tensor(rng.standard_normal((200, 2), np.float32)), one_hot))  # (200, 2)
        target = ones if labels_are_inputs else Tensor(label[:, None].astype(np.float32))
        loss_d = bce(d(with_label(real, one_hot)), target) + bce(d(with_label(fake.detach(), one_hot)), zeros)
        adam_d.step(grad(loss_d, list(d.parameters())))
        adam_g.step(grad(bce(d(with_label(fake, one_hot)), ones), list(g.parameters())))
    return label, fake.numpy()


results = {"labels as targets": play(False), "labels as inputs": play(True)}

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharex=True, sharey=True, layout="constrained")
for panel, (title, (asked, points)) in zip(axes, results.items()):
    for label, colour, marker in ((0, "tab:blue", "o"), (1, "tab:orange", "x")):
        cluster = centres[label] + 0.15 * rng.standard_normal((200, 2))
        panel.scatter(*cluster.T, s=3, color="lightgrey", label="real" if label else None)
        panel.scatter(*points[asked == label].T, s=16, color=colour, marker=marker, label=f"G, asked for {label}")
        panel.annotate(f"class {label}", centres[label] + (0, 0.7), ha="center")
    made = points[:, 0] > 0  # nearer to class 1
    print(f"{title}: {np.mean(made == asked):.0%} of the class asked for, {np.mean(made):.0%} of class 1")
    panel.set(title=title, xlim=(-2, 2), ylim=(-1.2, 1.2))
    assert LENGTH == "short" or np.mean(made == (asked if title == "labels as inputs" else 1)) > 0.9
axes[0].legend(loc="lower center")
show(figure, "Labels as targets: whatever was asked for lies on class 1. Labels as inputs: each on its own class.")

# %% [markdown]
# With targets, D learns to tell class 1 from all else, real zeros included, and G, which never sees a label, obliges:
# half of the data is gone. With inputs, "real" and "which" stay two questions, and G answers the one that it is asked.
#
# ## 6. Text and listing that differ
#
# jeganathan2025's text has batches of 128 and a learning rate of 2e-4, its listing 100 and 1e-4. The recipe follows the
# listing; `--batch-size 128 --lr-g 2e-4` follow the text (the README lists the other flags). What is at stake: the
# number of steps, and how far Adam, which moves a weight by about its learning rate a step at most, can move one.

# %%
for size, lr in ((100, 1e-4), (128, 2e-4)):
    steps = 500 * -(-70_000 // size)
    print(f"batches of {size}: {steps:,} steps in 500 epochs, times {lr} makes {steps * lr:.0f}")

# %% [markdown]
# ## Three questions
#
# 1. How does the ratio of the two gradients of section 1 follow from $p$? What was $p$ when it was ten?
# 2. With two classes and softmax, is BCE on the one-hot label another loss than cross entropy?
# 3. How would you notice, in a run on MNIST, that labels are used as targets (0 to 9)?
#
# The answers are in the [book](answers/21.md). **Exercise:** `lessons/exercises/ex21_reading_papers.py`.
