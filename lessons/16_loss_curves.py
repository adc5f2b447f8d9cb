# %% [markdown]
# # 16. Reading loss curves
#
# **Objective.** After this lesson you can tell from `metrics.csv` whether a run is healthy, collapsed, won by the
# discriminator, or stuck in a vanishing gradient, and you know what the curves cannot tell.
#
# **You need** lessons 10 and 13. *7 seconds.*
#
# **In the library:** the columns that `minigan/run_folder.py` writes, and `save_losses` of `minigan/plots.py`.
# **Follows:** Goodfellow et al., *Generative Adversarial Nets* (2014), section 3 and proposition 1.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import backend, gan, nn, optim, random
from minigan.tensor import Tensor, grad, no_grad

backend.set_threads(1)  # networks this small gain nothing from a second one

# %% [markdown]
# ## Four runs, one setting apart
# A run writes the columns `step, epoch, loss_d, loss_g, d_real, d_fake, seconds`: both losses, and the mean probability
# that $D$ gave real and generated images. (Columns after these are filled only where the run was probed; lesson 16 does
# without them.) We make such rows on lesson 13's ring, where we can look at the samples, too.

# %%
ANGLES = 2 * np.pi * np.arange(8) / 8
CENTRES = 2 * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # (8, 2)
LATENT, BATCH = 8, 128
ADAM = {"betas": (0.5, 0.999)}


def ring(rng, n):
    return (CENTRES[rng.integers(8, size=n)] + 0.1 * rng.normal(size=(n, 2))).astype(np.float32)  # (N, 2)


def train(steps, lr_d=5e-3, lr_g=1e-3, loss="nonsaturating", adam_for_g=True, seed=0):
    """Returns rows (steps, 4) of loss_d, loss_g, d_real, d_fake, the players, and 500 samples of G at the end."""
    random.manual_seed(seed)
    layers = nn.Linear(LATENT, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2)
    generator = nn.Sequential(*layers)  # (N, 2)
    discriminator = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 1))  # (N, 1), logits
    adam_d = optim.Adam(discriminator.parameters(), lr=lr_d, **ADAM)
    optimizer_g = (
        optim.Adam(generator.parameters(), lr_g, **ADAM) if adam_for_g else optim.SGD(generator.parameters(), lr_g)
    )
    game = gan.Players(generator, discriminator, optimizer_g, adam_d, nn.BCEWithLogitsLoss(), loss)
    rng, noise, rows = np.random.default_rng(seed), random.Generator(seed, random.NOISE), []
    for _ in tqdm(range(steps), leave=False):
        seen = gan.alternating_step(game, Tensor(ring(rng, BATCH)), [Tensor(noise.normal((BATCH, LATENT)))])
        with no_grad():
            probabilities = [logits.sigmoid().mean() for logits in (seen.d_real, seen.d_fake)]
        rows.append([value.item() for value in (seen.loss_d, seen.loss_g, *probabilities)])
    with no_grad():
        return np.array(rows), game, generator(Tensor(noise.normal((500, LATENT)))).numpy()


# %% [markdown]
# The first run is the healthy one of lesson 13. Each of the others spoils something: $D$ slower; $G$ 300 times slower;
# the minimax loss, with plain gradient descent for $G$ (Adam would make up for a small gradient: question 2).
# **Predict** for each: near which value is $D$'s loss at the end, and where do `d_real` and `d_fake` lie?

# %%
SETTINGS = {
    "healthy": {},
    "collapsed": {"lr_d": 1e-3},
    "D wins": {"lr_g": 3e-6},
    "vanishing": {"loss": "minimax", "adam_for_g": False, "lr_g": 3e-3},
}
runs = {name: train(length(normal=1000, short=240), **settings) for name, settings in SETTINGS.items()}

figure, axes = plt.subplots(3, 4, figsize=(13, 8), layout="constrained", height_ratios=[1, 1, 1.2])
for column, (name, (rows, _, samples)) in zip(axes.T, runs.items()):
    column[0].plot(rows[:, 0], label="loss_d", linewidth=0.8)
    column[0].plot(rows[:, 1], label="loss_g", linewidth=0.8)
    column[0].axhline(2 * np.log(2), color="tab:blue", linestyle=":")
    column[0].axhline(np.log(2), color="tab:orange", linestyle=":")
    column[0].set(title=name, xlabel="step")
    column[1].plot(rows[:, 2], color="tab:green", label="d_real", linewidth=0.8)
    column[1].plot(rows[:, 3], color="tab:red", label="d_fake", linewidth=0.8)
    column[1].set(ylim=(-0.05, 1.05), xlabel="step")
    column[2].scatter(*CENTRES.T, s=60, facecolors="none", edgecolors="tab:blue")
    column[2].scatter(*samples.T, s=2, color="tab:orange")
    column[2].set(
        xlim=(-3.5, 3.5), ylim=(-3.5, 3.5), xticks=[], yticks=[], aspect="equal", xlabel="G's samples at the end"
    )
axes[0, 0].set_ylim(0.5, 2)
axes[0, 0].legend(loc="upper right")
axes[1, 0].legend(loc="upper right")
alt = (
    "Healthy: after a bump, smooth curves near the dotted equilibrium; samples on the whole ring. Collapsed: waves "
    "around it; one clump. D wins: loss_d at 0, loss_g climbs to 8. Vanishing: both losses at 0; a clump that stays."
)
show(figure, alt)

# %% [markdown]
# ## Reading them
# - **Healthy.** After the first steps the losses drift slowly, a little off $2\ln 2$ and $\ln 2$, with `d_real` and
#   `d_fake` on either side of one half. That no loss goes down is no fault: the opponent learns as well.
# - **Collapsed.** The *means* say the same. But `d_fake` swings in slow waves, far larger than its noise: all samples
#   move together, so $D$'s opinion of them rises and falls as one. `d_real` swings less: the data does not move.
# - **D wins.** `d_real` at 1, `d_fake` at 0, `loss_d` at 0, and `loss_g` $=-\log D(G(z))$ grows and grows.
# - **Vanishing.** The same, but `loss_g` $=\log(1-D(G(z)))$ lies flat at 0 from below, and that looks like peace.
#
# In the last two $D$ is sure. Is there a gradient left from which $G$ could learn? **Predict** it under each loss.


# %%
def gradient_norm(game, loss):
    """The length of the gradient of G's loss with respect to G's parameters."""
    fake = game.generator(Tensor(random.Generator(1).normal((BATCH, LATENT))))  # (N, 2)
    loss_g = gan.generator_loss(game.criterion, game.discriminator(fake), loss)
    return sum(float((g.data**2).sum()) for g in grad(loss_g, list(game.generator.parameters()))) ** 0.5


norms = {}
for name in ("healthy", "D wins", "vanishing"):
    norms[name] = [gradient_norm(runs[name][1], loss) for loss in ("nonsaturating", "minimax")]
    print("{:10} non-saturating {:.4f}, minimax {:.4f}".format(name, *norms[name]))
assert norms["vanishing"][0] > 10 * norms["vanishing"][1] and norms["D wins"][0] > 10 * norms["D wins"][1]

# %% [markdown]
# At each sample the factor is $(1-D)/D$. A $D$ that is sure need not be the end: the non-saturating loss still has a
# large gradient, and a larger step of $G$, or a smaller one of $D$, revives the game. Under minimax it is gone.
#
# ## The reading as a rule
# A person looks at the level first and at the waves second; so does the function. The size of the waves is measured in
# units of the step-to-step noise: for values without memory the mean square of the differences is twice the variance
# (von Neumann 1941), so the ratio below is 1, whatever the batch size; slow waves make it large.


# %%
def waviness(values):
    return values.std() / np.sqrt(np.mean(np.diff(values) ** 2) / 2)


def diagnose(loss_d, loss_g, d_real, d_fake):
    """One of the four names, from the last quarter of the columns."""
    loss_d, loss_g, d_real, d_fake = (values[-(len(values) // 4) :] for values in (loss_d, loss_g, d_real, d_fake))
    if d_real.mean() > 0.95 and d_fake.mean() < 0.05:
        return "vanishing" if loss_g.mean() <= 0 else "D wins"
    return "collapsed" if waviness(d_fake) > 4 else "healthy"


for name, (rows, _, _) in runs.items():
    verdict = diagnose(*rows.T)
    print(f"{name:10} waviness of d_fake {waviness(rows[-(len(rows) // 4) :, 3]):5.1f}, diagnosed as {verdict}")
    assert verdict == name or (name == "healthy" and LENGTH == "short")  # 240 steps are still its first bump

# %% [markdown]
# The limits fit these runs; take others from runs that you know to be good. And mind what no
# rule can do: the curves know only what $D$ has noticed. Look at the samples, too.
#
# ## Three questions
#
# 1. $G$ draws one of 8 equal modes perfectly and *stays* there; $D$ is the best possible. What are the four columns?
#    Would `diagnose` find it?
# 2. With Adam for $G$ the vanishing run recovers. Why, if the gradient is a thousand times smaller?
# 3. `loss_d` of a good run of chaudhary2024 falls from 1 to 0.6 while the digits get better. Is $D$ winning?
#
# The answers are in the [book](answers/16.md). **Exercise:** `lessons/exercises/ex16_loss_curves.py`.
