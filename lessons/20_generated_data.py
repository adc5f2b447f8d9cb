# %% [markdown]
# # 20. What generated data is good and bad for
#
# **Objective.** After this lesson you can ask of generated images, by measurement: whose data do they mirror, are they
# copies, can they be told from real ones, and what did they cost?
#
# **You need** lesson 14. *25 seconds.*
#
# **In the library:** `minigan/data.py` (data sets), `minigan/sampling.py` (images of a generator). **Follows:** Theis,
# van den Oord and Bethge, *A note on the evaluation of generative models* (2016); Lopez-Paz and Oquab, *Revisiting
# Classifier Two-Sample Tests* (2017); Strubell, Ganesh and McCallum, *Energy and Policy Considerations for Deep
# Learning in NLP* (2019).
#
# First, a judge: a small classifier that says which digit it sees.

# %%
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import data, nn, optim, random, recipes, sampling, settings, training
from minigan.functions import cross_entropy
from minigan.tensor import Tensor, grad, no_grad


def train_classifier(images, labels, classes, steps):
    layers = nn.Conv2d(1, 16, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten()
    network, rng = nn.Sequential(*layers, nn.Linear(32 * 7 * 7, classes)), np.random.default_rng(0)
    adam = optim.Adam(network.parameters(), lr=2e-3)
    for _ in tqdm(range(steps), leave=False):
        chosen = rng.integers(len(images), size=64)
        scores = network(Tensor(data.to_signed(images[chosen, None])))  # (64, classes)
        adam.step(grad(cross_entropy(scores, Tensor(labels[chosen].astype(np.int64))), list(network.parameters())))
    return network


def classify(network, images):
    with no_grad():
        return network(Tensor(data.to_signed(images[:, None]))).numpy().argmax(1)  # (N,)


random.manual_seed(0)
images, labels = data.load_images("mnist", ("train",)), data.load_labels("mnist", ("train",))
others, other_labels = data.load_images("mnist", ("t10k",)), data.load_labels("mnist", ("t10k",))
judge = train_classifier(images, labels, classes=10, steps=length(normal=400, short=40))
accuracy = (classify(judge, others[:2000]) == other_labels[:2000]).mean()
print(f"The judge is right on {accuracy:.1%} of unseen digits.")
assert accuracy > length(normal=0.9, short=0.4)

# %% [markdown]
# ## Whose data do they mirror?
#
# Someone has collected digits: 58 % are ones, 2 % are fives, 5 % each of the others. `minigan.train --dataset` trains
# on any folder of IDX files, so we write one: two zeros, the type (8: bytes), the number of dimensions, their lengths,
# the pixels. **Predict:** which share of the generated digits will be ones?

# %%
rng, wanted = np.random.default_rng(0), np.array([5, 58, 5, 5, 5, 2, 5, 5, 5, 5]) / 100
count, counter, joules = length(normal=1000, short=200), Path("/sys/class/powercap/intel-rapl:0/energy_uj"), []


def skewed(images, labels, count):
    chosen = [rng.permutation(np.flatnonzero(labels == digit))[: round(count * wanted[digit])] for digit in range(10)]
    return images[np.concatenate(chosen)]


real, unseen = skewed(images, labels, 10 * count), skewed(others, other_labels, count)
with tempfile.TemporaryDirectory() as folder:
    header = bytes([0, 0, 8, 3]) + np.array(real.shape, ">u4").tobytes()
    (Path(folder) / "train-images-idx3-ubyte").write_bytes(header + real.tobytes())
    run = training.Run(settings.default_settings(recipes.chaudhary2024, dataset=folder, batch_size=64))
joules += [int(counter.read_text()) / 1e6] if os.access(counter, os.R_OK) else []
for _ in tqdm(range(length(normal=600, short=4)), leave=False):
    run.advance()
joules += [int(counter.read_text()) / 1e6] if joules else []
fakes = sampling.draw(run.players.generator.eval(), run.recipe.latent_shape, count, seed=0)  # (count, 28, 28)
shares = np.bincount(classify(judge, fakes), minlength=10) / count
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(3, 2))
for name, heights, shift in (("in the data", wanted, -0.2), ("generated", shares, 0.2)):
    left.bar(np.arange(10) + shift, heights, 0.4, label=name)
left.set(xlabel="digit", ylabel="share", xticks=range(10), title="The generator repeats what was collected")
left.legend()
right.imshow(np.block([[*fakes[8 * row : 8 * row + 8]] for row in range(6)]), cmap="gray")
right.set(title="48 generated digits, nothing picked", xticks=[], yticks=[])
show(figure, f"Shares of each digit, data beside generated: of these {shares[1]:.0%} are ones, {shares[5]:.0%} fives.")
assert LENGTH == "short" or (shares[1] > 0.25 and shares[1] == shares.max() and shares[5] < 0.12)

# %% [markdown]
# Nobody told the network to prefer ones; D rewards what looks like the collection. Drawing more does not help: the
# generator knows no fives but those it saw. (The shares are the judge's opinion, who must name one for a smear, too.)
# Generated data is good for more of what you have, not for what you lack.
#
# ## Are they copies?
#
# A generator that returned its training images would be perfect for D, and a leak. The usual check is each image's
# distance to the nearest training image. Its scale is that of *unseen* real images (of the same shares: ones are all
# alike). Beside them stand two forgers: one returns training images with a little noise, the other also shifts them by
# a pixel. **Predict** the order of the four.


# %%
def nearest(images):
    """The distance of each image to the nearest of `real`, pixels from 0 to 1, and which one that is."""
    a, b = (np.reshape(x, (len(x), -1)) / np.float32(255) for x in (images, real))  # (N, 784)
    squares = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)  # (N, len(real))
    return np.sqrt(np.maximum(squares.min(1), 0)), squares.argmin(1)


copies = real[rng.integers(len(real), size=count)] + rng.normal(0, 8, (count, 28, 28))
copies, median = np.clip(copies, 0, 255).astype(np.uint8), {}
sets = {"copies": copies, "unseen real": unseen, "generated": fakes, "shifted copies": np.roll(copies, 1, axis=2)}
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=(3, 2))
for name, (distance, _) in zip(sets, map(nearest, sets.values())):
    median[name] = np.median(distance)
    left.plot(np.sort(distance), np.linspace(0, 1, count), label=f"{name}: median {median[name]:.1f}")
left.set(xlabel="distance to the nearest training image", ylabel="share of images", xlim=(0, 14))
left.legend(title="Only plain copies are near")
right.imshow(np.block([[*fakes[:6]], [*real[nearest(fakes[:6])[1]]]]), cmap="gray")
right.set(title="generated; below, the nearest in training", xticks=[], yticks=[])
show(figure, "Shares over distance: copies rise steeply at 0.6, the others slowly, from 1 to 8.")
assert median["copies"] < 1 < median["unseen real"] < median["shifted copies"] and median["generated"] > 1.3

# %% [markdown]
# The plain copies stand out. Our generated images are no copies: they lie farther away than unseen real digits, also
# because many are not quite digits yet. But the shifted copies pass, and every one is stolen: a shift by a pixel
# moves an image farther than another writer's hand does. A small distance proves a copy; a large one proves nothing.
#
# ## Can they be told from real ones?
#
# Train a fresh classifier on half of them and as many real images, and ask it about the rest: 50 % would be a perfect
# generator. The control is to tell real from real. **Predict** both accuracies.

# %%
mixed, half, kind = rng.permutation(real), count // 2, np.repeat([0, 1], count // 2)
found = []
for name, a, b in (("generated from real", fakes, mixed), ("real from real", mixed[count:], mixed[2 * count :])):
    detector = train_classifier(np.concatenate([a[:half], b[:half]]), kind, 2, length(normal=200, short=20))
    found.append((classify(detector, np.concatenate([a[half:count], b[half:count]])) == kind).mean())
    print(f"{name}: {found[-1]:.1%} right")
assert found[0] > length(normal=0.8, short=0.6) and abs(found[1] - 0.5) < 0.15

# %% [markdown]
# The detector finds nearly all of them. But it knows one generator: the next one's images, or a photograph of
# these, are another question. "97 % right" is a statement about a test set.
#
# ## What did they cost?
#
# Energy is power times time. Linux counts a processor's energy in `/sys/class/powercap` (`counter`, above), in
# microjoules, if one may read it: mostly as root, hardly in a virtual machine. Else estimate, and state the power:
# here 10 W for each busy core, 70 W for a T4 (its maker's limit), and 0.4 kg CO2 a kWh.

# %%
print("measured:", f"{joules[1] - joules[0]:.0f} J" if joules else "nothing, the counter cannot be read here")
runs = {"this lesson's GAN": (run.seconds, 20), "45,000 steps, 2 cores": (190, 20), "the paper's T4": (330, 70)}
for name, (seconds, watts) in runs.items():
    energy = watts * seconds / 3600
    print(f"{name:22} {seconds:4.0f} s x {watts} W = {energy:5.2f} Wh, {0.4 * energy:4.2f} g CO2")

# %% [markdown]
# The full runs take one to seven watt-hours, uncertain by a factor of two; boiling a litre of water takes about 100.
# What costs is repetition: the trials before the run that is reported (Strubell et al.), and the runs that greater
# speed invites.
#
# ## Three questions
#
# 1. The data holds 2 % fives, and you draw until you have 1000 generated fives. What do they add to the data?
# 2. Why are the unseen real images drawn with the shares of the training data, and not as the test set has them?
# 3. Which parts of a run's energy does seconds times the watts of two cores leave out?
#
# The answers are in the [book](answers/20.md). **Exercise:** `lessons/exercises/ex20_generated_data.py`.
