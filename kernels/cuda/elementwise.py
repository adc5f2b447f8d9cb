"""Activations, losses and dropout on the GPU: one pass over memory each; see `elementwise.cu` and `losses.cu`."""

import math

import numpy as np

from minigan.kernels.cuda import loader
from minigan.kernels.cuda.grid import NUMBERS, THREADS, blocks, map_elements
from minigan.kernels.cuda.random import WORDS, advance

LARGEST_BLOCK = 1024  # threads


def leaky_relu(x, slope, out):
    """As `reference.leaky_relu`."""
    return map_elements("elementwise.cu", "leaky_relu", out, x, float(slope))


def leaky_relu_backward(g, x, slope, out):
    """As `reference.leaky_relu_backward`."""
    return map_elements("elementwise.cu", "leaky_relu_backward", out, g, x, float(slope))


def sigmoid(x, out):
    """As `reference.sigmoid`."""
    return map_elements("elementwise.cu", "sigmoid", out, x)


def sigmoid_backward(g, y, out):
    """As `reference.sigmoid_backward`."""
    return map_elements("elementwise.cu", "sigmoid_backward", out, g, y)


def tanh(x, out):
    """As `reference.tanh`."""
    return map_elements("elementwise.cu", "hyperbolic_tangent", out, x)


def tanh_backward(g, y, out):
    """As `reference.tanh_backward`."""
    return map_elements("elementwise.cu", "hyperbolic_tangent_backward", out, g, y)


def dropout(x, p, seed, purpose, draw, mask, out):
    """As `reference.dropout`."""
    loader.run(
        "elementwise.cu", "dropout", blocks(out.size, WORDS * THREADS), THREADS,
        out.size, x, math.ceil(p * 2**24), 1 / (1 - p), np.uint64(seed), np.uint32(purpose), draw, mask, out,
        NUMBER=NUMBERS[out.dtype],
    )  # fmt: skip
    advance(draw)
    return out


def dropout_backward(g, mask, out):
    """As `reference.dropout_backward`."""
    return map_elements("elementwise.cu", "dropout_backward", out, g, mask)


def bce(p, target, out):
    """As `reference.bce`."""
    return map_elements("losses.cu", "bce", out, p, target)


def bce_backward(g, p, target, out):
    """As `reference.bce_backward`."""
    return map_elements("losses.cu", "bce_backward", out, g, p, target)


def bce_with_logits(z, target, out):
    """As `reference.bce_with_logits`."""
    return map_elements("losses.cu", "bce_with_logits", out, z, target)


def bce_with_logits_backward(g, z, target, out):
    """As `reference.bce_with_logits_backward`."""
    return map_elements("losses.cu", "bce_with_logits_backward", out, g, z, target)


def mean(x, out):
    """As `reference.mean`."""
    threads = THREADS if x.size <= 4 * THREADS else LARGEST_BLOCK
    loader.run("losses.cu", "mean", 1, threads, x.size, x, out, NUMBER=NUMBERS[out.dtype])
    return out
