# %% [markdown]
# # 13. Mode collapse
#
# **Objective.** After this lesson you can recognise a generator that draws only a part of the data, measure how large
# a part, and test honestly whether a remedy helps.
#
# **You need** lessons 1, 6, 10 and 11. *25 seconds.*
#
# **In the library:** `minigan/gan.py`, all of it. **Follows:** Metz et al., *Unrolled Generative Adversarial Networks*
# (2016), for the ring; Srivastava et al., *VEEGAN* (2017), and Lin et al., *PacGAN* (2018), for the measures.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import backend, gan, nn, optim, random
from minigan.tensor import Tensor, concatenate, grad, no_grad

backend.set_threads(1)  # networks this small gain nothing from a second one

# %% [markdown]
# ## Data whose modes can be counted
# Ten kinds of digits are ten regions where images are dense, ten *modes* of their distribution, without sharp borders.
# So that nothing is in doubt we take 8 narrow normal distributions on a ring, each with an eighth of the data.

# %%
ANGLES = 2 * np.pi * np.arange(8) / 8
CENTRES = 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (8, 2)
STD, LATENT, BATCH = 0.1, 8, 128


def ring(rng, n):
    return (CENTRES[rng.integers(8, size=n)] + STD * rng.normal(size=(n, 2))).astype(np.float32)  # (N, 2)


def quality(samples):
    """(modes covered, share of samples of high quality: at most 3 standard deviations from a centre)."""
    distances = np.linalg.norm(samples[:, None] - CENTRES, axis=2)  # (N, 8)
    good = distances.min(axis=1) <= 3 * STD
    return len(set(distances.argmin(axis=1)[good])), good.mean()


modes, share = quality(ring(np.random.default_rng(0), 2000))
print(f"real data: {modes} modes, {share:.1%} of high quality")

# %% [markdown]
# ## The step, read line by line
# This is `gan.alternating_step` without its options: D's step, then G's step through the D just updated. `grad`
# walks to the parameters it is asked for and no further: D's loss does not reach G (`detach`), and G's loss goes
# *through* D without forming the gradients of D's weights. **Predict:** had we called `loss_g.backward()`, which
# gradients would have been computed for nothing, and where would they be now? (All of D's, left in `.grad`.)


# %%
def my_step(players, real, z):
    p = players
    fake = p.generator(z)  # (N, 2)
    both = p.discriminator(concatenate([real, fake.detach()]))  # (2N, 1)
    loss_d = gan.discriminator_loss(p.criterion, both[: len(real)], both[len(real) :])
    p.optimizer_d.step(grad(loss_d, list(p.discriminator.parameters())))
    loss_g = gan.generator_loss(p.criterion, p.discriminator(fake))
    p.optimizer_g.step(grad(loss_g, list(p.generator.parameters())))
    return loss_d, loss_g


class Packed(nn.Module):  # m outputs side by side: z (N, m * LATENT) to (N, m * 2)
    def __init__(self, generator, m):
        super().__init__()
        self.generator, self.m = generator, m

    def forward(self, z):
        return self.generator(z.reshape(-1, LATENT)).reshape(-1, 2 * self.m)


def players(seed, lr_d=1e-3, pack=1):
    random.manual_seed(seed)  # of the layers' initial weights
    layers = nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    generator = nn.Sequential(*layers)  # (N, LATENT) to (N, 2)
    discriminator = nn.Sequential(nn.Linear(2 * pack, 64), nn.Tanh(), nn.Linear(64, 1))  # (N, 1), logits
    adam_g, adam_d = (
        optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999))
        for network, lr in ((generator, 1e-3), (discriminator, lr_d))
    )
    return gan.Players(Packed(generator, pack), discriminator, adam_g, adam_d, nn.BCEWithLogitsLoss())


real, z = Tensor(ring(np.random.default_rng(0), BATCH)), Tensor(random.Generator(0).normal((BATCH, LATENT)))
mine, library = my_step(players(0), real, z), gan.alternating_step(players(0), real, [z])
assert np.isclose(mine[0].item(), library.loss_d.item()) and np.isclose(mine[1].item(), library.loss_g.item())

# %% [markdown]
# ## A discriminator that is too slow
# D has one hidden layer and takes one step for each of G's, with the same learning rate. **Predict:** G wants to
# be where D is high. Where are its samples after 150 steps? After 1200: nearer, over all eight modes, or elsewhere?


# %%
def train(seed, steps, pack=1, d_steps=1, lr_d=1e-3):
    """Returns samples of G, 8 times in the course of training: (8, 2000, 2)."""
    game, rng = players(seed, lr_d, pack), np.random.default_rng(seed)
    noise, snapshots = random.Generator(seed, random.NOISE), []
    fixed = Tensor(random.Generator(seed, random.FIXED_LATENTS).normal((2000, LATENT)))
    for step in tqdm(range(1, steps + 1), leave=False):
        real = Tensor(ring(rng, BATCH).reshape(-1, 2 * pack))
        z = [Tensor(noise.normal((BATCH // pack, LATENT * pack))) for _ in range(d_steps)]
        gan.alternating_step(game, real, z)  # each z but the last is spent on an update of D alone
        if step % (steps // 8) == 0:
            with no_grad():
                snapshots.append(game.generator.generator(fixed).numpy())
    return np.array(snapshots)


def draw(rows, steps, alt):
    figure, axes = plt.subplots(len(rows), 8, figsize=(13, 2 * len(rows)), squeeze=False, layout="constrained")
    for row, (name, snapshots) in zip(axes, rows.items()):
        row[0].set_ylabel(name)
        for i, (ax, samples) in enumerate(zip(row, snapshots)):
            ax.scatter(*CENTRES.T, s=60, facecolors="none", edgecolors="tab:blue")
            ax.scatter(*samples[:500].T, s=2, color="tab:orange")
            modes, share = quality(samples)
            ax.set(xlim=(-3, 3), ylim=(-3, 3), xticks=[], yticks=[], aspect="equal")
            ax.set_title(f"step {(i + 1) * steps // 8}: {modes} modes, {share:.0%}", fontsize=8)
    show(figure, alt)


STEPS, SEEDS = length(normal=1200, short=80), range(length(normal=3, short=1))
alt = "Eight pictures of the ring of eight modes: the samples are one narrow clump that wanders round it."
draw({"as it is": train(0, STEPS)}, STEPS, alt)

# %% [markdown]
# All samples go the same way, since D shows them all the same slope: towards a side where there is data and where,
# lately, they were not. When D has learned that this side is now full of generated samples, they leave, all together.
# Modes get their turn, none is held.
#
# ## Remedies
# A remedy is an idea about the cause. (1) D is too slow, G answers a picture of the past: take 3 steps of D for
# each of G's (the $k$ of Goodfellow et al. 2014, algorithm 1). (2) The same at no cost: a learning rate five times
# larger for D (two time scales: Heusel et al. 2017). (3) D sees one sample at a time and cannot know that they are
# all alike: show it 4 side by side, all real or all generated (packing, PacGAN). **Predict** which help. One run proves
# little, so each is judged on three seeds.

# %%
settings = {"as it is": {}, "3 steps of D": {"d_steps": 3}, "D's lr x 5": {"lr_d": 5e-3}, "packs of 4": {"pack": 4}}
runs = {name: [train(seed, STEPS, **values) for seed in SEEDS] for name, values in settings.items()}
scores = {name: np.array([quality(run[-1]) for run in each]) for name, each in runs.items()}  # (seeds, 2)
for name, score in scores.items():
    print(f"{name:13} modes {score[:, 0].astype(int)}, of high quality {score[:, 1].round(2)}")
alt = "3 steps of D, and D's lr x 5: a cloud that becomes a ring with knots at all 8 modes. Packs: still one clump."
draw({name: runs[name][0] for name in list(settings)[1:]}, STEPS, alt)
assert scores["as it is"][:, 0].max() < 6
if LENGTH != "short":
    for name in ("3 steps of D", "D's lr x 5"):
        assert scores[name][:, 0].min() >= 7 and scores[name][:, 1].mean() > 2 * scores["as it is"][:, 1].mean()
    assert scores["packs of 4"][:, 1].mean() < 0.5 * scores["D's lr x 5"][:, 1].mean()

# %% [markdown]
# A D that keeps up cures it, either way. Packing does not, *here*: with a D as slow as before, a pack tells it more
# than it can use. That is no verdict on packing, whose authors had other networks and longer runs; it says that the
# cause was another one. And 8 modes are not the end: a third of the samples still lies between them.
#
# ## Three questions
#
# 1. A generator draws the 8 centres exactly and nothing else, or one mode in 93% of cases. What do the measures say?
# 2. 3 steps of D cost more time. Does the game as it is get there with three times the steps? And packs with D's
#    larger learning rate? Try both.
# 3. In `my_step`, what would change if `fake.detach()` were `fake`?
#
# The answers are in the [book](answers/13.md). **Exercise:** `lessons/exercises/ex13_mode_collapse.py`.
