"""Exercise 17 by minigan: the benchmark's count of operations, and the kernels of the first rung and of the last."""

import numpy as np

from minigan.kernels.cpu import convolution, naive
from minigan.workloads import KernelCall

UNPADDED = (0, 0, 0, 0), (1, 1)  # padding, dilation


def gflops(weight_shape, out_shape, seconds):
    """By the count of the benchmark, which needs no more of the input than its shape."""
    frames = np.empty((out_shape[0], weight_shape[1], 1, 1))
    return KernelCall("conv2d", [frames, np.empty(weight_shape), *"...", np.empty(out_shape)]).flops / seconds / 1e9


def correlate(frames, weight, stride, out):
    """The naive kernel."""
    naive.conv2d(frames, weight, (stride, stride), *UNPADDED, out)


def to_lanes(weight):
    """NumPy's: the library's own turns part of the weights at a time, within its kernels."""
    return weight.transpose(1, 2, 3, 0).copy()


def correlate_lanes(frames, taps, stride, sums):
    """The kernel that the library chooses; it wants filters first."""
    out = np.empty((len(sums), sums.shape[3], *sums.shape[1:3]), sums.dtype)  # (N, K, P, Q)
    convolution.conv2d(frames, np.ascontiguousarray(taps.transpose(3, 0, 1, 2)), (stride, stride), *UNPADDED, out)
    sums[...] = out.transpose(0, 2, 3, 1)
