import itertools

import numpy as np


class Batches:
    def __init__(self, count, batch_size, seed):
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.load_state_dict({"taken": 0})

    def stream(self):
        for epoch in itertools.count():
            order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
            for start in range(0, self.count - 1, self.batch_size):
                yield order[start : start + self.batch_size]

    def next(self):
        self.taken += 1
        return next(self.batches)

    def state_dict(self):
        return {"taken": self.taken}

    def load_state_dict(self, state):
        self.taken = state["taken"]
        self.batches = itertools.islice(self.stream(), self.taken, None)


def same_padding(size, kernel, stride):
    outputs = np.ceil(size / stride)
    zeros = np.maximum((outputs - 1) * stride + kernel - size, 0)
    return int(np.floor(zeros / 2)), int(np.ceil(zeros / 2))


def pad_same(x, kernel_size, stride):
    for axis, kernel in enumerate(kernel_size, 2):
        x = np.moveaxis(x, axis, 0)
        before, after = (np.zeros((n, *x.shape[1:]), x.dtype) for n in same_padding(len(x), kernel, stride))
        x = np.moveaxis(np.concatenate([before, x, after]), 0, axis)
    return x
