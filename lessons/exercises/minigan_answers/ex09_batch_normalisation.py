"""Exercise 9 by minigan."""

import numpy as np

from minigan import functions
from minigan.tensor import Tensor, grad


def batch_norm(x, weight, bias, running_mean, running_var, training, momentum=0.1, eps=1e-5):
    """The function behind nn.BatchNorm2d, which also counts the batches."""
    batches = np.zeros((), np.int64)
    x, weight, bias = Tensor(x), Tensor(weight), Tensor(bias)
    return functions.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps, batches).data


def batch_norm_backward(g, x, weight, eps=1e-5):
    """The fused gradient; any bias has the same one."""
    inputs = [Tensor(a, requires_grad=True) for a in (x, weight, np.zeros(len(weight)))]
    return tuple(t.data for t in grad(functions.BatchNorm(eps)(*inputs), inputs, Tensor(g)))
