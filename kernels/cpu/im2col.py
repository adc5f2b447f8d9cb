"""The convolution triple as matrix products of a patch matrix: the second rung of the ladder.

The taps that each output pixel sees are copied side by side ("im2col"; Chellapilla, Puri and Simard,
"High Performance Convolutional Neural Networks for Document Processing", 2006), so that the loops
become what every machine has a fast program for. With W as a matrix (K, C R S), per image:

    C   y = W patches(x)        T   x = fold(W^T y)        G   w = sum over images of y patches(x)^T

Fold is the adjoint of patches: each pixel gathers its copies. What still makes it slow: the matrix
holds R S copies of the images, which are written to memory, read once, and thrown away. `direct.py`,
the next rung, makes the same matrix in pieces that never leave the cache.
"""

import numpy as np
from numba import njit, prange

from minigan.kernels import pool
from minigan.kernels.launch import contiguous, launch


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight), the cross-correlation; as `reference.conv2d`."""
    columns = _patches(x, weight.shape, out.shape, stride, padding, dilation)  # (N, C R S, P Q)
    launch(np.matmul, _matrix(weight), columns, out.reshape(*out.shape[:2], -1))
    return out


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight), the adjoint of C in x; as `reference.conv_transpose2d`."""
    batch, filters, height, width = y.shape
    columns = pool.empty((batch, weight[0].size, height * width), y.dtype)  # (N, C R S, P Q)
    launch(np.matmul, _matrix(weight).T, contiguous(y).reshape(batch, filters, -1), columns)
    launch(_fold, columns, *weight.shape[2:], height, width, stride, padding, dilation, out)
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y), the adjoint of C in weight; as `reference.conv2d_weight`."""
    columns = _patches(x, out.shape, y.shape, stride, padding, dilation)  # (N, C R S, P Q)
    y = contiguous(y).reshape(*y.shape[:2], -1)  # (N, K, P Q)
    products = pool.empty((len(y), len(out), out[0].size), x.dtype)  # (N, K, C R S)
    launch(np.matmul, y, columns.transpose(0, 2, 1), products)
    launch(np.sum, products, 0, None, _matrix(out))
    return out


def _matrix(weight):
    return contiguous(weight).reshape(len(weight), -1)  # (K, C R S)


def _patches(x, weight_shape, y_shape, stride, padding, dilation):
    """The patch matrix of each image (N, C R S, P Q)."""
    _, channels, *kernel = weight_shape
    columns = pool.empty((len(x), channels * kernel[0] * kernel[1], y_shape[2] * y_shape[3]), x.dtype)
    launch(_copy_patches, contiguous(x), *kernel, *y_shape[2:], stride, padding, dilation, columns)
    return columns


@njit(parallel=True, cache=True, error_model="numpy")
def _copy_patches(x, kernel_h, kernel_w, out_height, out_width, stride, padding, dilation, columns):
    batch, channels, height, width = x.shape
    left, _, top, _ = padding
    for n in prange(batch):
        for c in range(channels):
            for i in range(kernel_h):
                for j in range(kernel_w):
                    row = columns[n, (c * kernel_h + i) * kernel_w + j]
                    for p in range(out_height):
                        h = stride[0] * p + dilation[0] * i - top
                        for q in range(out_width):
                            v = stride[1] * q + dilation[1] * j - left
                            inside = 0 <= h < height and 0 <= v < width
                            row[p * out_width + q] = x[n, c, h, v] if inside else 0


@njit(parallel=True, cache=True, error_model="numpy")
def _fold(columns, kernel_h, kernel_w, height, width, stride, padding, dilation, out):
    left, _, top, _ = padding
    for n in prange(out.shape[0]):
        for c in range(out.shape[1]):
            for h in range(out.shape[2]):
                for v in range(out.shape[3]):
                    total = out.dtype.type(0)
                    for i in range(kernel_h):
                        p, p_left = divmod(h + top - dilation[0] * i, stride[0])
                        if p_left == 0 and 0 <= p < height:
                            for j in range(kernel_w):
                                q, q_left = divmod(v + left - dilation[1] * j, stride[1])
                                if q_left == 0 and 0 <= q < width:
                                    total += columns[n, (c * kernel_h + i) * kernel_w + j, p * width + q]
                    out[n, c, h, v] = total
