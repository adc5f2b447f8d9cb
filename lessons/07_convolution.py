# %% [markdown]
# # 7. Convolution: loops, a matrix product, a kernel
#
# **Objective.** After this lesson you can write a convolution as its definition says, tell the size of its output,
# turn it into a matrix product, and run the library with a kernel of your own.
#
# **You need** lesson 5 (gradient checks) and NumPy's slices. *3 seconds.*
#
# **In the library:** `kernels/reference.py`, `kernels/cpu/im2col.py`, `kernels/__init__.py`. **Follows:** Dumoulin and
# Visin, *A guide to convolution arithmetic for deep learning* (2016), chapter 2; Chellapilla, Puri and Simard, *High
# Performance Convolutional Neural Networks for Document Processing* (2006), for the matrix.

# %%
import timeit
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from minigan import conv, data, kernels, recipes
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.tensor import Tensor
from page import length, show

# %% [markdown]
# ## One small filter, laid on every place
#
# A convolution lays one small array of weights, the *filter*, on every place of an image. Each output is the sum of the
# products under it:
#
# $$y_{k,p,q} = \sum_{c,i,j} x_{c,\;sp+i-\text{top},\;sq+j-\text{left}}\; w_{k,c,i,j}.$$
#
# $k$ counts filters, $c$ the image's channels, $i,j$ a filter's rows and columns, its *taps*; the *stride* $s$ is the
# step from place to place. An index that falls off the image meets 0, the *padding*. As code, that is seven loops:


# %%
def conv2d_loops(x, weight, stride, padding, dilation, out):
    (_, channels, height, width), (_, _, rows, cols) = x.shape, weight.shape
    left, _, top, _ = padding
    for n, k, p, q in np.ndindex(*out.shape):
        total = 0.0
        for c, i, j in np.ndindex(channels, rows, cols):
            h, v = stride[0] * p + dilation[0] * i - top, stride[1] * q + dilation[1] * j - left
            if 0 <= h < height and 0 <= v < width:
                total += x[n, c, h, v] * weight[k, c, i, j]
        out[n, k, p, q] = total
    return out


# %% [markdown]
# The arguments are those of the library's kernels: `out` says how large the result is, `dilation` (1 in both papers) is
# the step from tap to tap. **Predict before you run:** which strokes of a 7 answer to a filter that is positive above
# and negative below, and with which sign? And to the same filter on its side?

# %%
digits = data.to_signed(data.load_images(splits=("t10k",))[:16, None])  # (16, 1, 28, 28)
digit = digits[:1] / 2 + 0.5  # (1, 1, 28, 28), 0 is background
down = np.array([[1, 2, 1], [0, 0, 0], [-1, -2, -1]], np.float32)
filters = np.stack([down, down.T])[:, None]  # (2, 1, 3, 3)
edges = conv2d_loops(digit, filters, (1, 1), (1, 1, 1, 1), (1, 1), np.empty((1, 2, 28, 28)))  # (1, 2, 28, 28)

figure, axes = plt.subplots(1, 5, figsize=(12, 2.9), width_ratios=(2, 1, 2, 1, 2))
titles = ("the digit", "filter 1", "bright above, dark below", "filter 2", "bright left, dark right")
for ax, picture, title in zip(axes, (4 * digit[0, 0], down, edges[0, 0], down.T, edges[0, 1]), titles):
    ax.imshow(picture, cmap="Greys_r" if ax is axes[0] else "RdBu", vmin=0 if ax is axes[0] else -4, vmax=4)
    ax.set(xticks=[], yticks=[], title=title)
show(figure, "A 7, and what two edge filters answer: one marks its bar, red above and blue below, the other its stem.")

# %% [markdown]
# Blue is positive, red negative. The bar answers to filter 1, blue on its lower edge, where it is bright above and dark
# below; the stem answers to filter 2. Strictly, this is *cross-correlation*: a convolution first turns the filter by
# half a circle. Where weights are learned, that only changes which is stored where, so networks leave it out.
#
# ## How large is the output?
#
# A filter of $R$ rows starts at row $0, s, 2s, \dots$ of the padded image, while its last row is inside. That makes
# $P = \lfloor (H + \text{top} + \text{bottom} - R)/s \rfloor + 1$ rows. **Predict:** 28 pixels, three times through
# 4 x 4 taps with stride 2: padding 1, then 2, then 1.

# %%
size = 28
for padding in (1, 2, 1):
    padded, size = size + 2 * padding, (size + 2 * padding - 4) // 2 + 1
    print(f"{padded} pixels, padding included, 4 taps, stride 2: {size}")
    assert size == sum(start + 4 <= padded for start in range(0, padded, 2))
discriminator = recipes.build(recipes.chaudhary2024, 0)[1].eval()  # has these layers, then one that covers the rest
assert discriminator[8].weight.shape[2:] == (size, size)

# %% [markdown]
# ## The same as a matrix product
#
# Copy what each place sees into a column, a row for every tap (*im2col*, image to columns), write each filter as a
# row, and all outputs are one matrix product. With the taps in the outer loop, each copy is one slice:


# %%
def patch_matrix(x, kernel, out_size, stride, padding):
    left, right, top, bottom = padding
    frame = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    patches = np.empty((*x.shape[:2], *kernel, *out_size), x.dtype)  # (N, C, R, S, P, Q)
    for i, j in np.ndindex(*kernel):
        rows = frame[:, :, i : i + stride[0] * (out_size[0] - 1) + 1 : stride[0]]  # (N, C, P, padded W)
        patches[:, :, i, j] = rows[..., j : j + stride[1] * (out_size[1] - 1) + 1 : stride[1]]
    return patches.reshape(len(x), -1, out_size[0] * out_size[1])  # (N, C R S, P Q)


def conv2d_matrix(x, weight, stride, padding, dilation, out):
    assert dilation == (1, 1)
    patches = patch_matrix(x, weight.shape[2:], out.shape[2:], stride, padding)  # (N, C R S, P Q)
    out[...] = (weight.reshape(len(weight), -1) @ patches).reshape(out.shape)  # (N, K, P, Q)
    return out


# %% [markdown]
# **Predict:** for the discriminator's second layer, the loops take about half a microsecond a product. How many times
# faster is the matrix, and how many times the library's kernel?

# %%
rng = np.random.default_rng(0)
x = rng.random((1, 28, 14, 14), np.float32)
weight = rng.normal(size=(length(56, 8), 28, 4, 4)).astype(np.float32)
kernel_of = {"loops": conv2d_loops, "matrix": conv2d_matrix, "library": kernels.for_device("cpu").conv2d}
results, seconds = {}, {}
for name, kernel in kernel_of.items():
    results[name] = np.empty((1, len(weight), 8, 8), np.float32)
    call = partial(kernel, x, weight, (2, 2), (2, 2, 2, 2), (1, 1), results[name])
    seconds[name] = min(timeit.repeat(call, number=1, repeat=1 if name == "loops" else 50))
    print(f"{name:8}{1e3 * seconds[name]:10.2f} ms, {seconds['loops'] / seconds[name]:8.0f} times as fast as the loops")
    assert np.allclose(results[name], results["loops"], rtol=1e-4, atol=1e-3)
    assert seconds[name] <= seconds["loops"]

# %% [markdown]
# The same numbers to about six digits (they are added in another order), thousands of times as fast where nothing else
# runs, and not one product less: the time went into Python's finding of each number. The matrix has its price: each
# pixel is stored once for each tap that meets it, here 4 times. Lesson 17 shows how the library's kernel avoids that.
#
# ## Your own kernel in the library
#
# `kernels.use` puts a function with the same arguments in a kernel's place. Plug in the mathematician's convolution,
# its filters turned. **Predict:** does the discriminator complain? Does `gradcheck`?


# %%
def conv2d_turned(x, weight, *arguments):
    return conv2d_matrix(x, weight[:, :, ::-1, ::-1], *arguments)


image, w = (Tensor(rng.normal(size=s), requires_grad=True) for s in ((2, 3, 6, 6), (4, 3, 3, 3)))
for mine in (conv2d_matrix, conv2d_turned):
    with kernels.use(conv2d=mine):
        print(mine.__name__, "probabilities", discriminator(Tensor(digits[:4])).numpy().ravel())
        try:
            checked = gradcheck(lambda image, w: conv.conv2d(image, w, stride=2, padding=1), [image, w])
        except GradcheckError as error:
            checked = print(str(error)[:109])
    assert bool(checked) == (mine is conv2d_matrix)

# %% [markdown]
# The forward pass looks healthy: shapes fit, and among random weights a turned filter is as good as another. But the
# gradients come from two other kernels, still those of the function that was replaced. They are the next lesson.
#
# ## Three questions
#
# 1. Which padding keeps an image's size for odd $R$ at stride 1? Why does none, alike on both sides, for even $R$?
# 2. What does a 1 x 1 convolution with stride 1 compute, and what is its patch matrix?
# 3. jeganathan2025 takes 64 channels of 14 x 14 pixels to 7 x 7 by 5 x 5 taps and stride 2. How many numbers are in the
#    patch matrix of one image, and how many times the image's own is that?
#
# The answers are in the [book](answers/07.md). **Exercise:** `lessons/exercises/ex07_convolution.py`.
