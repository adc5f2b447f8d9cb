"""Exercise 8: the transposed convolution, and the gradient in the weights (lesson 8). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex08

Then train with it, and with your ex07_convolution.py: python lessons/exercises/train_with.py my_folder
"""

import numpy as np


def conv_transpose2d(y, weight, stride=1, padding=0, output_padding=0):
    """The adjoint in x of exercise 7's conv2d(x, weight, stride, padding): y (N, K, P, Q) to x (N, C, H, W).

    weight: (K, C, R, S), the convolution's own, which takes C channels to K; this function takes K channels to C.

        x[n, c, h, w] = sum of y[n, k, p, q] weight[k, c, i, j] over all k, p, q, i, j for which
                        stride p + i - padding = h  and  stride q + j - padding = w

    H = stride (P - 1) + R - 2 padding + output_padding, and W alike: output_padding adds rows below and columns on the
    right, which y may reach, too. The stride may be larger than the kernel: the pixels between the stamps are 0. Raises
    ValueError where output_padding is not less than stride; its message holds both numbers. y and weight are left as
    they were; x has y's dtype.
    """
    raise NotImplementedError("conv_transpose2d")


def conv2d_weight_gradient(x, y, kernel_size, stride=1, padding=0):
    """The gradient of <conv2d(x, weight, stride, padding), y> in weight: x (N, C, H, W) and y (N, K, P, Q) to (K, C, R, S).

    kernel_size: (R, S). y is what arrives at the convolution's output on the way back; P and Q are its output's size,
    so that x may have rows below and columns on the right that no tap reaches.

        gradient[k, c, i, j] = sum over n, p, q of x[n, c, stride p + i - padding, stride q + j - padding] y[n, k, p, q]

    where x counts as 0 outside. x and y are left as they were; the gradient of float64 arrays is float64.
    """
    raise NotImplementedError("conv2d_weight_gradient")
