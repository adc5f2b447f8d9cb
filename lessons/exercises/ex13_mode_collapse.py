"""Exercise 13: a ring of Gaussians, and measures of mode collapse (lesson 13). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex13
"""

import numpy as np


def ring_of_gaussians(rng, n, modes=8, radius=2.0, std=0.1):
    """n samples (n, 2) of a mixture of `modes` normal distributions on a circle around 0.

    The centres lie at the angles 2 pi k / modes, k = 0 .. modes - 1, the first at (radius, 0). For each sample a centre
    is drawn, all equally likely and independent of the samples before it; around it both coordinates are normal with
    standard deviation std, independent of each other. rng: a np.random.Generator, which makes all the random numbers.
    """
    raise NotImplementedError("ring_of_gaussians")


def nearest_centre(samples, centres):
    """Which centre is nearest to each sample (of several equally near the first), and how far away it is.

    samples: (N, D). centres: (K, D). Returns two arrays: the centres' indices (N,), and the Euclidean distances (N,).
    A sample may be exactly on a centre: its distance is 0.
    """
    raise NotImplementedError("nearest_centre")


def coverage(samples, centres, std):
    """The two measures of VEEGAN and PacGAN: (modes covered, share of samples of high quality), two numbers.

    A sample is of high quality if the centre nearest to it is at most 3 std away (exactly 3 std counts). A mode is
    covered if at least one sample of high quality has its centre as the nearest. Shapes as in `nearest_centre`.
    """
    raise NotImplementedError("coverage")


def mode_shares(samples, centres, std):
    """How the samples of high quality are divided among the modes: shares (K,) that add up to 1.

    A sample belongs to its nearest centre, and to no other. Where no sample is of high quality, K zeros.
    """
    raise NotImplementedError("mode_shares")
