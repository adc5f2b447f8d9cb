# %% [markdown]
# # 9. Batch normalisation
#
# **Objective.** After this lesson you can derive the gradient of batch normalisation, and you know why a network that
# has it answers differently in train mode and in eval mode, and when that matters to a GAN.
#
# **You need** modules and their modes (lesson 6), gradient checks (lesson 5). *6 seconds.*
#
# **In the library:** `batch_norm` in `minigan/functions.py` and in `kernels/reference.py`. **Follows:** Ioffe and
# Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift* (2015),
# section 3.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import backend, data, functions, nn, random, recipes, training
from minigan.errors import ShapeError
from minigan.gradcheck import gradcheck
from minigan.settings import default_settings
from minigan.tensor import Tensor, grad, no_grad

backend.set_threads(1)  # batches of 4 gain little from a second one
rng = np.random.default_rng(0)

# %% [markdown]
# ## What is normalised
#
# Each channel by itself, over all its $m = N\cdot H\cdot W$ values, those of all images of the batch and all pixels:
#
# $$\mu = \tfrac1m\sum_i x_i, \quad v = \tfrac1m\sum_i (x_i-\mu)^2, \quad s = \sqrt{v+\varepsilon}, \quad
#   \hat x_i = \frac{x_i-\mu}{s}, \quad y_i = w\,\hat x_i + b.$$
#
# $w$ and $b$ are learned, one of each for a channel; they alone now decide its spread and its level.

# %%
layer = nn.BatchNorm1d(3).to("float64")
w, b = layer.weight.data, layer.bias.data  # (C,), (C,)
w[...], b[...] = [1, 2, 3], [0, 1, -1]
x = Tensor(5 + 3 * rng.standard_normal((100, 3)), requires_grad=True)  # (m, C): m values of each of C channels
y = layer(x)  # (m, C)
s = np.sqrt(x.data.var(axis=0) + layer.eps)  # (C,)
x_hat = (x.data - x.data.mean(axis=0)) / s  # (m, C)
assert np.allclose(y.data, w * x_hat + b)
print("means before", x.data.mean(axis=0).round(3), "after", y.data.mean(axis=0).round(3))

# %% [markdown]
# ## Its gradient has three terms
#
# Nudge one $x_i$: its own $\hat x_i$ moves, and so do the mean and the variance, and with each of them every
# $\hat x_j$. With $g=\partial L/\partial y$ and $h = w\,g = \partial L/\partial\hat x$,
#
# $$\frac{\partial L}{\partial v} = -\frac{1}{2s^2}\sum_j h_j\hat x_j, \qquad
#   \frac{\partial L}{\partial\mu} = -\frac1s\sum_j h_j, \qquad
#   \frac{\partial L}{\partial x_i} = \frac{h_i}{s} + \frac{\partial L}{\partial\mu}\cdot\frac1m
#   + \frac{\partial L}{\partial v}\cdot\frac{2(x_i-\mu)}{m}.$$
#
# ($v$ depends on $\mu$, too, but by $-\frac2m\sum_j(x_j-\mu)=0$.) Collected, with bars for means over the channel:
#
# $$\frac{\partial L}{\partial x_i} = \frac1s\Big(\underbrace{h_i}_{\text{itself}}
#   - \underbrace{\overline{h}}_{\text{mean}} - \underbrace{\hat x_i\,\overline{h\hat x}}_{\text{variance}}\Big),
#   \qquad \frac{\partial L}{\partial w} = \sum_i g_i\hat x_i, \qquad \frac{\partial L}{\partial b} = \sum_i g_i.$$
#
# **Predict:** what is the gradient of the sum of all outputs, $g_i = 1$? Of the sum of their squares, $g_i = 2y_i$?

# %%
cotangents = {"random": rng.standard_normal(y.shape), "sum": np.ones(y.shape), "squares": 2 * y.data}
for name, g in cotangents.items():
    h = w * g  # (m, C)
    by_hand = (h - h.mean(axis=0) - x_hat * (h * x_hat).mean(axis=0)) / s  # (m, C)
    print(f"{name:8} largest element of the gradient: {np.abs(by_hand).max():.1e}")
    assert np.allclose(by_hand, grad(y, x, Tensor(g))[0].data, atol=1e-12)
    assert (np.abs(by_hand).max() < 1e-3) == (name != "random")
gradcheck(functions.BatchNorm(1e-5), (x, layer.weight, layer.bias))

# %% [markdown]
# Both are zero, the second but for $\varepsilon$. $\sum_i y_i = mb$ and
# $\sum_i\hat x_i^2 = m\,v/(v+\varepsilon)\approx m$ whatever $x$ is: shifting or stretching a channel changes nothing,
# so no loss asks for it. A gradient check with a cotangent of ones would compare 0 with 0; `gradcheck` takes random
# ones.
#
# ## In use: running statistics
#
# An image should not need companions to be judged. So in training the layer keeps a running mean,
# $r \leftarrow 0.9\,r + 0.1\,\mu$, and likewise a variance, of the unbiased $\frac{m}{m-1}v$ (section 3.1). In eval
# mode these take the place of $\mu$ and $v$, and the layer is a fixed $ax+c$.
#
# **Predict:** $r$ starts at 0. Which share of a constant $\mu$ is it after 1 batch, after 50? And what does the layer
# do in train mode with a batch of one image?

# %%
for _ in range(49):
    layer(x)  # the same batch, 50 times in all
assert np.allclose(layer.running_mean, (1 - 0.9**50) * x.data.mean(axis=0))
image, alone = rng.standard_normal((1, 3, 6, 6)).astype(np.float32), nn.BatchNorm2d(3)
assert np.allclose(alone(Tensor(image)).data, alone(Tensor(7 * image + 2)).data, atol=1e-3)
try:
    nn.BatchNorm1d(3)(Tensor(image[:, :, 0, 0]))  # (1, 3)
except ShapeError as error:
    print(error)

# %% [markdown]
# One image has $H\cdot W$ values to a channel, and is normalised by itself: 7 times the contrast changes nothing. With
# one value, $\hat x$ would always be 0, and the layer refuses.
#
# ## What it does to a GAN
#
# chaudhary2024 trains with batches of 4, and its discriminator normalises real and generated ones apart.
#
# **Predict:** early in that training, a real digit is judged in train mode, with other companions each time. How much
# does the answer scatter with 3 of them, with 63? What changes in eval mode, whose averages are over real *and*
# generated batches?

# %%
run = training.Run(default_settings(recipes.chaudhary2024, steps=length(normal=600, short=30)))
for _ in tqdm(range(run.last_step), leave=False):
    run.advance()
generator, discriminator = run.players.generator, run.players.discriminator
without_sigmoid = nn.Sequential(*[discriminator[i] for i in range(len(discriminator) - 1)])
kept = {name: array.copy() for name, array in without_sigmoid.state_dict().items()}


def logits(images, training):
    without_sigmoid.load_state_dict(kept)  # a look in train mode moves the running statistics
    with no_grad():
        return without_sigmoid.train(training)(Tensor(images)).data.reshape(-1)  # (N,)


real = data.to_signed(data.load_images()[:1000])[:, None]  # (1000, 1, 28, 28)
latents = Tensor(random.Generator(0, random.SAMPLES).normal((128, 100, 1, 1)))
with no_grad():
    fake = generator(latents).data  # (128, 1, 28, 28)
    moved = np.abs(generator.eval()(latents).data - fake).mean()
sizes = 4, 8, 16, 32, 64
same = [[logits(real[[0, *rng.integers(1, 1000, n - 1)]], True)[0] for _ in range(40)] for n in sizes]
apart = [logits(real[:128], True), logits(fake, True)]
mixed = np.split(logits(np.concatenate([real[:128], fake]), True), 2)
in_eval = [logits(real[:128], False), logits(fake, False)]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained", width_ratios=(2, 3))
left.semilogx(sizes, same, "C0o", alpha=0.3, base=2)
left.axhline(in_eval[0][0], color="black", linestyle="--", label="eval mode")
left.set(
    xticks=sizes, xticklabels=sizes, xlabel="images in the batch", ylabel="logit", title="A digit, other companions"
)
left.legend()
labels = [f"{kind}\n{way}" for way in ("apart", "mixed", "eval mode") for kind in ("real", "generated")]
right.boxplot(apart + mixed + in_eval, showfliers=False, tick_labels=labels)
right.set(ylabel="logit", title="128 real and 128 generated images, normalised in three ways")
show(figure, "Left: logits of a digit, spread wide in batches of 4, little in 64; in eval mode far off. Right: real "
     "ones above generated ones where batches are apart, not in a mixed batch or in eval mode.")  # fmt: skip
gaps = [float(np.median(pair[0]) - np.median(pair[1])) for pair in (apart, mixed, in_eval)]
print("scatter", [f"{np.std(answers):.2f}" for answers in same], "gaps", gaps, f"G in eval mode: {moved:.3f}")
assert np.std(same[0]) > 1.5 * np.std(same[-1]) and (
    LENGTH == "short" or gaps[0] > 1 + max(gaps[1:]) and max(gaps[1:]) < 1
)

# %% [markdown]
# The scatter falls about as $1/\sqrt N$, as that of a mean does; at batch 4 it is noise that both players train with.
# The right picture shows more: D only met batches of one kind, each centred by itself. In a mixture, or by averages
# over both kinds, real images no longer rank above generated ones: this D is of no use in eval mode. G makes one kind
# of batch and hardly changes (0.03, of pixels from -1 to 1). Its recipe samples in train mode, 64 latents in a batch:
# each digit depends on 63 others, and sampling moves the running statistics.
#
# ## Three questions
#
# 1. Both papers' generators have `bias=False` in each layer before a batch normalisation. What would the bias do?
# 2. Why $m/(m-1)$, and how much is it for a batch of 4 with 4x4 pixels? With one image of 2 pixels?
# 3. Which of the three terms of the gradient are left in eval mode, and why?
#
# The answers are in the [book](answers/09.md). **Exercise:** `lessons/exercises/ex09_batch_normalisation.py`.
