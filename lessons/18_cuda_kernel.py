# %% [markdown]
# # 18. A CUDA kernel, read and run
#
# **Objective.** After this lesson you can read a CUDA kernel, say which thread computes what, find a missing barrier,
# and say why the order of memory accesses decides the speed.
#
# **You need** lessons 8 and 17, and to read a little C. *3 seconds; the first time 10 more, to compile.*
#
# **In the library:** `kernels/cuda/`: `loader.py` (compiles and launches), `naive.cu` (the convolution as defined),
# `on_cpu.h` (a GPU's threads, played by a CPU). **Follows:** NVIDIA, *CUDA C++ Programming Guide*, chapters
# "Programming Model" (threads, memory) and "Performance Guidelines" (device memory accesses).

# %%
import contextlib
import os
import shutil

import matplotlib.pyplot as plt
import numpy as np
from page import show

from minigan import backend, random, recipes
from minigan.kernels import cuda, reference
from minigan.kernels.cuda import emulation, loader
from minigan.tensor import Tensor, grad

no_gpu, compiler = backend.why_no_gpu(), os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
print("GPU:", no_gpu or backend.gpu_name(), "\nC++ compiler:", compiler or "none found: install g++ and run this again")
if no_gpu and not compiler:
    raise SystemExit(0)
gpu = emulation.active if no_gpu else contextlib.nullcontext  # `with gpu():` a GPU, yours or emulated

# %% [markdown]
# ## One thread for each output
#
# A kernel is a C function that very many *threads* run at once, in *blocks* of `blockDim` (at most 1024) threads. From
# `threadIdx` and `blockIdx` a thread works out which element is its own. **Predict** for the leaky ReLU of 1000
# numbers: how many blocks of 256 does it take, and how many threads idle?

# %%
LEAKY = """extern "C" __global__ void leaky(int size, const float *x, float slope, float *y) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}"""


def run(source, name, blocks, threads, *arguments, **emulated):
    """Compiles the source and launches its kernel; returns its last argument, an array, as the kernel leaves it."""
    with emulation.active(**emulated) if emulated else gpu():
        xp = loader.arrays()  # CuPy, or its stand-in
        arguments = [xp.asarray(a) if isinstance(a, np.ndarray) else a for a in arguments]
        kernel = xp.RawModule(code=source, options=("-std=c++17",)).get_function(name)
        kernel((blocks, 1, 1), (threads, 1, 1), tuple(arguments))
        return arguments[-1].get()


x = np.random.default_rng(0).standard_normal(1000, np.float32)
y = run(LEAKY, "leaky", 4, 256, np.int32(x.size), x, np.float32(0.2), np.zeros_like(x))
assert np.array_equal(y, np.where(x > 0, x, np.float32(0.2) * x))

# %% [markdown]
# 24 of 1024 threads have no element; without `i < size` they would write to memory of others. The launch is the loop,
# in no promised order. `on_cpu.h` makes every thread a *fiber*, a call with a stack of its own; they run one by one.
#
# ## The convolution, as it is defined
#
# **Predict** what a thread of a convolution does: which number is its own, over what does it loop?

# %%
print(loader.source("naive.cu").split("// y = C(x, w).\n")[1].split("\n// x = T")[0])
rng, out = np.random.default_rng(1), np.empty((2, 5, 14, 14))  # float64, which naive.cu computes
arrays = rng.standard_normal((2, 3, 28, 28)), rng.standard_normal((5, 3, 4, 4)), (2, 2), (1, 1, 1, 1), (1, 1), out
expected = reference.conv2d(*arrays)  # images, weight, stride, padding, dilation, out
with gpu():
    put = loader.arrays().asarray
    found = cuda.conv2d(*(put(a) if isinstance(a, np.ndarray) else a for a in arrays)).get()
print(f"{found.size} threads; largest difference from reference.py {abs(found - expected).max():.0e}")
assert np.allclose(found, expected, rtol=0, atol=1e-11)

# %% [markdown]
# The thread takes its index apart into image $n$, filter $k$, row $p$, column $q$; the three loops are those of lesson
# 7. Right, and slow: every product reads two numbers, neighbours almost the same ones. In the fast kernels
# (`correlate.cu`, `weight.cu`) a block fetches what its threads need once, into *shared memory*, which all can read.
#
# ## A sum in shared memory, and its barriers
#
# Each thread puts down one number; then 128 threads each add one of the other 128, then 64, and so on, in 8 rounds.
# `__syncthreads()` is a *barrier*: no thread of the block passes before all have come. **Predict:** without that of the
# round, what is the sum of 256 ones if thread 0 always runs first? If it runs last (`backwards=True`)?

# %%
SUM = """extern "C" __global__ void block_sum(const float *x, float *sums) {
    __shared__ float part[256];
    int t = threadIdx.x;
    part[t] = x[blockIdx.x * 256 + t];
    __syncthreads();
    for (int half = 128; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();  // of the round
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}"""
HASTY = SUM.replace("        __syncthreads();  // of the round\n", "")
ones, zeros = np.ones(1024, np.float32), np.zeros(4, np.float32)
assert (run(SUM, "block_sum", 4, 256, ones, zeros) == 256).all()  # the barriers make the order irrelevant
for backwards in (False, True) if compiler else ():  # only the emulation can choose the order
    right, wrong = (run(s, "block_sum", 4, 256, ones, zeros, backwards=backwards) for s in (SUM, HASTY))
    print(f"thread 0 {'last ' if backwards else 'first'}: all barriers {right}, one missing {wrong}")
    assert (right == 256).all() and (wrong == (256 if backwards else 9)).all()
if compiler:
    try:
        raise AssertionError(run(HASTY, "block_sum", 4, 256, ones, zeros, watched=True))
    except RuntimeError as race:
        print(race)

# %% [markdown]
# Thread 0 first: it runs through its 8 rounds before anyone has added anything, and finds $1+8$ ones. Last: every
# partner is done, and the kernel with the mistake is *right*. That is the danger: on a GPU the hardware chooses the
# order. `watched`, the emulation names two threads that no barrier keeps apart, in any order (`watch.h`). A barrier
# inside `if (t < half)` is wrong, too: some never come, and a GPU may hang. The emulation says so.
#
# ## In which order memory is read
#
# 32 threads in a row are a *warp* and load together. Memory answers in sectors of 32 bytes (8 floats), and a load costs
# as many as the warp's addresses fall into. **Predict** how many, if thread $t$ reads float $t$; $2t$; $4t$; $28t$.

# %%
thread, counts = np.arange(32), []
figure, axes = plt.subplots(1, 4, figsize=(10, 4), sharey=True)
for ax, step, name in zip(axes, (1, 2, 4, 28), ("neighbours", "stride 2", "four in a row each", "down a column")):
    memory = np.zeros((28 * 4, 8))  # sectors of 8 floats
    memory[step * thread // 8] = 0.35  # fetched
    memory.flat[step * thread] = 1.0  # wanted
    counts.append(len(set(step * thread // 8)))
    ax.imshow(memory.reshape(28, 32), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    ax.set(title=f"thread t: float {step}t\n{name}\n{counts[-1]} sectors", xlabel="float in the line")
figure.suptitle("What threads t of a warp want (dark) and what is fetched (light); rows: 128 bytes of memory", y=1.1)
show(figure, "Memory as 28 lines, for four patterns: neighbours use 4 sectors in full, a column one float each of 32.")
assert counts == [4, 8, 16, 32]

# %% [markdown]
# The same 128 bytes are wanted, up to eight times as many are moved. Accesses that share sectors are *coalesced*: so
# in `map.cuh` a thread's four elements lie a block's width apart, not side by side as one would have it on a CPU.
#
# ## Gather, do not scatter; and the whole library on it
#
# Lesson 8 told the transposed convolution as a scatter: each input adds its stamp to the output. With a thread for
# each input, two would add to one number at once. CUDA's `atomicAdd` keeps them apart, but in an order that changes
# from run to run, and a float sum depends on its order (below). So `naive_conv_transpose2d` gathers: a thread for each
# *output* seeks the inputs that reach it and adds them in the order of its loops. The same bits every run. All of
# autograd runs on such kernels: **predict** to how many digits a discriminator's gradients agree with the CPU's.

# %%
sums = {float(np.cumsum(rng.permutation(x))[-1]) for _ in range(100)}  # cumsum adds one after another
print(f"100 orders of 1000 numbers: {len(sums)} sums, {min(sums):.5f} to {max(sums):.5f}")
gradients = []
for device in ("cpu", "gpu"):
    with gpu():
        network = recipes.build(recipes.chaudhary2024, seed=0)[1].to(device)
        real = Tensor(random.Generator(1).normal((2, 1, 28, 28))).to(device)
        gradients.append([g.numpy() for g in grad(-network(real).log().mean(), list(network.parameters()))])
worst = max(abs(a - b).max() / abs(a).max() for a, b in zip(*gradients))
print(f"{len(gradients[0])} gradients, largest difference {worst:.1e} of the largest entry")
assert len(sums) > 5 and worst < 1e-3

# %% [markdown]
# Five or six digits: float32, summed in another order.
#
# ## Three questions
#
# 1. How many threads of `naive_conv2d`, in blocks of 256, have nothing to do for a result of (2, 5, 14, 14)?
# 2. Of `block_sum` only the *first* barrier is missing, and thread 0 runs first. What can it read?
# 3. A warp of `naive_conv2d` computes outputs with stride 2, rows of 14. How many sectors does a load of `x` take?
#
# The answers are in the [book](answers/18.md). **Exercise:** `lessons/exercises/ex18_cuda_kernel.py`.
