"""Exercise 15 by minigan, whose own Batches need no state but the step, too."""

import numpy as np

from minigan import data
from minigan.tensor import Tensor


class Order:
    """Takes the place of a random.Generator: the order of epoch `draw` that the exercise asks for."""

    def __init__(self, seed):
        self.seed, self.draw = seed, 0

    def permutation(self, count):
        """(count,), of this epoch."""
        return np.random.default_rng((self.seed, self.draw)).permutation(count)


class Batches:
    """minigan's, of images whose pixel is their index, in the exercise's order."""

    def __init__(self, count, batch_size, seed):
        images = np.arange(count, dtype=np.uint8).reshape(count, 1, 1)
        self.batches, self.step = data.Batches(images, batch_size, seed), 0
        self.batches._random = Order(seed)

    def next(self):
        self.step += 1
        return data.to_pixels(self.batches.batch(self.step - 1)).reshape(-1)

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state):
        self.step = state["step"]


def same_padding(size, kernel, stride):
    """A short one of its own: minigan writes these numbers down where a recipe needs them."""
    zeros = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return zeros // 2, zeros - zeros // 2


def pad_same(x, kernel_size, stride):
    """By the engine."""
    widths = [same_padding(size, kernel, stride) for size, kernel in zip(x.shape[2:], kernel_size)]
    return Tensor(x).pad(((0, 0), (0, 0), *widths)).numpy()
