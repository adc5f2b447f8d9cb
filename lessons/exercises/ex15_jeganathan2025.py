"""Exercise 15: batches that resume, and Keras's padding (lesson 15). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex15
"""

import numpy as np


class Batches:
    """The indices of a data set in batches, in a new random order each epoch, for ever.

    The order of epoch e (0, 1, ...) is `np.random.default_rng((seed, e)).permutation(count)`: a function of the seed and
    the epoch alone. An epoch's last batch is smaller where batch_size does not divide count, and left out if it would be
    of one image, which batch normalisation cannot use.
    """

    def __init__(self, count, batch_size, seed):
        """count: images, at least 2. batch_size: from 2 to count. seed: an integer from 0."""
        raise NotImplementedError("Batches")

    def next(self):
        """The next batch: an integer array (batch_size,) of indices, or fewer at the end of an epoch."""
        raise NotImplementedError("Batches.next")

    def state_dict(self):
        """Where we are: a dict of a few plain numbers, as JSON can hold, and no arrays. It does not change later."""
        raise NotImplementedError("Batches.state_dict")

    def load_state_dict(self, state):
        """Takes over a state, whatever has been taken here before: `next` goes on as there, be it from the first batch.

        state: from `state_dict` of Batches with the same count, batch_size and seed.
        """
        raise NotImplementedError("Batches.load_state_dict")


def same_padding(size, kernel, stride):
    """How many zeros Keras's padding "same" adds before and after `size` pixels: a pair of integers.

    The convolution then has size / stride outputs, rounded up, and uses no more zeros than that takes. Where their
    number is odd, the one that is over comes after.
    """
    raise NotImplementedError("same_padding")


def pad_same(x, kernel_size, stride):
    """x with those zeros around each image: a new array of x's dtype, a copy also where no zeros are needed.

    x: (N, C, H, W). kernel_size: (R, S), its height and width. stride: an integer, the same for both.
    """
    raise NotImplementedError("pad_same")
