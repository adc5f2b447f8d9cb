# %% [markdown]
# # 8. Transposed convolution, and the triple
#
# **Objective.** After this lesson you can say what a transposed convolution is and how large its output, why it is
# the gradient of a convolution, and why some of them print a checkerboard.
#
# **You need** lesson 7 and matrix products. *3 seconds.*
#
# **In the library:** `minigan/conv.py`, all of it. **Follows:** Dumoulin and Visin, *A guide to convolution arithmetic
# for deep learning* (2016), chapter 4; Odena, Dumoulin and Olah, *Deconvolution and Checkerboard Artifacts* (2016).

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import page
from minigan import conv, data
from minigan.tensor import Tensor, grad

rng = np.random.default_rng(0)

# %% [markdown]
# ## A convolution is a sparse matrix
#
# For given weights a convolution is linear in its input: flatten input and output, and some matrix $M$ takes one to
# the other. An image that has a single 1 gives a column of $M$. **Predict before you run:** for 4 x 4 pixels, 3 x 3
# taps, stride 1 and no padding, what shape has $M$, and how many of its entries are not zero?


# %%
def matrix_of(weight, side, **geometry):
    single_ones = np.eye(side * side).reshape(-1, 1, side, side)  # (pixels, 1, H, W)
    return conv.conv2d(Tensor(single_ones), weight, **geometry).numpy().reshape(side * side, -1).T  # (places, pixels)


taps = Tensor(np.arange(1.0, 10).reshape(1, 1, 3, 3))
matrix = matrix_of(taps, 4)  # (4, 16)
figure, axes = plt.subplots(1, 2, figsize=(8, 5), width_ratios=(16, 4), layout="constrained")
for ax, picture, title in zip(axes, (matrix, matrix.T), ("M: 16 pixels to 4 places", "M transposed")):
    ax.pcolormesh(picture, cmap="Blues", vmax=14, edgecolors="lightgrey", linewidth=0.5)
    for row, column in np.argwhere(picture):
        ax.text(column + 0.5, row + 0.5, int(picture[row, column]), ha="center", va="center")
    ax.set(title=title, xticks=[], yticks=[], aspect="equal")
    ax.invert_yaxis()
page.show(figure, "A convolution's matrix: nine taps in each of its 4 rows, shifted; and its transpose, 16 rows high.")
assert matrix.shape == (4, 16) and np.count_nonzero(matrix) == 4 * 9

# %% [markdown]
# A row of $M$ is one output: nine taps, at the pixels it reads. A column of $M^\top$ is one pixel that *writes* nine
# taps to those places: 2 x 2 pixels become 4 x 4. This is the **transposed convolution**. It is not the inverse of
# $M$, it only has its shape. In code, each pixel stamps the filter, times its own value, and stamps add up:


# %%
def stamp(y, weight, stride):
    out = np.zeros([stride * (n - 1) + taps for n, taps in zip(y.shape, weight.shape)])
    for p, q in np.ndindex(*y.shape):
        out[stride * p : stride * p + len(weight), stride * q : stride * q + len(weight)] += y[p, q] * weight
    return out


y = rng.normal(size=(1, 1, 2, 2))
by_library = conv.conv_transpose2d(Tensor(y), taps).numpy()  # (1, 1, 4, 4)
assert np.allclose(by_library.ravel(), matrix.T @ y.ravel())
assert np.allclose(by_library[0, 0], stamp(y[0, 0], taps.numpy()[0, 0], 1))

# %% [markdown]
# ## Three convolutions, one sum
#
# Take images $x$, weights $w$, something $y$ of the output's shape, and one number made of all three:
#
# $$F(x, w, y) = \sum_{n,k,p,q,c,i,j} x_{n,c,\,sp+i-\text{top},\,sq+j-\text{left}}\; w_{k,c,i,j}\; y_{n,k,p,q}.$$
#
# $F$ is linear in each of the three. Collect what stands beside each element of $y$: it is the convolution $C(x, w)$.
# Beside $x$ stands the transposed convolution $T(y, w)$, beside $w$ a third array, $G(x, y)$:
#
# $$\langle C(x, w), y\rangle = \langle x, T(y, w)\rangle = \langle w, G(x, y)\rangle = F.$$
#
# That settles the gradients. If the gradient $y$ arrives at the output of $C$, those in $x$ and $w$ are the gradients
# of $F$: $T(y,w)$ and $G(x,y)$. Likewise those of $T$ are $C$ and $G$, those of $G$ are $T$ and $C$: three kernels are
# enough for gradients of any order. **Predict:** by how much will the three products differ?

# %%
geometry = conv.make_geometry(stride=2, padding=(1, 2, 1, 2), dilation=1)  # jeganathan2025's, see below
shapes = conv.Shapes(x=(2, 3, 28, 28), w=(4, 3, 5, 5), y=(2, 4, 14, 14))
x, w, y = (Tensor(rng.normal(size=shape), requires_grad=True) for shape in shapes)
c, t, g = conv.C(geometry, shapes)(x, w), conv.T(geometry, shapes)(y, w), conv.G(geometry, shapes)(x, y)
products = [(a * b).sum().item() for a, b in ((c, y), (x, t), (w, g))]
print(products)
assert np.ptp(products) < 1e-9 * np.linalg.norm(c.data) * np.linalg.norm(y.data)

gradient_x, gradient_w = grad(c, (x, w), grad_outputs=y)
assert np.array_equal(gradient_x.data, t.data) and np.array_equal(gradient_w.data, g.data)
gradient_y, _ = grad(t, (y, w), grad_outputs=x)  # and the transposed convolution's gradient is the convolution
assert np.array_equal(gradient_y.data, c.data)

# %% [markdown]
# The products agree to rounding, the gradients to the bit: the engine calls these very kernels.
#
# ## Sizes
#
# Solve lesson 7's formula for $H$. Its division rounds down, so $s$ values of $H$ have the same $P$; which is meant,
# *output padding* says, counted from the smallest:
#
# $$H = s(P-1) + R - \text{top} - \text{bottom} + \text{output padding}.$$
#
# **Predict:** 14 pixels should become 28 by 5 x 5 taps and stride 2. What padding, if there is no output padding?

# %%
y, w = Tensor(rng.normal(size=(1, 1, 14, 14))), Tensor(rng.normal(size=(1, 1, 5, 5)))
keras = conv.conv_transpose2d(y, w, stride=2, padding=(1, 2, 1, 2)).numpy()[0, 0]  # (28, 28)
alike = conv.conv_transpose2d(y, w, stride=2, padding=2, output_padding=1).numpy()[0, 0]  # (28, 28)
assert keras.shape == alike.shape == (28, 28) and 2 * (14 - 1) + 5 - (1 + 2) == 28
assert np.allclose(keras[1:, 1:], alike[:-1, :-1])

# %% [markdown]
# Stamps reach 3 rows too far, which cannot be halved: Keras cuts 1 before and 2 after (its padding 'same'); padding 2
# with output padding 1, usual in PyTorch, cuts 2 before and 1 after. The same sizes and numbers, one pixel apart.
#
# ## The checkerboard
#
# With stride 2, neighbours stamp two pixels apart. **Predict:** how many stamps meet on a pixel if the filter is 5 x 5?
# If it is 4 x 4? What will an image of 7 x 7 pixels look like, enlarged twice by equal weights?

# %%
zero = data.load_images(splits=("t10k",))[3] / 255.0  # (28, 28), a digit 0
seed = Tensor(zero.reshape(1, 1, 7, 4, 7, 4).mean((3, 5)))  # (1, 1, 7, 7)
features = Tensor(rng.normal(size=(page.length(8, 2), 32, 14, 14)))
figure, axes = plt.subplots(2, 3, figsize=(9, 6.3), layout="constrained")
for row, size, padding in ((0, 5, (1, 2, 1, 2)), (1, 4, 1)):
    ones = Tensor(np.ones((1, 1, size, size)))
    stamps = conv.conv_transpose2d(seed * 0 + 1, ones, stride=2, padding=padding).numpy()[0, 0]  # (14, 14)
    once = conv.conv_transpose2d(seed, ones, stride=2, padding=padding)  # (1, 1, 14, 14)
    twice = conv.conv_transpose2d(once, ones, stride=2, padding=padding)  # (1, 1, 28, 28)
    weights = Tensor(rng.normal(size=(32, page.length(64, 16), size, size)))
    noise = conv.conv_transpose2d(features, weights, stride=2, padding=padding).numpy()  # (N, C, 28, 28)
    spread = [[noise[..., 4 + a : 24 : 2, 4 + b : 24 : 2].var() / 32 for b in (0, 1)] for a in (0, 1)]
    print(f"{size} x {size} random taps: variance at even and odd pixels", np.round(spread, 1).tolist())
    assert np.allclose(spread, stamps[4:6, 4:6], rtol=0.25)
    axes[row, 0].imshow(stamps, cmap="Blues", vmin=0, vmax=14)
    for (i, j), count in np.ndenumerate(stamps[:8, :8]):
        axes[row, 0].text(j, i, int(count), ha="center", va="center", fontsize=8)
    axes[row, 1].imshow(twice.numpy()[0, 0], cmap="gray")
    axes[row, 0].set_title(f"{size} x {size} taps: stamps on each pixel")
    axes[row, 1].set_title("7 x 7 pixels, enlarged twice")
for ax, epoch in zip(axes[:, 2], (1, 5)):
    grid = plt.imread(Path(page.__file__).parent / "figures" / f"jeganathan2025_epoch{epoch}.png")
    ax.imshow(grid[:124, :124], cmap="gray", vmin=0, vmax=1)
    ax.set_title(f"jeganathan2025, 5 x 5, epoch {epoch}")
plt.setp(axes, xticks=[], yticks=[])
page.show(
    figure, "5 x 5: 4, 6 or 9 stamps, a 0 in checks. 4 x 4: 4 stamps, a smooth 0. Digits dotted after epoch 1 only."
)

# %% [markdown]
# Of five taps, every second one meets a pixel: 3 or 2 along each axis, so 9, 6 or 4. Of four it is always 2, so 4, but
# for the border. With random weights the variance is the number of stamps, so a network of 5 x 5 taps begins with a
# checkerboard and has to unlearn it: jeganathan2025 shows it after epoch 1 and no longer after epoch 5. A kernel
# size that the stride divides, as in chaudhary2024, begins without.
#
# ## Three questions
#
# 1. What is $T(C(x, w), w)$, and is it ever $x$?
# 2. Which sizes become 7 x 7 by 4 x 4 taps, stride 2 and padding 1? Which output padding belongs to each?
# 3. `grad(loss, generator_parameters)` runs back through the discriminator. Which of $C$, $T$, $G$ does each of its
#    convolutions need there, and which is left out?
#
# The answers are in the [book](answers/08.md). **Exercise:** `lessons/exercises/ex08_transposed_convolution.py`.
