import numpy as np


class Batches:
    def __init__(self, count, batch_size, seed):
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.per_epoch = (count + batch_size - 2) // batch_size
        self.step = 0

    def next(self):
        epoch, position = divmod(self.step, self.per_epoch)
        order = np.random.default_rng((self.seed, epoch)).permutation(self.count)
        self.step += 1
        return order[position * self.batch_size :][: self.batch_size]

    def state_dict(self):
        return {"step": self.step}

    def load_state_dict(self, state):
        self.step = state["step"]


def same_padding(size, kernel, stride):
    zeros = max(kernel - 1 - (size - 1) % stride, 0)
    return zeros // 2, (zeros + 1) // 2


def pad_same(x, kernel_size, stride):
    rows, columns = (same_padding(size, kernel, stride) for size, kernel in zip(x.shape[2:], kernel_size))
    return np.pad(x, ((0, 0), (0, 0), rows, columns))
