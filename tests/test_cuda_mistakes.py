"""Kernels with a planted mistake: the tests of the kernels must catch every one of them.

A mistake is a text of a `.cu` file and what stands in its place. What then must fail is the body of an ordinary
test, with arguments that a mistake of its kind shows with; without the mistake it must pass.
"""

import numpy as np
import pytest
import test_cuda_convolutions as convolutions
import test_cuda_kernels as others
from gpus import changed, emulated
from triples import REAL, convolution_of, with_batch

from minigan.kernels.cuda import emulation

F = np.float32
PADDED = convolution_of((2, 3, 7, 6), (5, 3, 3, 3), (2, 5, 7, 6), 1, (1,) * 4)
STRIDED = convolution_of((2, 9, 8, 8), (6, 9, 4, 4), (2, 6, 4, 4), 2, (1,) * 4)
MANY_PIXELS = convolution_of((9, 3, 9, 9), (5, 3, 3, 3), (9, 5, 9, 9), 1, (1,) * 4)  # enough that weights are packed
DEEP = with_batch(REAL["chaudhary2024 g.3"], 2)


def naive_convolution(case):
    convolutions.assert_agrees(emulated, case, F, convolutions.NAIVE)


def convolution(case, precision="float32"):
    with convolutions.precision(precision):
        rounding = 2 * convolutions.ROUNDING.get(precision, 0) + 1e-5
        convolutions.assert_agrees(emulated, case, F, tolerance=rounding)


def body(test):
    """The body of a test over drawn arguments, as a function of chosen ones."""
    return lambda **arguments: test.hypothesis.inner_test(gpu=emulated, **arguments)


adam = body(others.test_adam_equals_its_definition)
ADAM = dict(lengths=[3, 1100], dtype=F, eps=1e-3, epsilon_hat=False, scale=None, overflow=None)
activation = body(others.test_activations_equal_their_definitions)
normal = body(others.test_random_numbers_equal_their_definitions)
batch_norm = others.assert_batch_norms_agree

# what: (file, text, its replacement, test, arguments)
MISTAKES = {
    "the naive C leaves out the last channel": (
        "naive.cu", "for (int c = 0; c < s.channels; c++)", "for (int c = 0; c < s.channels - 1; c++)",
        naive_convolution, dict(case=PADDED),
    ),
    "the naive C pads by one too few": (
        "naive.cu", "if (h < 0 || h >= s.height", "if (h <= 0 || h >= s.height", naive_convolution, dict(case=PADDED),
    ),
    "the naive T takes a tap beyond the image": (
        "naive.cu", "if (p >= s.out_height ||", "if (p > s.out_height ||", naive_convolution, dict(case=STRIDED),
    ),
    "the naive G reads the next row": (
        "naive.cu", "y[((n * s.filters + k) * s.out_height + p) * s.out_width + q];",
        "y[((n * s.filters + k) * s.out_height + p) * s.out_width + q + (q > 0) - 1];",
        naive_convolution, dict(case=PADDED),
    ),
    "Adam's thread takes one element too few": (
        "adam.cu", "if (i >= size) break;", "if (i >= size - 1) break;", adam, ADAM,
    ),
    "Adam's correction is a step ahead": (
        "adam.cu", "*table.parameters[position].step + 1;", "*table.parameters[position].step + 2;", adam, ADAM,
    ),
    "Adam's threads do not wait for the step size": (
        "adam.cu", "    __syncthreads();\n", "", others.test_sums_have_the_same_bits_whichever_thread_is_first, {},
    ),
    "an element between two blocks is left out": (
        "map.cuh", "blockIdx.x * blockDim.x * EACH + threadIdx.x", "blockIdx.x * (blockDim.x * EACH + 1) + threadIdx.x",
        activation, dict(name="sigmoid_backward", size=2050, dtype=F),
    ),
    "the last of four elements is not computed": (
        "map.cuh", "if (i < size) values[k] = f(i);", "if (i < size - 1) values[k] = f(i);",
        activation, dict(name="tanh", size=1024, dtype=F),
    ),
    "the gradient of ReLU is passed on at 0": (
        "leaky_relu.cuh", "return x > 0 ? g :", "return x >= 0 ? g :",
        activation, dict(name="leaky_relu_backward", size=70, dtype=F),
    ),
    "a sum leaves out a pixel": (
        "normalization.cu", "place < count; place += size", "place < count - 1; place += size",
        batch_norm, dict(gpu=emulated, shape=(3, 2, 13), dtype=F, slope=0.2),
    ),
    "a step to the next row is wrong": (
        "normalization.cu", "(channels - 1) * pixels : 0", "pixels : 0",
        batch_norm, dict(gpu=emulated, shape=(100, 3, 13), dtype=F, slope=1.0),
    ),
    "threads do not wait for each other's sums": (
        "sums.cuh", "    __syncthreads();\n    return", "    return",
        batch_norm, dict(gpu=emulated, shape=(4, 2, 60), dtype=F, slope=1.0),
    ),
    "a round of Philox is missing": (
        "philox.cuh", "round < 10", "round < 9",
        normal, dict(seed=1, purpose=2, draw=3, size=5, dtype=F, in_memory=False),
    ),
    "the tail of an array is not drawn": (
        "philox.cuh", "if (first + k < size) array[first + k]", "if (first + k < size - 1) array[first + k]",
        normal, dict(seed=1, purpose=2, draw=3, size=5, dtype=F, in_memory=True),
    ),
    "an image is read at its neighbour's place": (
        "batches.cu", "order[begin + n]", "order[begin + n + 1]",
        body(others.test_gathered_images_equal_their_definition_and_count_on), dict(count=3, height=5, width=4),
    ),
    "C and T leave out the last channel of the result": (
        "correlate.cu", "if (k < c.out_channels) to[", "if (k < c.out_channels - 1) to[", convolution, dict(case=PADDED),
    ),
    "C and T leave out the image's last row": (
        "correlate.cu", "h < c.height &&", "h < c.height - 1 &&", convolution, dict(case=PADDED),
    ),
    "C and T leave out depths that do not fill eight": (
        "correlate.cu", "(CHUNK * taps + 7) / 8 * 8", "CHUNK * taps / 8 * 8", convolution, dict(case=PADDED),
    ),
    "C and T do not wait for copies": (
        "correlate.cu", "wait_for_copies<0>();", "wait_for_copies<1>();", convolution, dict(case=DEEP),
    ),
    "threads of C and T do not wait for each other": (
        "correlate.cu", "        __syncthreads();\n        if (step + ahead < steps)", "        if (step + ahead < steps)",
        convolution, dict(case=DEEP),
    ),
    "the padding is not set to zero": (
        "correlate.cu", "channel_place(k % CHUNK) + at] = 0.0f;", "channel_place(k % CHUNK) + at];", convolution, dict(case=PADDED),
    ),
    "G leaves out the last filter": (
        "weight.cu", "if (filter < w.filters) to[", "if (filter < w.filters - 1) to[", convolution, dict(case=STRIDED),
    ),
    "threads of G do not wait for each other": (
        "weight.cu", "        __syncthreads();\n        if (piece + 1 < last)", "        if (piece + 1 < last)",
        convolution, dict(case=DEEP),
    ),
    "G does not wait for copies": (
        "weight.cu", "wait_for_copies<0>();", "wait_for_copies<1>();", convolution, dict(case=DEEP),
    ),
    "a weight of the last channel is left out": (
        "parts.cu", "channel < channels && tap", "channel < channels - 1 && tap", convolution, dict(case=MANY_PIXELS),
    ),
    "a part of a sum is left out": (
        "parts.cu", "part < parts; part++", "part < parts - 1; part++", convolution, dict(case=DEEP),
    ),
    "a lane of float32 takes its neighbour's depth": (
        "tile.cuh", "k == 1 ? b[j].y", "k == 1 ? b[j].x", convolution, dict(case=PADDED),
    ),
    "a lane of the tensor cores takes a row twice": (
        "tile.cuh", "a[i][1] = left(2 * i + 1, first)", "a[i][1] = left(2 * i, first)",
        convolution, dict(case=DEEP, precision="tf32"),
    ),
    "bfloat16 is cut off, not rounded": (
        "tensor_core.cuh", "0x7fff + (u >> 16 & 1)", "0", convolution, dict(case=DEEP, precision="bf16"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_is_caught(mistake):
    file, old, new, test, arguments = MISTAKES[mistake]
    test(**arguments)
    with changed(file, old, new), pytest.raises(AssertionError):
        test(**arguments)


DIVERGED = """
extern "C" __global__ void half(float *out) {
    if (threadIdx.x < 16) __syncthreads();
    out[threadIdx.x] = threadIdx.x;
}
"""


def test_a_barrier_that_some_threads_do_not_reach_is_reported():
    with emulated() as xp:
        out = xp.zeros(64, np.float32)
        half = emulation.RawModule(xp, DIVERGED, ()).get_function("half")
        for _ in range(2):
            with pytest.raises(RuntimeError, match="half: .*different barriers"):
                half((1, 1, 1), (64, 1, 1), (out,))
        half((1, 1, 1), (16, 1, 1), (out,))
        np.testing.assert_array_equal(out.get()[:16], range(16))
