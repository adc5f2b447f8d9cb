"""Exercise 2: derivatives, by finite differences and by hand (lesson 2). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex02
"""

import numpy as np


def numeric_gradient(f, x, h=1e-5):
    """The gradient of f at x by central differences, one element at a time.

    f: a function of an array of x's shape that returns one number. x: an array of any shape, never written to: nudge a copy.
    x may hold ints, but what it is nudged to are floats. h: the step. Returns an array of floats of x's shape.
    """
    raise NotImplementedError("numeric_gradient")


def logistic_loss(w, x, y):
    """The mean over the images of softplus(s) - y s, where s = x w is an image's score.

    That is binary cross-entropy: softplus(-s) for a real image (y = 1), softplus(s) for a fake one (y = 0).
    w: weights (D,). x: images (N, D), N being 1 or more. y: labels (N,), each 0 or 1. Returns a number.
    """
    raise NotImplementedError("logistic_loss")


def logistic_loss_gradient(w, x, y):
    """The gradient of `logistic_loss` in w, by the chain rule. Returns an array (D,)."""
    raise NotImplementedError("logistic_loss_gradient")
