"""The convolution triple on the GPU: shapes and geometry turned into launches.

float32 goes to the products of matrices in `correlate.cu` (C and T) and `weight.cu` (G), in the precision chosen
here; float64, and what does not fit into shared memory, to `naive.cu`.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from minigan.kernels.cuda import correlation, loader, weight_gradient

PRECISIONS = {"float32": 0, "tf32": 1, "bf16": 2, "fp16": 3}  # as in tile.cuh and tensor_core.cuh
_precision = "float32"


def set_precision(name):
    """The precision in which products of float32 are computed from now on: one of PRECISIONS; sums are float32's."""
    global _precision
    if name not in PRECISIONS:
        raise ValueError(f"precision is one of {', '.join(PRECISIONS)}, not {name!r}")
    _precision = name


def precision():
    """The precision in use."""
    return _precision


class Shapes(NamedTuple):
    """Those of one triple: x (N, C, H, W), w (K, C, R, S), y (N, K, P, Q)."""

    x: tuple
    w: tuple
    y: tuple


def conv2d(x, weight, stride, padding, dilation, out):
    """As `reference.conv2d`."""
    _run("conv2d", Shapes(x.shape, weight.shape, out.shape), (stride, padding, dilation), x, weight, out)
    return out


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """As `reference.conv_transpose2d`."""
    _run("conv_transpose2d", Shapes(out.shape, weight.shape, y.shape), (stride, padding, dilation), y, weight, out)
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """As `reference.conv2d_weight`."""
    _run("conv2d_weight", Shapes(x.shape, out.shape, y.shape), (stride, padding, dilation), x, y, out)
    return out


def _run(name, shapes, geometry, first, second, out):
    plan = _plan(name, shapes, geometry, out.dtype, PRECISIONS[_precision], loader.device())
    plan(first, second, out)


def algorithm(name, shapes, geometry, dtype):
    """The `.cu` file that does it, without its ending."""
    return _plan(name, shapes, geometry, np.dtype(dtype), PRECISIONS[_precision], loader.device()).algorithm


@functools.lru_cache(4096)
def _plan(name, shapes, geometry, dtype, precision, device):
    """The launches for these shapes, worked out once: a function of (first, second, out)."""
    for size in map(math.prod, shapes):
        loader.check_int(size)
    if dtype == np.float32:
        shapes, geometry = _as_dense(shapes, geometry)
        make = weight_gradient.plan if name == "conv2d_weight" else functools.partial(correlation.plan, name)
        plan = make(shapes, *geometry, precision, device)
        if plan is not None:
            return plan
    return Naive(name, shapes, geometry, dtype)


def _as_dense(shapes, geometry):
    """A kernel that covers the whole image at one place only is a matrix product: a 1 x 1 kernel on more channels."""
    x, w, y = shapes
    if y[2:] == (1, 1) and x[2:] == w[2:] and geometry[1] == (0, 0, 0, 0):
        channels = x[1] * x[2] * x[3]
        return Shapes((x[0], channels, 1, 1), (w[0], channels, 1, 1), y), ((1, 1), (0, 0, 0, 0), (1, 1))
    return shapes, geometry


class Naive:
    """One thread for each number of the result."""

    algorithm = "naive"

    def __init__(self, name, shapes, geometry, dtype):
        (n, c, h, v), (k, _, r, s), (_, _, p, q) = shapes
        stride, (left, _, top, _), dilation = geometry
        self.name, self.number = f"naive_{name}", "double" if dtype == np.float64 else "float"
        self.struct = np.array([n, c, h, v, k, r, s, p, q, *stride, left, top, *dilation], np.int32)

    def __call__(self, first, second, out):
        blocks = -(-out.size // 256)
        loader.run("naive.cu", self.name, blocks, 256, first, second, out, self.struct, NUMBER=self.number)
