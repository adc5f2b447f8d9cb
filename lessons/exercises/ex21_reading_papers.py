"""Exercise 21: what a paper's text leaves open, or gets wrong (lesson 21). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex21

N counts images, K counts classes, s are logits, y is an image's class number. The two losses are compared in section 3
of the lesson, there from probabilities; here both start from logits, cross entropy by softmax, BCE by sigmoids.
"""

import numpy as np


def condition(x, labels, classes):
    """The input of a conditional network: each row of x, followed by its label as a one-hot vector.

    x: latents or images, (N, D), of any floating-point type (float16, too). labels: whole numbers (N,), each from 0 to
    classes - 1. Returns (N, D + classes) of x's type. Raises ValueError for any other label, negative ones too, with one such
    label in the message.
    """
    raise NotImplementedError("condition")


def cross_entropy(logits, labels):
    """The mean over the images of -log p_y, where p = softmax(s): exp(s_k) / (the sum over all j of exp(s_j)).

    logits: (N, K). labels: class numbers (N,). Returns the loss, a number, and its gradient with respect to the
    logits, (N, K), of their type. Both are right for logits of 1000 and -1000, too: the largest of a row can be taken
    away from it without a change of p.
    """
    raise NotImplementedError("cross_entropy")


def one_hot_bce(logits, labels):
    """Binary cross-entropy on one-hot labels: each logit answers a question of its own, "is it this class?".

    The loss of an image is the sum over the classes k of -t_k log q_k - (1 - t_k) log(1 - q_k), where
    q_k = 1 / (1 + exp(-s_k)), and t_k is 1 for k = y, else 0. Here: its mean over the images.
    logits: (N, K). labels: class numbers (N,). Returns the loss, a number, and its gradient with respect to the
    logits, (N, K), of their type. Both are right for logits of 1000 and -1000, too (exercise 10).
    """
    raise NotImplementedError("one_hot_bce")


def updates(images, batch_size, epochs):
    """How many steps a training takes that sees each image once an epoch, in batches of batch_size.

    Batches do not reach over the end of an epoch: its last one is short where batch_size does not divide the number
    of images. It is left out if it would hold a single image, whose batch statistics have no variance.
    images, batch_size, epochs: whole numbers, 2 <= batch_size <= images. Returns a whole number, an int.
    """
    raise NotImplementedError("updates")
