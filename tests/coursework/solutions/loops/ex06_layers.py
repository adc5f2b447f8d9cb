import numpy as np


def linear(x, weight, bias=None):
    y = np.zeros((len(x), len(weight)))
    for n, image in enumerate(x):
        for k, row in enumerate(weight):
            for a, b in zip(image, row):
                y[n, k] += a * b
            if bias is not None:
                y[n, k] += bias[k]
    return y


def linear_backward(g, x, weight):
    grad_x, grad_weight, grad_bias = np.zeros(x.shape), np.zeros(weight.shape), np.zeros(len(weight))
    for n, image in enumerate(x):
        for k, row in enumerate(weight):
            grad_bias[k] += g[n, k]
            for i, pixel in enumerate(image):
                grad_weight[k, i] += g[n, k] * pixel
                grad_x[n, i] += g[n, k] * row[i]
    return grad_x, grad_weight, grad_bias


class Module:
    def __init__(self):
        self._assigned = {}

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        self._assigned[name] = value

    def named_parameters(self):
        for name, value in self._assigned.items():
            if isinstance(value, np.ndarray):
                yield name, value
        for name, value in self._assigned.items():
            if isinstance(value, Module):
                for inner, array in value.named_parameters():
                    yield name + "." + inner, array

    def state_dict(self):
        state = {}
        for name, array in self.named_parameters():
            state[name] = array
        return state

    def load_state_dict(self, state):
        own = self.state_dict()
        for name in state:
            if name not in own:
                raise KeyError(name)
        for name in own:
            if state[name].shape != own[name].shape:
                raise ValueError(name)
        for name in own:
            own[name][...] = state[name]
