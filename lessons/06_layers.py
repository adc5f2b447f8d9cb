# %% [markdown]
# # 6. Layers and parameters
#
# **Objective.** After this lesson you know what a layer is: a formula, the numbers it learns, and a way for others to
# find those numbers. You train a classifier of digits with nothing but that.
#
# **You need** gradients by `grad` (lessons 3 and 4), and matrix products. *4 seconds.*
#
# **In the library:** `minigan/nn.py`. **Follows:** Rumelhart, Hinton and Williams, *Learning representations by
# back-propagating errors* (1986), for layers of layers; the names are PyTorch's.

# %%
import matplotlib.pyplot as plt
import numpy as np
from page import LENGTH, length, show
from tqdm import tqdm

from minigan import backend, data, functions, nn, random
from minigan.tensor import Tensor, grad, no_grad

backend.set_threads(1)  # layers this small gain nothing from a second one
random.manual_seed(0)  # of the first values of every layer below
rng = np.random.default_rng(0)

# %% [markdown]
# ## One layer: $y = xW^\top + b$
#
# A linear layer turns each row $x_n$ of a batch, $I$ inputs, into $K$ outputs. Output $k$ has its own row of weights
# $W_k$ and its own offset $b_k$:
#
# $$y_{nk} = \sum_i x_{ni} W_{ki} + b_k, \qquad\text{as shapes: } (N, K) = (N, I)\,(K, I)^\top + (K,).$$
#
# The matrix is stored outputs first, so that row $k$ is all that output $k$ knows: for an image, a picture of 784
# weights laid over the pixels. If $G=\partial L/\partial y$, of shape $(N, K)$, comes back from the loss, the chain
# rule reads, index by index and then as matrices,
#
# $$\frac{\partial L}{\partial W_{ki}} = \sum_n G_{nk}\,x_{ni} = (G^\top x)_{ki}, \qquad
#   \frac{\partial L}{\partial b_k} = \sum_n G_{nk}, \qquad
#   \frac{\partial L}{\partial x_{ni}} = \sum_k G_{nk} W_{ki} = (GW)_{ni}.$$
#
# **Predict:** with 784 inputs, 24 outputs and a batch of 64, what are the shapes of these three gradients, and which of
# them keep their shape when the batch has 65 images?

# %%
layer = nn.Linear(784, 24)
x = Tensor(rng.random((64, 784), np.float32), requires_grad=True)  # (N, I)
y = layer(x)  # (N, K)
G = rng.standard_normal((64, 24)).astype(np.float32)  # (N, K)
W, b = layer.weight.data, layer.bias.data
by_hand = G.T @ x.data, G.sum(0), G @ W  # (K, I), (K,), (N, I)
assert np.allclose(y.data, x.data @ W.T + b, atol=1e-4)
for ours, theirs in zip(by_hand, grad(y, (layer.weight, layer.bias, x), Tensor(G)), strict=True):
    print(theirs.shape)
    assert ours.shape == theirs.shape and np.allclose(ours, theirs.data, rtol=1e-3, atol=1e-3)

# %% [markdown]
# A gradient has the shape of what it is the gradient of; in those of $W$ and $b$ the batch has been summed out.
#
# ## Many layers: who owns the numbers?
#
# A training step needs all parameters, and a list kept by hand is soon wrong. So an object keeps it that notices when a
# `Parameter`, or another such object, is assigned to it. That is all a module is.


# %%
class Module:
    def __init__(self):
        self.parts = {}

    def __setattr__(self, name, value):
        if isinstance(value, (nn.Parameter, Module)):
            self.parts[name] = value
        object.__setattr__(self, name, value)

    def named_parameters(self, prefix=""):
        for name, part in self.parts.items():
            if isinstance(part, Module):
                yield from part.named_parameters(f"{prefix}{name}.")
            else:
                yield prefix + name, part


class Classifier(Module):
    def __init__(self):
        super().__init__()
        for name, inputs, outputs in (("hidden", 784, 24), ("output", 24, 10)):
            layer, bound = Module(), inputs**-0.5  # a sum over many inputs stays small
            layer.weight = nn.Parameter(rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32))
            layer.bias = nn.Parameter(np.zeros(outputs, np.float32))
            setattr(self, name, layer)

    def __call__(self, x):
        x = functions.relu(x.reshape(-1, 784) @ self.hidden.weight.T + self.hidden.bias)  # max(0, .): (N, 24)
        return x @ self.output.weight.T + self.output.bias  # (N, 10)


ours = Classifier()  # and the same from the library, with a dropout
net = nn.Sequential(nn.Flatten(), nn.Linear(784, 24), nn.ReLU(), nn.Dropout(0.2), nn.Linear(24, 10))
print([name for name, _ in ours.named_parameters()], [name for name, _ in net.named_parameters()])

# %% [markdown]
# Dotted names are paths: `hidden.weight` is the attribute `weight` of the attribute `hidden`. `Sequential` names its
# parts by position; those that own nothing leave a gap. The order is that of assignment, the same in every run, so an
# optimizer may keep its state by position. `state_dict()` is the list as a dictionary of arrays, and `load_state_dict`
# copies such a dictionary in by name, all of it or, where something does not fit, nothing.
#
# **Predict:** `net` gets the numbers of `ours`. Do they now give the same answers?

# %%
images = Tensor(rng.random((5, 1, 28, 28), np.float32))
renamed = dict(zip(net.state_dict(), (p.data for _, p in ours.named_parameters()), strict=True))
net.load_state_dict(renamed)
once, again, expected = net(images).data, net(images).data, ours(images).data  # (5, 10)
net.eval()
print("train:", once[0, :3], again[0, :3], "eval:", net(images).data[0, :3], "ours:", expected[0, :3])
assert not np.allclose(once, again) and np.allclose(net(images).data, expected, atol=1e-5)

# %% [markdown]
# Only in eval mode: while training, `Dropout` zeroes a fifth of the hidden numbers at random. (Batch normalisation,
# lesson 9, differs, too.) `train()` and `eval()` set one flag, `training`, on every module of the tree. Forgetting
# `eval()` raises no error: the answers are worse, and others each time.
#
# ## A classifier of digits
#
# The ten outputs are scores. The loss is cross-entropy, $-\log\,(e^{y_c}/\sum_k e^{y_k})$ for the true class $c$; a
# step moves every parameter against its gradient. Pixels are 0 for paper and up to 1 for ink.
#
# **Predict:** how do rows of the first weights look before training, and after? Does every weight move?

# %%
pixels, labels = data.load_images()[:10000].astype(np.float32) / 255, data.load_labels()[:10000].astype(np.int64)
before = net[1].weight.data.copy()  # (24, 784)
parameters, criterion = list(net.train().parameters()), nn.CrossEntropyLoss()
for _ in tqdm(range(length(normal=2000, short=200)), leave=False):
    chosen = rng.integers(0, len(pixels), 64)
    loss = criterion(net(Tensor(pixels[chosen])), Tensor(labels[chosen]))
    for parameter, gradient in zip(parameters, grad(loss, parameters)):
        parameter.data -= 0.2 * gradient.data
with no_grad():
    scores = net.eval()(Tensor(data.load_images(splits=("t10k",)).astype(np.float32) / 255)).data  # (10000, 10)
right = (scores.argmax(1) == data.load_labels(splits=("t10k",))).mean()
moved = net[1].weight.data - before
figure, axes = plt.subplots(3, 8, figsize=(10, 4), layout="constrained")
for line, name, weights in zip(axes, ("before", "after", "difference"), (before, before + moved, moved)):
    line[0].set_ylabel(name)
    for ax, row in zip(line, weights):
        drawn = ax.imshow(row.reshape(28, 28), cmap="RdBu", vmin=-0.1, vmax=0.1)
        ax.set(xticks=[], yticks=[])
figure.colorbar(drawn, ax=axes, shrink=0.6, label="weight", extend="both")
show(figure, "Weights of 8 hidden units as pictures, red below and blue above 0: faint noise before; after, strokes in "
     "the middle and the old noise at the edge; the difference is blank at the edge.")  # fmt: skip
never_inked = ~pixels.any(axis=0).reshape(784)
print(f"{right:.1%} of 10,000 new digits are right; {never_inked.sum()} pixels never have ink")
assert right > (0.85 if LENGTH != "short" else 0.6)
assert never_inked.sum() > 50 and not moved[:, never_inked].any() and moved[:, ~never_inked].any()

# %% [markdown]
# The difference is what was learned: each unit looks for ink here (blue) and for paper there (red). At the edge the
# weights hold their first values, to the bit: $\sum_n G_{nk}x_{ni}$ is 0 where $x_{ni}$ is 0 in every image.
#
# ## Three questions
#
# 1. Both layers start with all weights 0 instead of random ones, the biases too. What does the network learn?
# 2. A module keeps its layers in a Python list, `self.layers = [nn.Linear(8, 8)]`. What is in `parameters()`, and which
#    error tells you?
# 3. `saved = net.state_dict()`, then 100 training steps, then `net.load_state_dict(saved)`. Which weights does `net`
#    have?
#
# The answers are in the [book](answers/06.md). **Exercise:** `lessons/exercises/ex06_layers.py`.
