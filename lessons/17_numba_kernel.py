# %% [markdown]
# # 17. A fast kernel, rung by rung
#
# **Objective.** After this lesson you can say how fast a loop may run on your machine, measure how fast it does, and
# take the steps between: compile it, order its loops for the vector registers, keep its sums there, multiply less.
#
# **You need** lesson 7. *5 seconds.*
#
# **In the library:** `kernels/cpu/`, in the order `naive.py`, `im2col.py`, `tile.py`, `direct.py`, `winograd.py`,
# `convolution.py`. **Follows:** Goto and van de Geijn, *Anatomy of High-Performance Matrix Multiplication* (2008),
# section 4; Lavin and Gray, *Fast Algorithms for Convolutional Neural Networks* (2016).

# %%
import os
import re
import timeit
from functools import partial

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is imported: one core for every rung but the last
import matplotlib.pyplot as plt
import numpy as np
from minigan.kernels.cpu import convolution, direct, im2col, naive, winograd
from numba import config, njit, set_num_threads
from page import length, show

# %% [markdown]
# ## The work, and the ceiling
#
# A layer of chaudhary2024's discriminator: 28 channels of 14 x 14 pixels to 56 of 8 x 8, by 4 x 4 taps and stride 2. An
# output takes $28\cdot 4\cdot 4$ multiplications and as many additions, an image 3.2 million operations. Rates are in
# billions a second, GFLOP/s. The ceiling is a large matrix product: it keeps every *lane* of the vector registers
# busy, of which one instruction multiplies and adds 4 to 16 at a time. For now, everything runs on one core.


# %%
def seconds_of(function):
    """Seconds of the first call, which may compile, and of the fastest of the others."""
    times = timeit.repeat(function, number=1, repeat=length(9, 5))
    if sum(times) < 0.2:  # short ones need luck on a machine that does other things, too
        times += timeit.repeat(function, number=1, repeat=length(100, 5))
    return times[0], min(times[1:])


set_num_threads(1)
rng = np.random.default_rng(0)
a, b = rng.random((2, 512, 512), np.float32)
ceiling = 2 * 512**3 / seconds_of(lambda: a @ b)[1] / 1e9
print(f"a large matrix product on one core: {ceiling:.0f} GFLOP/s")

# %% [markdown]
# ## The definition, in Python and compiled
#
# **Predict:** how many GFLOP/s do these loops reach in Python? And compiled, if a clock cycle takes 0.3 nanoseconds,
# and an addition 3 to 4 cycles, since it has to wait for the sum so far?


# %%
def definition(frames, weight, out):
    for n in range(out.shape[0]):
        for k in range(out.shape[1]):
            for p in range(out.shape[2]):
                for q in range(out.shape[3]):
                    total = np.float32(0)
                    for c in range(weight.shape[1]):
                        for i in range(weight.shape[2]):
                            for j in range(weight.shape[3]):
                                total += frames[n, c, 2 * p + i, 2 * q + j] * weight[k, c, i, j]
                    out[n, k, p, q] = total


x = rng.random((length(32, 4), 28, 14, 14), np.float32)
weight = rng.normal(size=(56, 28, 4, 4)).astype(np.float32)
frames = np.pad(x, ((0, 0), (0, 0), (2, 2), (2, 2)))  # (N, C, 18, 18), so that no loop tests for the border
expected = naive.conv2d(x, weight, (2, 2), (2, 2, 2, 2), (1, 1), np.empty((len(x), 56, 8, 8), np.float32))
rates = {}


def rung(name, function, out):
    """Measures and checks `function`, which writes `out`: (N, K, P, Q), or its first images and filters."""
    first, best = seconds_of(function)
    rates[name] = 2 * out.size * weight[0].size / best / 1e9
    print(f"{name:36} {rates[name]:9.3f} GFLOP/s, first call {first:.2f} s")
    assert np.allclose(out, expected[: out.shape[0], : out.shape[1]], rtol=1e-3, atol=1e-2)


compiled, out = njit(definition), np.empty_like(expected)
rung("Python", lambda: definition(frames[:1], weight[:1], out[:1, :1]), out[:1, :1])
rung("compiled", lambda: compiled(frames, weight, out), out)
assert rates["compiled"] > 20 * rates["Python"]

# %% [markdown]
# The same text, hundreds of times as fast (the first call compiled it). Two operations in 3 to 4 cycles are about 2
# GFLOP/s. The compiler may not add in another order, which would round to another sum, so all lanes but one are idle.
#
# ## A loop for the lanes
#
# Let the innermost loop be one where nothing waits: over the *filters*. A pixel meets a row of weights, one of each
# filter, and the products go to a row of sums; with filters last, rows lie together in memory. **Predict:** how much
# faster is it, with up to 16 lanes?


# %%
def filters_last(frames, taps, sums):
    for n in range(len(frames)):
        for p in range(sums.shape[1]):
            for q in range(sums.shape[2]):
                sums[n, p, q] = 0
                for c in range(taps.shape[0]):
                    for i in range(taps.shape[1]):
                        for j in range(taps.shape[2]):
                            pixel = frames[n, c, 2 * p + i, 2 * q + j]
                            for k in range(taps.shape[3]):
                                sums[n, p, q, k] += pixel * taps[c, i, j, k]


taps = np.ascontiguousarray(weight.transpose(1, 2, 3, 0))  # (C, R, S, K)
sums = np.empty((len(x), 8, 8, 56), np.float32)  # (N, P, Q, K)
lanes = njit(filters_last)
rung("filters innermost", lambda: lanes(frames, taps, sums), sums.transpose(0, 3, 1, 2))
assert rates["filters innermost"] > rates["compiled"]
for name, function in (("compiled", compiled), ("filters innermost", lanes)):
    print(name, "adds vectors:", set(re.findall(r"fadd (<.*?>)", function.inspect_llvm(function.signatures[0]))))

# %% [markdown]
# About ten times as fast, not 16: each product loads its sum from the cache and stores it again.
#
# ## Keep sums in registers; multiply less
#
# The rest is done by the library's rungs. `im2col.py` is lesson 7's patch matrix and NumPy's matrix product.
# `direct.py` makes patches in pieces that stay in the cache, and multiplies them by `tile.py`: 4 x 4 registers of sums
# take all their products before they are stored, once, as in Goto and van de Geijn's kernel. `winograd.py` has fewer
# products: images and filters are evaluated, like polynomials, at some points, multiplied there, and brought back; $m$
# outputs of $r$ taps take $m+r-1$ points, not $mr$ products. `convolution.py` chooses by the shapes.
#
# **Predict:** which rungs come near the ceiling? Can one pass it?

# %%
geometry = (2, 2), (2, 2, 2, 2), (1, 1)  # stride, padding, dilation
for module in (naive, im2col, direct, winograd):
    rung(module.__name__.split(".")[-1] + ".py", partial(module.conv2d, x, weight, *geometry, out), out)
assert rates["direct.py"] > 2 * rates["naive.py"]
set_num_threads(config.NUMBA_NUM_THREADS)
rung("convolution.py, all cores", partial(convolution.conv2d, x, weight, *geometry, out), out)
print(convolution.algorithm("conv2d", x.shape, weight.shape, out.shape, *geometry, x.dtype).__name__, "was chosen")
points = winograd.products(x.shape, weight.shape, out.shape, (2, 2))[0]
print(f"winograd.py has {points / (out.size * weight[0].size):.0%} of the products")

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
bars = axes.barh(list(rates), rates.values(), color=3 * ["tab:orange"] + 4 * ["tab:blue"] + ["tab:cyan"])
white = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
axes.bar_label(bars, [f"{rate:.2g}" if rate < 10 else f"{rate:.0f}" for rate in rates.values()], padding=4, bbox=white)
axes.axvline(ceiling, color="black", linestyle="--", zorder=0)
axes.set(title=f"Dashed: a matrix product on one core, {ceiling:.0f} GFLOP/s", xscale="log", xlim=(1e-3, 2e3))
axes.set_xlabel("GFLOP/s of the definition, logarithmic")
axes.invert_yaxis()
show(figure, "Bars of GFLOP/s, logarithmic: thousandths in Python, 1 to 2 compiled, 20 by lanes, 70 in direct.py.")

# %% [markdown]
# All rates count the definition's operations, so an algorithm that does with fewer may pass the ceiling: it multiplies
# less, not faster. It pays with rounding and with the way to the points and back; for few images that costs more than
# it saves, and `direct.py` is chosen. All cores help if they are free: if another program holds one, the others wait. A
# first call takes longer than thousands of images, so the library compiles once and keeps the result (`cache=True`).
#
# ## Three questions
#
# 1. How could the compiled definition have more additions under way at a time, the loops in the same order?
# 2. How many bytes does the patch matrix of this layer have for 64 images, and how many operations are done for each?
# 3. Why does `tile.py` hold 4 x 4 registers of sums, not 1 x 16?
#
# The answers are in the [book](answers/17.md). **Exercise:** `lessons/exercises/ex17_numba_kernel.py`.
