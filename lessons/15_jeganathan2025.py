# %% [markdown]
# # 15. jeganathan2025: a DCGAN in Keras's way, stopped and resumed
#
# **Objective.** After this lesson you can name what a GAN written for Keras does otherwise than one written for
# PyTorch, and stop a training run so that nobody can tell from its results.
#
# **You need** lesson 14. *40 seconds*; `--full` takes 14 of the paper's epochs, in all about 25 minutes on two cores
# (all 500 would take some 14 hours).
#
# **In the library:** `minigan/recipes.py`, `minigan/checkpoint.py`, `minigan/run_folder.py`. **Follows:** Jeganathan,
# *Exploring the Power of GANs for Image Generation: A Case Study on the MNIST Dataset* (2025).

# %%
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from page import length, show
from tqdm import tqdm

from minigan import backend, checkpoint, data, gan, plots, recipes, training
from minigan.run_folder import RunFolder
from minigan.settings import default_settings
from minigan.tensor import Tensor, grad

# %% [markdown]
# ## What is different
#
# | | chaudhary2024 | jeganathan2025 |
# |---|---|---|
# | the latent becomes | 112 channels of 4 by 4, by a convolution | 256 channels of 7 by 7, by a dense layer |
# | kernels | 4, padded alike on all sides | 5, Keras's "same": 1 before and 2 after at stride 2 |
# | D is regularised by | batch normalisation | dropout of 0.3 |
# | D returns | a probability | a logit |
# | initial weights | normal, 0.02 | Glorot uniform: $\pm\sqrt{6/(\text{fan in}+\text{fan out})}$ |
# | a step | D, then G against the D that has moved | both gradients from one forward pass |
# | samples by | the batch's statistics | the running statistics, moved by 0.01 a step (Keras: momentum 0.99) |
#
# Running statistics that move by 0.01 a step have after $n$ steps gone $1-0.99^n$ of the way from where they began:
# samples drawn early come from a network that does not know its own statistics yet. And dropout makes D a random
# function while it trains. **Predict:** what does D say when it is asked twice about the same images?

# %%
recipe = recipes.jeganathan2025
generator, discriminator = recipes.build(recipe, seed=0)
print(generator, discriminator, sep="\n")
images = {split: data.load_images(splits=(split,)) for split in recipe.splits}
real = Tensor(data.to_signed(images["train"][:20, None]))  # (20, 1, 28, 28)
twice = discriminator(real).data, discriminator(real).data
print("asked twice:", twice[0][:3, 0], twice[1][:3, 0])
assert not np.array_equal(*twice)
assert np.array_equal(discriminator.eval()(real).data, discriminator.eval()(real).data)
print({steps: f"{1 - 0.99**steps:.0%}" for steps in (10, 100, 700)}, "of the way to the statistics")

# %% [markdown]
# Simultaneous gradients: one pass through both networks gives both losses, each is differentiated with respect to
# its own player's weights, and only then do both move. `grad` leaves the graph whole, so it may be walked twice.

# %%
z = Tensor(np.random.default_rng(0).standard_normal((20, 100)).astype(np.float32))
d_real, d_fake = discriminator.train()(real), discriminator(generator(z))  # (20, 1) each
loss_d = gan.discriminator_loss(recipe.criterion, d_real, d_fake)
grads_g = grad(gan.generator_loss(recipe.criterion, d_fake), list(generator.parameters()))
grads_d = grad(loss_d, list(discriminator.parameters()))
print(f"loss of D {loss_d.item():.3f}; {len(grads_g)} gradients for G, {len(grads_d)} for D, and nobody has moved")

# %% [markdown]
# ## A run that is stopped
#
# 500 epochs are seldom run in one sitting. To make the point in seconds we take a part of MNIST, written as IDX files
# to a temporary folder, small batches, and four times the paper's learning rate (`--full` keeps all three). The loop
# is that of `loop.train`: a step, its row of metrics, now and then a checkpoint. At one of them we copy the folder,
# as a crash would leave it, and let the run go on to its end.

# %%
folder = Path(tempfile.mkdtemp())
count, size, lr, epochs, stop = length((2000, 20, 4e-4, 5, 3), (30, 7, 4e-4, 4, 2), full=(60000, 100, 1e-4, 10, 6))
for split, part in (("train", images["train"][:count]), ("t10k", images["t10k"][: count // 6])):
    header = bytes([0, 0, 8, 3]) + np.array(part.shape, ">u4").tobytes()
    (folder / f"{split}-images-idx3-ubyte").write_bytes(header + part.tobytes())
chosen = {"dataset": str(folder), "epochs": epochs, "batch_size": size, "lr_g": lr, "lr_d": lr}
settings = default_settings(recipe, **chosen)
run = training.Run(settings)
unbroken = RunFolder(folder / "unbroken")
unbroken.create(run)
for _ in tqdm(range(run.last_step), leave=False):
    unbroken.write_row(run.advance())
    if run.step == stop * run.batches.per_epoch:
        unbroken.save(run)
        shutil.copytree(unbroken.path, folder / "stopped")
        at_stop = run.samples()  # (16, 28, 28)
unbroken.save(run)
unbroken.close()
at_end = run.samples()

# %% [markdown]
# Now another process, which knows nothing but the copied folder, goes on, by a user's command. **Predict:** what
# must a checkpoint hold besides the weights, for the resumed run to be the same run? Name five things.

# %%
saved = checkpoint.load(folder / "stopped" / "checkpoint.pkl")
print(*saved)
command = [sys.executable, "-m", "minigan.train", "--device", "cpu", "--threads", str(backend.thread_count())]
subprocess.run([*command, "--quiet", "--resume", "stopped"], cwd=folder, check=True)


def leaves(value, path=""):
    """(path, array or value) of everything in nested dicts and lists."""
    if isinstance(value, (dict, list)):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, f"{path}/{key}")
    else:
        yield path, value


a, b = (dict(leaves(checkpoint.load(folder / name / "checkpoint.pkl"))) for name in ("unbroken", "stopped"))
unequal = {path for path in a if not np.array_equal(a[path], b[path])}
texts = [(folder / name / "metrics.csv").read_text() for name in ("unbroken", "stopped")]
rows, resumed = ([line.split(",")[:6] for line in text.splitlines()] for text in texts)  # without the seconds
print(f"{len(a)} arrays and values compared; unequal: {unequal}")
assert a.keys() == b.keys() and unequal <= {"/seconds"}
assert rows == resumed

# %% [markdown]
# Equal to the bit: both networks with their running statistics, both of Adam's moments for every weight, the counts of
# random draws, every loss. Only the clock differs. What if the weights alone had been kept?

# %%
forgetful = training.Run(settings)
saved["optimizer_g"]["state"], saved["optimizer_d"]["state"] = {}, {}
forgetful.restore(saved, "a checkpoint without Adam's moments")
kept = [float(row[3]) for row in rows[forgetful.step + 1 :][:3]]
forgot = [forgetful.advance()[3] for _ in kept]
print("losses of G: unbroken", np.round(kept, 6), "forgetful", np.round(forgot, 6))
assert np.isclose(kept[0], forgot[0], rtol=1e-6) and abs(kept[2] - forgot[2]) > 1e-4

# %% [markdown]
# The first loss is the same, as it is taken before the step; then the runs part: without its moments, Adam's first step
# moves every weight by the whole learning rate. The paper shows samples when its run was stopped (figure 7, epoch 290)
# and after it was resumed (figure 8, epoch 500), and the losses (figure 12). Ours:

# %%
losses = np.array(rows[1:], float)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.4), width_ratios=(1, 1, 1.6), layout="constrained")
for panel, images, title in zip(axes, (at_stop, at_end), (f"stopped: epoch {stop}", f"resumed: epoch {epochs}")):
    panel.imshow(plots.grid(images), cmap="gray", vmin=0, vmax=255)
    panel.set(title=title, xticks=[], yticks=[])
for column, name, colour in ((3, "generator", "tab:orange"), (2, "discriminator", "tab:blue")):
    axes[2].plot(losses[:, 0], losses[:, column], color=colour, linewidth=0.7, label=name)
axes[2].axvline(stop * run.batches.per_epoch, color="black", linestyle=":", label="stopped here")
axes[2].set(xlabel="step", ylabel="loss (nats)", title="losses")
axes[2].legend()
show(
    figure,
    "Sixteen samples at the stop, sixteen at the end, and both losses over the steps, without a break at the stop.",
)
shutil.rmtree(folder)

# %% [markdown]
# Nothing in the curves marks the place. Strokes, not digits yet: an epoch of the paper has 700 steps of 100 images. At
# 0.13 to 0.16 seconds each, its 350,000 steps take 13 to 16 hours on two cores: time enough to be glad of a checkpoint,
# which `python -m minigan.train` writes at least once a minute.
#
# ## Three questions
#
# 1. A checkpoint is a file that people pass on. Why does ours hold plain values and bytes only, and who checks that?
# 2. The order of the images is not in the checkpoint. Why does the resumed run take the right batches all the same?
# 3. Keras writes batch normalisation's momentum as 0.99, minigan (as PyTorch) as 0.01. What would 0.99 do here?
#
# The answers are in the [book](answers/15.md). **Exercise:** `lessons/exercises/ex15_jeganathan2025.py`.
