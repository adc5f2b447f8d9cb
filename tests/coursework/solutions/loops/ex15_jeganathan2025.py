import numpy as np


class Batches:
    def __init__(self, count, batch_size, seed):
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.epoch = 0
        self.start = 0

    def next(self):
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        batch = order[self.start : self.start + self.batch_size]
        self.start += self.batch_size
        if self.count - self.start < 2:
            self.epoch += 1
            self.start = 0
        return batch

    def state_dict(self):
        return {"epoch": self.epoch, "start": self.start}

    def load_state_dict(self, state):
        self.epoch = state["epoch"]
        self.start = state["start"]


def same_padding(size, kernel, stride):
    last = 0
    while last + stride < size:
        last += stride
    before = 0
    after = 0
    while before + size + after < last + kernel:
        if before == after:
            after += 1
        else:
            before += 1
    return before, after


def pad_same(x, kernel_size, stride):
    count, channels, height, width = x.shape
    top, bottom = same_padding(height, kernel_size[0], stride)
    left, right = same_padding(width, kernel_size[1], stride)
    padded = np.zeros((count, channels, top + height + bottom, left + width + right), x.dtype)
    for i in range(height):
        for j in range(width):
            padded[:, :, top + i, left + j] = x[:, :, i, j]
    return padded
