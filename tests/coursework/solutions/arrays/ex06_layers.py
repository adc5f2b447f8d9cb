import numpy as np


def linear(x, weight, bias=None):
    return x @ weight.T if bias is None else x @ weight.T + bias


def linear_backward(g, x, weight):
    return g @ weight, g.T @ x, g.sum(axis=0)


class Module:
    def named_parameters(self, prefix=""):
        attributes = vars(self).items()
        yield from ((prefix + name, value) for name, value in attributes if isinstance(value, np.ndarray))
        for name, value in attributes:
            if isinstance(value, Module):
                yield from value.named_parameters(f"{prefix}{name}.")

    def state_dict(self):
        return dict(self.named_parameters())

    def load_state_dict(self, state):
        own = self.state_dict()
        for name in own.keys() ^ state.keys():
            raise KeyError(f"{name} is not in both")
        for name, array in own.items():
            if array.shape != state[name].shape:
                raise ValueError(f"{name} is {array.shape} here, not {state[name].shape}")
        for name, array in own.items():
            np.copyto(array, state[name])
