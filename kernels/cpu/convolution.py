"""The convolution triple on the CPU: each call goes to the algorithm that should be faster for its shapes.

Small batches and shapes that minimal filtering does not fit, and all of float64, are computed
directly; large batches of float32 by minimal filtering, which needs a third to a tenth of the products.
"""

import functools

import numpy as np

from minigan.kernels.cpu import dense, direct, winograd

MAX_POINTS = 11  # of an axis: more would cost accuracy (see kernels/winograd.py)
# What it costs to bring one number to the points or back, in multiply-adds, and how much better than
# the direct way minimal filtering must look. Both were measured on the recipes' layers.
TRANSFORM = 20
MARGIN = 0.8


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight), the cross-correlation; as `reference.conv2d`."""
    algorithm = _choose(x.shape, weight.shape, out.shape, stride, padding, dilation, x.dtype)
    if algorithm is dense:
        return dense.conv2d(x, weight, out)
    if algorithm is winograd:
        return winograd.conv2d(x, weight, stride, padding, out)
    return direct.conv2d(x, weight, stride, padding, dilation, out)


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight), the adjoint of C in x; as `reference.conv_transpose2d`."""
    algorithm = _choose(out.shape, weight.shape, y.shape, stride, padding, dilation, y.dtype)
    if algorithm is dense:
        return dense.conv_transpose2d(y, weight, out)
    if algorithm is winograd:
        return winograd.conv_transpose2d(y, weight, stride, padding, out)
    return direct.conv_transpose2d(y, weight, stride, padding, dilation, out)


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y), the adjoint of C in weight; as `reference.conv2d_weight`."""
    algorithm = _choose(x.shape, out.shape, y.shape, stride, padding, dilation, x.dtype)
    if algorithm is dense:
        return dense.conv2d_weight(x, y, out)
    if algorithm is winograd:
        return winograd.conv2d_weight(x, y, stride, padding, out)
    return direct.conv2d_weight(x, y, stride, padding, dilation, out)


@functools.cache
def _choose(x, weight, y, stride, padding, dilation, dtype):
    """The module whose kernels should be fastest for arrays of these shapes."""
    if dtype != np.float32:
        return direct
    if dense.fits(x, weight, y, padding):
        return dense
    (batch, channels), (filters, _, *taps), outputs = x[:2], weight, y[2:]
    points = [length + -(-r // step) - 1 for length, r, step in zip(outputs, taps, stride)]
    if dilation != (1, 1) or max(points) > MAX_POINTS:
        return direct
    depth, points = channels * stride[0] * stride[1], points[0] * points[1]
    transformed = batch * depth + filters * depth + batch * filters
    minimal = points * (batch * depth * filters + TRANSFORM * transformed)
    plain = batch * outputs[0] * outputs[1] * filters * channels * taps[0] * taps[1]
    return winograd if minimal < MARGIN * plain else direct
