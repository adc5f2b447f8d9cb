"""Exercise 10: binary cross-entropy, from logits (lesson 10). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex10

The functions take logits of any size. Nothing may overflow on the way, not even at 1000 and -1000: an exponential is
taken of what is not positive. And small results keep their digits: the loss of a right answer at 40 is 4e-18, not 0,
and so is the gradient of a right answer at -40. (Its gradient at 40 is a difference, p - 1, and may be rounded to 0.)
A logit may be exactly 0, and an array may have no dimensions.
"""

import numpy as np


def bce_with_logits(x, y):
    """The mean over all elements of -y log p - (1 - y) log(1 - p), where p = 1 / (1 + exp(-x)).

    x: logits, an array of any shape. y: labels of the same shape, from 0 to 1. Returns a number.
    """
    raise NotImplementedError("bce_with_logits")


def bce_with_logits_gradient(x, y):
    """The gradient of `bce_with_logits` with respect to x. Returns an array of x's shape."""
    raise NotImplementedError("bce_with_logits_gradient")


def generator_loss(x, kind="nonsaturating"):
    """What the generator minimises, from the logits x that the discriminator gave its images; the mean over all elements.

    kind: "nonsaturating", -log p, or "minimax", log(1 - p), where p = 1 / (1 + exp(-x)). Returns a number.
    Raises ValueError for any other kind, with that kind in the message.
    """
    raise NotImplementedError("generator_loss")


def generator_loss_gradient(x, kind="nonsaturating"):
    """The gradient of `generator_loss` with respect to x. Returns an array of x's shape. Raises as `generator_loss`."""
    raise NotImplementedError("generator_loss_gradient")
