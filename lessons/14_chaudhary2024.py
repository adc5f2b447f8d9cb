# %% [markdown]
# # 14. chaudhary2024: a whole DCGAN
#
# **Objective.** After this lesson you can read both networks of a DCGAN with the shape after every layer, write its
# training step, train it, and say what its two loss curves mean.
#
# **You need** lessons 7 to 13. *20 seconds*; with `--full`, the paper's 45,000 steps, about 190 seconds on two cores.
#
# **In the library:** `minigan/recipes.py`, `minigan/gan.py`, `minigan/training.py`, `minigan/loop.py`. **Follows:**
# Chaudhary et al., *Image Generation with Generative Adversarial Networks* (2024); Radford, Metz and Chintala,
# *Unsupervised Representation Learning with Deep Convolutional GANs* (2015), section 3.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import data, gan, nn, optim, random, recipes, training
from minigan.settings import default_settings
from minigan.tensor import Tensor, grad

# %% [markdown]
# ## The generator
#
# Noise with 100 channels and one pixel becomes an image, by four transposed convolutions, each of which makes $n$
# pixels into $(n-1)s - 2p + k$: kernel $k=4$, stride $s$, padding $p$. Where batch normalisation follows, a bias would
# be taken away again, so there is none.
#
# **Predict** the shape after every layer before you run. Which padding is the odd one out, and why is it there?

# %%
generator = nn.Sequential(
    nn.ConvTranspose2d(100, 112, 4, 1, 0, bias=False), nn.BatchNorm2d(112), nn.ReLU(),
    nn.ConvTranspose2d(112, 56, 4, 2, 1, bias=False), nn.BatchNorm2d(56), nn.ReLU(),
    nn.ConvTranspose2d(56, 28, 4, 2, 2, bias=False), nn.BatchNorm2d(28), nn.ReLU(),
    nn.ConvTranspose2d(28, 1, 4, 2, 1, bias=False), nn.Tanh(),
)  # fmt: skip


def walk(network, x):
    for layer in network:
        x = layer(x)
        print(f"{layer!r:74} {x.shape!s:16} {sum(p.data.size for p in layer.parameters()):7,}")


noise = random.Generator(0, random.NOISE)
z = Tensor(noise.normal((4, 100, 1, 1)))
walk(generator, z)
assert generator(z).shape == (4, 1, 28, 28)

# %% [markdown]
# Padding 2 in the third: it makes 8 into 14 instead of 16, because 28 is not a power of two. Tanh gives pixels from
# -1 to 1, as the training images have. The **discriminator** goes the same road back, by strided convolutions,
# $n \mapsto \lfloor (n + 2p - k)/s \rfloor + 1$, and LeakyReLU, which keeps a gradient of 0.2 where ReLU has none: what
# D cannot pass back, G cannot learn from. In the end, the sigmoid makes one number an image a probability.

# %%
discriminator = nn.Sequential(
    nn.Conv2d(1, 28, 4, 2, 1, bias=False), nn.LeakyReLU(0.2),
    nn.Conv2d(28, 56, 4, 2, 2, bias=False), nn.BatchNorm2d(56), nn.LeakyReLU(0.2),
    nn.Conv2d(56, 112, 4, 2, 1, bias=False), nn.BatchNorm2d(112), nn.LeakyReLU(0.2),
    nn.Conv2d(112, 1, 4, 1, 0, bias=False), nn.Sigmoid(),
)  # fmt: skip
walk(discriminator, generator(z))

# %% [markdown]
# Convolutions start from a normal distribution of standard deviation 0.02, batch normalisation's weights from one
# around 1. That done, these are the recipe's networks, number for number:

# %%
recipe = recipes.chaudhary2024
rebuilt = recipes.build(recipe, seed=0)
recipe.initialise(generator, random.Generator(0, random.WEIGHTS_G))
recipe.initialise(discriminator, random.Generator(0, random.WEIGHTS_D))
for ours, theirs in zip((generator, discriminator), rebuilt):
    assert all(np.array_equal(a.data, b.data) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
fixed = random.Generator(0, random.FIXED_LATENTS).normal((64, 100, 1, 1))
looks = {0: gan.generate(generator, fixed)}  # step -> (64, 28, 28)

# %% [markdown]
# ## One step
#
# D first: real images should get 1, generated ones 0. `detach` cuts the graph at the images: this loss is not G's
# business. Then G: the same images should get 1 from the D that has just moved. `grad` is asked for G's weights only.


# %%
def step(real, z):
    one, zero = (Tensor(np.full((len(z), 1, 1, 1), label, np.float32)) for label in (1, 0))
    bce = nn.BCELoss()
    fake = generator(z)  # (N, 1, 28, 28)
    loss_d = bce(discriminator(real), one) + bce(discriminator(fake.detach()), zero)
    adam_d.step(grad(loss_d, list(discriminator.parameters())))
    loss_g = bce(discriminator(fake), one)
    adam_g.step(grad(loss_g, list(generator.parameters())))
    return loss_d.item(), loss_g.item()


adam_g, adam_d = (optim.Adam(n.parameters(), lr=0.001, betas=(0.5, 0.999)) for n in (generator, discriminator))
adams = [optim.Adam(n.parameters(), lr=0.001, **recipe.adam) for n in rebuilt]
players = gan.Players(*rebuilt, *adams, recipe.criterion)
batches = data.Batches(data.load_images(), batch_size=4, seed=0)
for number in range(3):
    real, z = Tensor(batches.batch(number)), Tensor(noise.normal((4, 100, 1, 1)))
    by_hand, outcome = step(real, z), gan.alternating_step(players, real, [z])
    by_library = outcome.loss_d.item(), outcome.loss_g.item()
    print("losses of D and G by hand", np.round(by_hand, 4), "by the library", np.round(by_library, 4))
    assert np.allclose(by_hand, by_library, rtol=5e-3)

# %% [markdown]
# The same game; only the last digits may part, because the library shows D both batches in one pass, in which batch
# normalisation still takes each by itself (`batches_in_one`).
#
# ## Training
#
# `training.Run` is that step and all it needs; `python -m minigan.train` hands one to `loop.train`, whose core is the
# loop below: `--full` takes the same 45,000 steps (3 epochs of 15,000 batches) and ends at the same weights.
#
# The two figures are the paper's figure 2 (both losses) and figure 3 (images of fixed latents), for the steps run here.
#
# **Predict:** at the start D answers about 1/2. What are both losses then? Which will be lower after a thousand steps?

# %%
settings = default_settings(recipe, steps=length(4000, 60, full=45000), sample_every=length(500, 20))
run = training.Run(settings)
rows = []
for _ in tqdm(range(run.last_step), leave=False):
    rows.append(run.advance())
    if run.wants_sample():
        looks[run.step] = run.samples()  # (64, 28, 28), pixels 0 to 255
steps, _, loss_d, loss_g, d_real, d_fake, _ = np.array(rows).T

# %%
figure, axes = plt.subplots(figsize=(8, 4))
window = max(1, len(rows) // 50)
for values, label, colour in ((loss_g, "generator", "tab:orange"), (loss_d, "discriminator", "tab:blue")):
    axes.plot(steps, values, color=colour, alpha=0.2, linewidth=0.5)
    axes.plot(steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid"), color=colour, label=label)
axes.axhline(2 * np.log(2), color="grey", linestyle=":", label="discriminator that always answers 1/2")
axes.set(xlabel="iteration", ylabel="loss (nats)", ylim=(0, 8), title="Each player's loss, and its running mean")
axes.legend(loc="upper right")
show(figure, "Losses over iterations: the generator's stays well above the discriminator's, which is below 1.39.")

chosen = sorted(looks)[:: max(1, (len(looks) - 1) // 8)]
figure, axes = plt.subplots(figsize=(8, 0.62 * len(chosen) + 0.6))
axes.imshow(np.concatenate([np.concatenate(looks[s][:12], axis=1) for s in chosen]), cmap="gray", vmin=0, vmax=255)
axes.set(xticks=[], yticks=28 * np.arange(len(chosen)) + 14, yticklabels=chosen, ylabel="iteration")
axes.set_title("Each column is one fixed latent")
show(figure, "Twelve fixed latents, one a column: grey noise at iteration 0, strokes, then digits further down.")

ink = {s: float(np.mean(images)) / 255 for s, images in looks.items()}
wanted = float(data.load_images().mean()) / 255
print(f"white in MNIST {wanted:.3f};", ", ".join(f"after {s}: {ink[s]:.3f}" for s in chosen))
assert loss_d.mean() < 2 * np.log(2) and loss_d.mean() < loss_g.mean() and d_real.mean() > 0.5 > d_fake.mean()
assert 0.4 < ink[0] < 0.6 and (LENGTH == "short" or abs(ink[run.step] - wanted) < 0.06)

# %% [markdown]
# Grey noise, then the right amount of ink, then strokes, then digits that still change into others. At the start D says
# 1/2: its loss is $2\log 2\approx 1.39$, G's would be $\log 2\approx 0.69$. But G's is taken after D's step, and one
# step at this rate is enough to tell noise from digits: G's first loss printed above is over 5. From there G wins
# ground back; then both losses change slowly, while the pictures improve. Each is measured against an opponent who
# moves. What they do show is a rout: D's near 0 and G's rising for good.
#
# ## Three questions
#
# 1. What size has the image if the third transposed convolution gets padding 1, as the others with stride 2 do?
#    Would the discriminator complain? Would `step`, or the library's step?
# 2. What changes if `detach` is left out of `step`, in the result and in the work?
# 3. In the README's run, at step 45,000, G's loss is about 3.5 and D's 0.6, against 2 and 1 early on. What does D
#    answer for generated images, and have they become worse?
#
# The answers are in the [book](answers/14.md). **Exercise:** `lessons/exercises/ex14_chaudhary2024.py`.
