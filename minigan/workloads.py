"""What the benchmark times: training steps, drawing images, and each kernel that a step calls.

The kernels are found by running one step with every kernel wrapped in a function that writes down
its arguments, so that the table has the shapes that training has, and counts its products.
"""

import math
from dataclasses import dataclass

import numpy as np

from minigan import backend, kernels, random, recipes, training
from minigan.settings import default_settings
from minigan.tensor import Tensor, no_grad

CONVOLUTIONS = {"conv2d": "C", "conv_transpose2d": "T", "conv2d_weight": "G"}


@dataclass
class KernelCall:
    """A kernel with the arguments that a training step gave it, and how often a step calls it with such shapes."""

    kernel: str
    arguments: list
    device: str = "cpu"
    count: int = 1

    def __call__(self):
        """Calls the kernel on the arrays of that step."""
        getattr(kernels.for_device(self.device), self.kernel)(*self.arguments)

    @property
    def shapes(self):
        """Of a convolution: those of x, weight and y."""
        first, second, out = (self.arguments[i].shape for i in (0, 1, 5))
        return {"C": (first, second, out), "T": (out, second, first), "G": (first, out, second)}[
            CONVOLUTIONS[self.kernel]
        ]

    @property
    def flops(self):
        """Floating-point operations of the definition: two for each product of a convolution; 0 for other kernels."""
        if self.kernel not in CONVOLUTIONS:
            return 0
        _, weight, y = self.shapes
        return 2 * math.prod(y) * math.prod(weight[1:])

    @property
    def bytes(self):
        """The bytes of all its arrays: what it reads and writes, if each once."""
        return sum(a.nbytes for a in _arrays(self.arguments))

    @property
    def algorithm(self):
        """The module of kernels/cpu that does it, for a convolution."""
        if self.kernel not in CONVOLUTIONS:
            return ""
        from minigan.kernels.cpu import convolution

        module = convolution.algorithm(self.kernel, *self.shapes, *self.arguments[2:5], self.arguments[0].dtype)
        return module.__name__.rsplit(".", 1)[-1]

    def __str__(self):
        if self.kernel not in CONVOLUTIONS:
            largest = max((a.shape for a in _arrays(self.arguments)), key=math.prod)
            return f"{self.kernel} {_size(largest)}"
        x, weight, y = self.shapes
        if x[2:] == y[2:] == weight[2:] == (1, 1):
            return f"{CONVOLUTIONS[self.kernel]} linear {_size(x[:2])}, {_size(y[:2])}"
        return f"{CONVOLUTIONS[self.kernel]} {_size(x)}, {_size(y)}, {_size(weight[2:])}/{self.arguments[2][0]}"


def training_step(name, batch_size):
    """A function of no arguments that takes one step of minigan's training of a recipe on MNIST."""
    recipe = recipes.RECIPES[name]
    return training.Run(default_settings(recipe, batch_size=batch_size)).advance


def training_steps(name, batch_size, device, graph=True):
    """A function of a number that takes so many training steps, captured in a graph or not; on a GPU it enqueues them."""
    recipe = recipes.RECIPES[name]
    run = training.Run(default_settings(recipe, batch_size=batch_size), device, graph)
    run.step = run.batches.per_epoch - 1  # the shorter last batch is a graph of its own: captured now, not in the race
    run.take_steps(1)
    return run.take_steps


def generation(name, batch_size, device="cpu"):
    """A function of no arguments that draws a batch of images from a recipe's generator in eval mode."""
    generator = recipes.build(recipes.RECIPES[name], seed=0)[0].to(device).eval()
    shape = (batch_size, *recipes.RECIPES[name].latent_shape)
    latents = Tensor(random.Generator().normal(shape, device=device))

    def draw():
        with no_grad():
            generator(latents)

    return draw


def kernel_calls(function, device="cpu"):
    """The KernelCalls that function() makes on the device, those of equal shapes counted together."""
    calls = {}
    plain = {place: kernels.for_device(place) for place in {"cpu", device}}

    def wrapped(name):
        def write_down(*arguments):
            place = next(map(backend.device_of, _arrays(arguments)))
            key = name, *map(_shape_or_value, arguments)
            if key in calls:
                calls[key].count += 1
            elif place == device:
                calls[key] = KernelCall(name, [_copied(a) for a in arguments], device)
            return getattr(plain[place], name)(*arguments)

        return write_down

    names = plain[device].__all__
    with kernels.use(**{name: wrapped(name) for name in names}):
        function()
    return list(calls.values())


def _is_array(value):
    return hasattr(value, "shape") and not isinstance(value, np.generic)


def _arrays(arguments):
    """The arrays among the arguments, those in lists too."""
    for a in arguments:
        if _is_array(a):
            yield a
        elif isinstance(a, (list, tuple)):
            yield from _arrays(a)


def _shape_or_value(argument):
    if isinstance(argument, (list, tuple)):
        return tuple(map(_shape_or_value, argument))
    return argument.shape if _is_array(argument) else argument


def _copied(argument):
    if isinstance(argument, (list, tuple)):
        return type(argument)(map(_copied, argument))
    return argument.copy() if _is_array(argument) else argument


def _size(shape):
    return "x".join(map(str, shape))
