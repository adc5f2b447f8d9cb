"""Exercise 6: layers and parameters (lesson 6). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex06
"""

import numpy as np


def linear(x, weight, bias=None):
    """x W^T + b: each image's inputs to its outputs.

    x: (N, I). weight: (K, I), a row for each output. bias: (K,), or None for none. Returns an array (N, K).
    """
    raise NotImplementedError("linear")


def linear_backward(g, x, weight):
    """The gradients of `linear`, given g (N, K), the gradient of the loss with respect to its result.

    Returns three arrays: the gradients with respect to x (N, I), to weight (K, I) and to bias (K,). Nothing is averaged: a
    loss that is a mean over the batch has put its 1/N into g.
    """
    raise NotImplementedError("linear_backward")


class Module:
    """Something that owns parameters, here NumPy arrays, and other modules: whatever is assigned to its attributes.

        class Layer(Module):
            def __init__(self):
                super().__init__()
                self.weight, self.bias = np.ones((3, 2)), np.zeros(3)

        class Net(Module):
            def __init__(self):
                super().__init__()
                self.first, self.second = Layer(), Layer()

    The parameters of Net() are "first.weight", "first.bias", "second.weight", "second.bias".
    """

    def named_parameters(self):
        """The pairs (dotted name, array), as a list or one after another.

        First the arrays of this module, in the order in which they were assigned, then those of the modules assigned to
        it, in their order, each name behind the attribute's and a dot; and so on downwards, to any depth. Attributes that
        are neither arrays nor modules do not count.
        """
        raise NotImplementedError("named_parameters")

    def state_dict(self):
        """{dotted name: array}, in the same order. The arrays are the module's own, not copies."""
        raise NotImplementedError("state_dict")

    def load_state_dict(self, state):
        """Copies the values of {dotted name: array} into the arrays of the same names, which stay the same objects.

        Raises KeyError with the name in its message for a name that is here but not in `state`, or in `state` but not
        here, and ValueError with the name for an array of another shape, be it of as many elements. Then nothing at all has been changed.
        """
        raise NotImplementedError("load_state_dict")
