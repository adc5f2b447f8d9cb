"""Exercise 20: copies, shares and energy of generated data (lesson 20). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex20
"""

import numpy as np


def nearest(images, others):
    """For each image the nearest of the others: (indices, distances), arrays (N,) of integers and of floats.

    images: uint8 (N, H, W). others: uint8 (M, H, W). The distance of two images is the root of the sum over all pixels of
    their squared difference, with pixels from 0 to 1 (255 is 1). That of a copy is 0, up to rounding (1e-6). Mind that a
    difference of two uint8 is a uint8.
    """
    raise NotImplementedError("nearest")


def class_shares(labels, classes):
    """The share of each class among the labels: floats (classes,) that add up to 1.

    labels: integers (N,) from 0 to classes - 1; a class may occur in none of them. classes: an int.
    """
    raise NotImplementedError("class_shares")


def divergence(p, q):
    """The Kullback-Leibler divergence of p from q, the sum over the classes of p log(p / q), a float in nats.

    p: shares of the generated images (C,). q: shares of the data (C,). A class with p = 0 adds nothing, whatever its q.
    Shares may be tiny, such as 1e-30: nothing is added to them, and none is taken for 0.
    Where p > 0 and q = 0 the divergence is infinite: something is generated that was never in the data.
    """
    raise NotImplementedError("divergence")


def watt_hours(seconds, watts):
    """The energy of a run in watt-hours, from readings of its power.

    seconds: the times of the readings (T,), ascending, in any distance of each other. watts: the power at those times (T,).
    Between two readings the power is taken to go in a straight line from one to the other. Returns a float.
    """
    raise NotImplementedError("watt_hours")
