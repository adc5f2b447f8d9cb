# %% [markdown]
# # 1. The game
#
# **Objective.** After this lesson you can say what the discriminator and the generator of a GAN each want, train both
# on one-dimensional data with NumPy alone, and check the result against the theory.
#
# **You need** the chain rule, and NumPy arrays. *2 seconds.*
#
# **In the library:** `minigan/data.py` reads the images, `minigan/gan.py` holds the two losses. **Follows:** Goodfellow
# et al., *Generative Adversarial Nets* (2014), equation 1 and section 4.1.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import length, show

from minigan import data

rng = np.random.default_rng(0)

# %% [markdown]
# ## The data
# MNIST is 60,000 images of handwritten digits, 28 pixels high and wide, each pixel from 0 (black) to 255 (white). We
# want a program that draws new ones. A first idea: for every one of the 784 places, draw the pixel from the values
# that the images have *at that place*. **Predict:** every pixel then has the right distribution. Do you get digits?

# %%
images = data.load_images()  # (60000, 28, 28), uint8
chosen = rng.integers(len(images), size=(8, 28, 28))  # for each pixel, the image it is taken from
rows, columns = np.indices((28, 28))
pictures = np.concatenate([images[:8], images[chosen, rows, columns]])  # (16, 28, 28)
figure, axes = plt.subplots(2, 8, figsize=(8, 2.4))
for ax, picture in zip(axes.flat, pictures):
    ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_title("above: real; below: pixel by pixel", loc="left", fontsize=10)
show(figure, "Eight digits; below them eight clouds of scattered white dots, densest in the middle, none a digit.")
assert images.shape == (60000, 28, 28) and images.max() == 255

# %% [markdown]
# What makes a digit is how its pixels go *together*, and nobody can write that distribution $p(x)$ down. But you saw
# at a glance that the second row is false. A GAN makes this a game: the **discriminator** $D(x)$ answers with the
# probability that $x$ is real; the **generator** $G(z)$ turns random numbers $z$ into an $x$ for $D$ to take for real:
#
# $$\min_G\max_D\; V(D,G)=\mathbb{E}_{x\sim p}[\log D(x)]+\mathbb{E}_z[\log(1-D(G(z)))]$$
#
# $D$ is paid for right answers, $G$ for $D$'s wrong ones. Nobody needs to know $p$: samples of it are enough.
#
# ## One number instead of 784
# To see all of the game we shrink it. The data is one number, $x\sim\mathcal{N}(1, 0.5^2)$; the generator has two
# parameters, $G(z)=az+b$ with $z\sim\mathcal{N}(0,1)$; the discriminator has three:
#
# $$s(x)=w_0+w_1x+w_2x^2,\qquad D(x)=\sigma(s)=\frac{1}{1+e^{-s}}.$$
#
# $D$'s loss is $-V$: $-\log D$ for real numbers plus $-\log(1-D)$ for generated ones. Since $\sigma'=\sigma(1-\sigma)$,
# their derivatives with respect to $s$ are $-(1-D)$ and $D$; those of $s$ with respect to $w$ are $1$, $x$ and $x^2$.


# %%
def features(x):
    return np.stack([np.ones_like(x), x, x**2], axis=1)  # (N, 3)


def discriminator(w, x):
    return 1 / (1 + np.exp(-features(x) @ w))  # (N,)


def discriminator_step(w, real, fake, lr=0.2):
    """One step of D down its loss; returns the new w and the loss."""
    d_real, d_fake = discriminator(w, real), discriminator(w, fake)
    gradient = (-(1 - d_real) @ features(real) + d_fake @ features(fake)) / len(real)  # (3,)
    return w - lr * gradient, -np.log(d_real).mean() - np.log(1 - d_fake).mean()


# %% [markdown]
# ## What D wants
# Hold $G$ still, and let $q$ be the density of its numbers. At a place $x$, $V$ adds $p\log D+q\log(1-D)$, which is
# largest at (proposition 1 of the paper)
#
# $$D^*(x)=\frac{p(x)}{p(x)+q(x)}.$$
#
# **Predict:** with $G(z)=z-1$, what is $D^*$ at $-3$, and at 1, amid the data? And at 4, where both are rare?


# %%
def density(x, mean, std):
    return np.exp(-0.5 * ((x - mean) / std) ** 2) / (abs(std) * np.sqrt(2 * np.pi))


def optimal_discriminator(x, a, b):
    return density(x, 1, 0.5) / (density(x, 1, 0.5) + density(x, b, a))


w = np.zeros(3)
for _ in range(length(normal=2000, short=1000)):
    w, loss_d = discriminator_step(w, rng.normal(1, 0.5, 256), rng.normal(-1, 1, 256))

x = np.linspace(-4, 4, 401)
optimal = optimal_discriminator(x, 1, -1)
difference = np.abs(discriminator(w, x) - optimal)[(x > -3) & (x < 2)].max()
print(f"D* at -3, 1, 4: {optimal[[50, 250, 400]].round(3)}; from -3 to 2, D is off by at most {difference:.3f}")
assert difference < 0.15

# %% [markdown]
# Nobody told $D$ the densities: it found their ratio from samples. (It can be exact here because $\log p/q$ of two
# normal densities is quadratic in $x$, as $s$ is.)
#
# ## What G wants
# The paper lets $G$ go down $-\log D(G(z))$ rather than $\log(1-D(G(z)))$: the same goal, but steep where $D$ is sure
# (section 3; lesson 10). The chain rule goes *through* $D$: from the score to $x$, from $x$ to $a$ and $b$.
# **Predict:** once $q=p$, what does the best $D$ answer? What are the two losses? Which way does each move at first?


# %%
def generator_step(w, a, b, z, lr=0.1):
    """One step of G down -log D(G(z)); returns the new a and b and the loss."""
    x = a * z + b  # (N,)
    d = discriminator(w, x)
    slope = -(1 - d) * (w[1] + 2 * w[2] * x)  # of the loss with respect to x
    return a - lr * (slope * z).mean(), b - lr * slope.mean(), -np.log(d).mean()


w, a, b, history = np.zeros(3), 1.0, -1.0, []
for _ in range(length(normal=2000, short=1000)):
    for _ in range(5):
        w, loss_d = discriminator_step(w, rng.normal(1, 0.5, 256), a * rng.normal(size=256) + b)
    a, b, loss_g = generator_step(w, a, b, rng.normal(size=256))
    history.append((a, b, *w, loss_d, loss_g))
history = np.array(history)  # (steps, 7)

# %%
figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), width_ratios=[1, 1, 1, 1.5], layout="constrained")
for ax, step in zip(axes, (5, 60, len(history))):
    a, b, *w = history[step - 1, :5]
    ax.fill_between(x, density(x, 1, 0.5), color="tab:blue", alpha=0.3, label="real p")
    ax.fill_between(x, density(x, b, a), color="tab:orange", alpha=0.3, label="generated q")
    ax.plot(x, discriminator(w, x), "k", label="D, trained")
    ax.plot(x, optimal_discriminator(x, a, b), "r--", label="p / (p + q)")
    ax.set(title=f"after step {step}", xlabel="x", xlim=(-2.5, 3), ylim=(0, 1.4))
axes[0].legend(fontsize=8, loc="upper left", ncols=2)
for values, name, goal in zip(history[:, 5:].T, "DG", (2 * np.log(2), np.log(2))):
    line = axes[3].semilogx(np.arange(len(values)) + 1, values, label=f"loss of {name}", linewidth=0.8)
    axes[3].axhline(goal, linestyle=":", color=line[0].get_color())
axes[3].set(xlabel="step", ylabel="nats (natural logarithms)", title="losses; dotted: 2 ln 2 and ln 2")
axes[3].legend()
show(
    figure,
    "Step 5: q left of p, D rises. Step 60: q a spike in p, D flat. End: q covers p; losses settle at 1.386, 0.693.",
)
loss_d, loss_g = history[-200:, 5:].mean(axis=0)
print(f"at the end G has mean {b:.2f}, standard deviation {abs(a):.2f}; losses {loss_d:.3f} and {loss_g:.3f}")
assert abs(abs(a) - 0.5) < 0.1 and abs(b - 1) < 0.1
assert abs(loss_d - 2 * np.log(2)) < 0.02 and abs(loss_g - np.log(2)) < 0.03
assert abs(history[59, 0]) < 0.3 and np.abs(history[50:70, 5:].mean(axis=0) - np.log([4, 2])).max() < 0.15

# %% [markdown]
# With $q=p$ the best $D$ says $\tfrac12$ everywhere: losses of $2\ln 2\approx 1.386$ and $\ln 2\approx 0.693$. But see
# how they get there. First $D$ learns faster than $G$. Then $G$ runs to where $D$ is highest, *all of it*: at step 60
# $q$ is a spike, and a flat $D$ has not noticed. The losses are almost those of the end, though $G$ is far from done:
# they say how the players stand *against each other*, not how good either is. With images it need not end as well.
#
# ## Three questions
#
# 1. Put $D^*=p/(p+q)$ into $V$. What is $V$ when $q=p$, and what when $p$ and $q$ have no place in common?
# 2. What is $D^*$ at $-1$, 0 and 1 for $G(z)=z-1$, and why does it fall again far to the right?
# 3. $G$ never sees a real number. How does it learn where the data is, and what happens to it while $w_1=w_2=0$?
#
# The answers are in the [book](answers/01.md).
