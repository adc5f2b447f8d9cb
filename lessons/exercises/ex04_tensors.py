"""Exercise 4: vector-Jacobian products of arrays, and broadcasting undone (lesson 4). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex04
"""

import numpy as np


def unbroadcast(g, shape):
    """Undoes broadcasting from `shape` to g.shape: sums g over the dimensions that were added or stretched.

    NumPy aligns shapes at their right ends: added dimensions are the first ones, and a dimension of length 1 is
    stretched to any other length. Returns an array of that shape, in g's precision; g is left as it was.
    """
    raise NotImplementedError("unbroadcast")


def mul_vjp(g, a, b):
    """The gradients of <g, a * b> in a and in b, where a and b broadcast as in NumPy.

    g: the cotangent, of the shape of a * b. Returns two arrays, of a's and of b's shape.
    """
    raise NotImplementedError("mul_vjp")


def matmul_vjp(g, a, b):
    """The gradients of <g, a @ b> in a and in b.

    a: (..., M, K). b: (..., K, N). g: (..., M, N). The dimensions before the last two broadcast, as in NumPy.
    Returns two arrays, of a's and of b's shape.
    """
    raise NotImplementedError("matmul_vjp")


def sum_vjp(g, a, axis=None, keepdims=False):
    """The gradient of <g, a.sum(axis, keepdims=keepdims)> in a.

    axis: an int (negative ones count from the end), a tuple of ints, or None for all dimensions. g: the cotangent, of
    the sum's shape. Returns an array of a's shape.
    """
    raise NotImplementedError("sum_vjp")
