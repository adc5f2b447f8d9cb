"""Exercise 7: convolution as a matrix product of patches (lesson 7). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex07

Then train with it: python lessons/exercises/train_with.py my_folder
"""

import numpy as np


def output_size(size, kernel, stride=1, padding=0):
    """How many places a kernel of `kernel` taps has along an axis of `size` pixels, with `padding` zeros on both sides.

    All are ints. Raises ValueError where not even one place is left; its message holds the two numbers
    that do not fit, the kernel's taps and the pixels with their padding.
    """
    raise NotImplementedError("output_size")


def patches(x, kernel, stride=1, padding=0):
    """What the taps of a kernel see of x (N, C, H, W) at every place, as a matrix for each image: im2col.

    kernel: (R, S), its rows and columns. stride, padding: ints, alike for both axes. Returns an array (N, C R S, P Q),
    P Q the output's size:

        patches[n, (c R + i) S + j, p Q + q] = x[n, c, stride p + i - padding, stride q + j - padding]

    or 0 where that lies outside of x. x is left as it was.
    """
    raise NotImplementedError("patches")


def conv2d(x, weight, stride=1, padding=0):
    """The cross-correlation of x (N, C, H, W) with weight (K, C, R, S): an array (N, K, P, Q).

    x and weight are of the same dtype, which is the result's, too.

    conv2d[n, k, p, q] = sum over c, i, j of x[n, c, stride p + i - padding, stride q + j - padding] weight[k, c, i, j]
    """
    raise NotImplementedError("conv2d")
