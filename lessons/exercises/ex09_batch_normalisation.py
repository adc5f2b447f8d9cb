"""Exercise 9: batch normalisation (lesson 9). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex09
"""

import numpy as np


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """Each channel of x normalised, times its weight, plus its bias.

    x: (N, C, H, W). weight, bias, running_mean, running_var: (C,). Returns an array (N, C, H, W).

    training: each channel is normalised by its own mean and variance over all N H W values of the batch, the variance
    being the mean of the squared deviations, and eps is added to it under the root. Then running_mean and running_var move
    towards the batch's mean and its *unbiased* variance (the sum of the squared deviations divided by N H W - 1) by the
    share `momentum`, in place: running = (1 - momentum) running + momentum batch.
    Raises ValueError for one value in a channel, N H W = 1; then nothing has been changed. (One image of several pixels is
    enough.) x may lie far from 0, around 1e6: subtract the mean, then square, as E[x^2] - E[x]^2 would lose all digits.

    Not training: normalised by running_mean and running_var, which stay as they are.
    """
    raise NotImplementedError("batch_norm")


def batch_norm_backward(g, x, weight, eps=1e-5):
    """The gradients of `batch_norm` in training, given g (N, C, H, W), that of the loss with respect to its result.

    Returns three arrays: the gradients with respect to x (N, C, H, W), to weight (C,) and to bias (C,).
    """
    raise NotImplementedError("batch_norm_backward")
