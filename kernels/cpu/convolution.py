"""The convolution triple on the CPU: each call goes to the algorithm that should be faster for its shapes.

naive, im2col  the first rungs of the ladder, to learn from: never chosen
direct         every shape, and all of float64
dense          the taps cover the whole input: a matrix product
few_channels   images of one or a few channels
winograd       large batches: minimal filtering needs two fifths to a seventh of the products
"""

import functools
import math

import numpy as np

from minigan.kernels.cpu import dense, direct, few_channels, winograd
from minigan.kernels.cpu.precision import in_precision

MAX_OUTPUTS = 16  # along an axis: minimal filtering keeps the weights of every point of a plane
# Multiply-adds in whose time a number is brought to the points or back, measured on the recipes'
# layers; it takes longer where the points of the weights do not fit the last level of cache.
TRANSFORM, FAR_TRANSFORM = 14, 42
CACHE_BYTES = 16 << 20


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight), the cross-correlation; as `reference.conv2d`."""
    geometry = stride, padding, dilation
    module = algorithm("conv2d", x.shape, weight.shape, out.shape, *geometry, x.dtype)
    return module.conv2d(in_precision(x), in_precision(weight), *geometry, out)


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight), the adjoint of C in x; as `reference.conv_transpose2d`."""
    geometry = stride, padding, dilation
    module = algorithm("conv_transpose2d", out.shape, weight.shape, y.shape, *geometry, y.dtype)
    y, weight = in_precision(y), in_precision(weight)
    # few_channels, which has none, is never chosen for it.
    return module.conv_transpose2d(y, weight, *geometry, out)  # pyright: ignore[reportAttributeAccessIssue]


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y), the adjoint of C in weight; as `reference.conv2d_weight`."""
    geometry = stride, padding, dilation
    module = algorithm("conv2d_weight", x.shape, out.shape, y.shape, *geometry, x.dtype)
    return module.conv2d_weight(in_precision(x), in_precision(y), *geometry, out)


@functools.cache
def algorithm(kernel, x, weight, y, stride, padding, dilation, dtype):
    """The module whose function `kernel` should be fastest for arrays of these shapes and this dtype."""
    if dtype != np.float32:
        return direct
    if dense.fits(x, weight, y, padding):
        return dense
    if few_channels.fits(kernel, x, weight, y):
        return few_channels
    if dilation != (1, 1) or max(y[2:]) > MAX_OUTPUTS:
        return direct
    minimal, images, weights = winograd.products(x, weight, y, stride)
    of_weights = TRANSFORM if 4 * weights < CACHE_BYTES else FAR_TRANSFORM
    plain = math.prod(y) * math.prod(weight[1:])
    return winograd if minimal + TRANSFORM * images + of_weights * weights < plain else direct
