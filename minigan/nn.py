"""Modules: layers that own their parameters, under PyTorch's names, arguments and parameter shapes.

PyTorch's state_dicts load here and the other way round (as NumPy arrays).
"""

import math
from collections.abc import Mapping

import numpy as np

from minigan import backend, conv, functions, init, random
from minigan.errors import ShapeError
from minigan.tensor import Tensor


class Parameter(Tensor):
    """A tensor that is learned, with memory of its own: assigned to a module, it is found by `parameters()`."""

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data, requires_grad)
        self.data = self.data.copy()


class Module:
    """A function of tensors with parameters, buffers (arrays that are kept but not learned) and submodules.

    Subclasses assign them as attributes and define `forward`. Names are dotted paths in the order
    of assignment: "0.weight", "1.running_mean".
    """

    def __init__(self):
        self._parameters, self._buffers, self._modules = {}, {}, {}
        self.training = True

    def __setattr__(self, name, value):
        if isinstance(value, Parameter):
            self._parameters[name] = value
        elif isinstance(value, Module):
            self._modules[name] = value
        elif name in self.__dict__.get("_buffers", ()):
            self._buffers[name] = value
        object.__setattr__(self, name, value)

    def register_buffer(self, name, array):
        """An array that belongs to the state but is not learned, from now on an attribute of that name."""
        self._buffers[name] = array
        object.__setattr__(self, name, array)

    def forward(self, *inputs):
        """The module's value for its inputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward")

    def __call__(self, *inputs):
        if inputs and not isinstance(inputs[0], Tensor):
            raise TypeError(
                f"{type(self).__name__} takes Tensors, not {type(inputs[0]).__name__}: wrap it, Tensor(...)"
            )
        try:
            return self.forward(*inputs)
        except ShapeError as error:
            if not self._modules:  # name the layer at fault, not every module around it
                raise ShapeError(f"{self!r}: {error}") from None
            raise

    def modules(self):
        """This module and all below it."""
        yield self
        for module in self._modules.values():
            yield from module.modules()

    def named_parameters(self, prefix=""):
        """(dotted name, Parameter) in order."""
        for name, value in self._parameters.items():
            yield prefix + name, value
        for name, module in self._modules.items():
            yield from module.named_parameters(f"{prefix}{name}.")

    def parameters(self):
        """The parameters in order."""
        for _, value in self.named_parameters():
            yield value

    def named_state(self, prefix=""):
        """(dotted name, array) of every parameter and buffer, in the order of PyTorch's state_dict."""
        for name, value in self._parameters.items():
            yield prefix + name, value.data
        for name, array in self._buffers.items():
            yield prefix + name, array
        for name, module in self._modules.items():
            yield from module.named_state(f"{prefix}{name}.")

    def state_dict(self):
        """{dotted name: array}; the arrays are the module's own, as in PyTorch: copy what must not change."""
        return dict(self.named_state())

    def load_state_dict(self, state, strict=True):
        """Copies arrays (or tensors) into the parameters and buffers of the same names, converted to their dtypes.

        Raises KeyError for names that are missing or not known here (unless strict is False), ShapeError for arrays of
        another shape, TypeError for those of another kind (text, or fractions for a count), ValueError for a running
        variance below zero; then nothing has been changed. `minigan.exchange.read_weights` reads such a dict from a file.
        """
        if not isinstance(state, Mapping):
            raise TypeError(
                f"load_state_dict takes {{name: array}}, not {type(state).__name__}: "
                "minigan.exchange.read_weights(path) reads it from a file"
            )
        own = self.state_dict()
        missing = [name for name in own if strict and name not in state]
        unknown = [ascii(name) for name in state if strict and name not in own]
        found = {name: _array_of(state[name]) for name in own if name in state}
        shapes = {name: tuple(array.shape) for name, array in found.items()}
        misshapen = [f"{n} {shapes[n]}, here {own[n].shape}" for n in found if shapes[n] != own[n].shape]
        faults = (("missing", missing), ("unknown", unknown), ("of another shape", misshapen))
        message = "; ".join(f"{fault} {_first(names)}" for fault, names in faults if names)
        if message:
            raise (KeyError if missing or unknown else ShapeError)(f"the state does not fit: {message}")
        for name, array in found.items():
            if not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                raise TypeError(f"the state does not fit: {name} is {own[name].dtype} here, but {array.dtype} there")
            if name.rpartition(".")[2] == "running_var" and (array < 0).any():
                raise ValueError(f"the state does not fit: {name}, a variance, is below zero")
        for name, array in found.items():
            own[name][...] = backend.to_device(array, backend.device_of(own[name]))

    def train(self, mode=True):
        """Training behaviour (batch statistics, dropout) for this module and all below; returns self."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """The behaviour of use: running statistics, no dropout; returns self."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Sets whether the parameters want gradients; returns self."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self):
        """Forgets the parameters' gradients."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, target):
        """Moves parameters and buffers to "cpu" or "gpu", or converts the floats to a dtype; returns self."""
        target = "gpu" if target == "cuda" else target
        on_device = target in ("cpu", "gpu")

        def moved(array):
            if on_device:
                return backend.to_device(array, target)
            return array.astype(target) if array.dtype.kind == "f" else array

        for module in self.modules():
            for parameter in module._parameters.values():
                parameter.data = moved(parameter.data)
            for name, array in module._buffers.items():
                module.register_buffer(name, moved(array))
        return self

    def cuda(self):
        """Moves to the GPU; returns self."""
        return self.to("gpu")

    def cpu(self):
        """Moves to the CPU; returns self."""
        return self.to("cpu")

    def arguments(self):
        """What `repr` shows between the parentheses."""
        return ""

    def __repr__(self):
        if not self._modules:
            return f"{type(self).__name__}({self.arguments()})"
        lines = [f"({name}): {module!r}".replace("\n", "\n  ") for name, module in self._modules.items()]
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


class Sequential(Module):
    """Modules applied one after another; their names are "0", "1", ..."""

    def __init__(self, *modules):
        super().__init__()
        for position, module in enumerate(modules):
            setattr(self, str(position), module)

    def forward(self, x):
        modules, previous = list(self._modules.values()), None
        for module, following in zip(modules, [*modules[1:], None]):
            if isinstance(module, BatchNorm2d) and isinstance(following, LeakyReLU):
                x = module(x, following.negative_slope)  # both in one pass over memory
            elif not (isinstance(module, LeakyReLU) and isinstance(previous, BatchNorm2d)):
                x = module(x)
            previous = module
        return x

    def __getitem__(self, position):
        """The module there; for a slice, a Sequential of the same modules under the names they have here."""
        if not isinstance(position, slice):
            return list(self._modules.values())[position]
        part = Sequential()
        for name, module in list(self._modules.items())[position]:
            setattr(part, name, module)
        return part

    def __len__(self):
        return len(self._modules)


class Linear(Module):
    """x (N, in_features) to x weight^T + bias (N, out_features); weight is (out_features, in_features)."""

    def __init__(self, in_features, out_features, bias=True):
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight, self.bias = _weight_and_bias((out_features, in_features), out_features if bias else None)

    def forward(self, x):
        return conv.linear(x, self.weight, self.bias)

    def arguments(self):
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}"


class Conv2d(Module):
    """Cross-correlation of (N, in_channels, H, W); weight is (out_channels, in_channels, R, S).

    kernel_size, stride, dilation: an int or (height, width); padding also (left, right, top, bottom).
    Sizes as in `minigan.conv.conv2d`.
    """

    def __init__(self, in_channels, out_channels, kernel_size, stride=1, padding=0, dilation=1, bias=True):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.weight, self.bias = _weight_and_bias((out_channels, in_channels, *kernel), out_channels if bias else None)

    def forward(self, x):
        return conv.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation)

    def arguments(self):
        return _conv_arguments(self)


class ConvTranspose2d(Module):
    """The adjoint of a Conv2d from out_channels to in_channels; weight is (in_channels, out_channels, R, S).

    Arguments as in `Conv2d`, sizes as in `minigan.conv.conv_transpose2d`.
    """

    def __init__(
        self, in_channels, out_channels, kernel_size, stride=1, padding=0, output_padding=0, bias=True, dilation=1
    ):
        super().__init__()
        self.in_channels, self.out_channels, self.output_padding = in_channels, out_channels, output_padding
        self.kernel_size, self.stride, self.padding, self.dilation = kernel_size, stride, padding, dilation
        kernel = (kernel_size, kernel_size) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.weight, self.bias = _weight_and_bias((in_channels, out_channels, *kernel), out_channels if bias else None)

    def forward(self, x):
        return conv.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.dilation
        )

    def arguments(self):
        return _conv_arguments(self)


class BatchNorm2d(Module):
    """Batch normalisation of (N, num_features, H, W), with a running mean and variance for eval mode.

    momentum is PyTorch's: running = (1 - momentum) * running + momentum * batch.
    """

    dimensions = (4,)
    running_mean: np.ndarray
    running_var: np.ndarray
    num_batches_tracked: np.ndarray

    def __init__(self, num_features, eps=1e-5, momentum=0.1):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.weight = Parameter(np.ones(num_features, np.float32))
        self.bias = Parameter(np.zeros(num_features, np.float32))
        self.register_buffer("running_mean", np.zeros(num_features, np.float32))
        self.register_buffer("running_var", np.ones(num_features, np.float32))
        self.register_buffer("num_batches_tracked", np.zeros((), np.int64))

    def forward(self, x, slope=1.0):
        """Normalises x; `slope` is that of a leaky ReLU of the result, where 1 is none."""
        if x.ndim not in self.dimensions:
            raise ShapeError(f"input {x.shape} should have {' or '.join(map(str, self.dimensions))} dimensions")
        return functions.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum, self.eps,
            self.num_batches_tracked, slope,
        )  # fmt: skip

    def arguments(self):
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(BatchNorm2d):
    """Batch normalisation of (N, num_features) or (N, num_features, L)."""

    dimensions = (2, 3)


class LeakyReLU(Module):
    """x where x > 0, else negative_slope * x."""

    def __init__(self, negative_slope=0.01):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, x):
        return functions.leaky_relu(x, self.negative_slope)

    def arguments(self):
        return f"{self.negative_slope}"


class ReLU(LeakyReLU):
    """x where x > 0, else 0."""

    def __init__(self):
        super().__init__(0.0)

    def arguments(self):
        return ""


class Tanh(Module):
    """The hyperbolic tangent."""

    def forward(self, x):
        return x.tanh()


class Sigmoid(Module):
    """1 / (1 + exp(-x))."""

    def forward(self, x):
        return x.sigmoid()


class Dropout(Module):
    """In training, zeroes elements with probability p and divides the others by 1 - p.

    generator: a `minigan.random.Generator`; without one, the default generator draws.
    Raises ValueError for p outside [0, 1).
    """

    def __init__(self, p=0.5, generator=None):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout's p is a probability in [0, 1), not {p}")
        self.p, self.generator = p, generator

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        return functions.dropout(x, self.p, self.generator or random.default_generator)

    def arguments(self):
        return f"p={self.p}"


class Flatten(Module):
    """Dimensions start_dim to end_dim made one."""

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        return x.flatten(self.start_dim, self.end_dim)


class Unflatten(Module):
    """Dimension dim split into unflattened_size."""

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x):
        if -1 not in self.unflattened_size and x.shape[self.dim] != math.prod(self.unflattened_size):
            raise ShapeError(f"dimension {self.dim} of {x.shape} cannot be split into {self.unflattened_size}")
        dim = self.dim % x.ndim
        return x.reshape(*x.shape[:dim], *self.unflattened_size, *x.shape[dim + 1 :])

    def arguments(self):
        return f"{self.dim}, {self.unflattened_size}"


class _Loss(Module):
    """A loss of (input, target); reduction is "mean", "sum" or "none"."""

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def arguments(self):
        return f"reduction={self.reduction!r}"


class BCELoss(_Loss):
    """Binary cross-entropy of probabilities, with PyTorch's clamps (see `functions.BinaryCrossEntropy`)."""

    def forward(self, input, target):
        return functions.binary_cross_entropy(input, target, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """Binary cross-entropy of sigmoid(input), stable for every logit."""

    def forward(self, input, target):
        return functions.binary_cross_entropy_with_logits(input, target, self.reduction)


class MSELoss(_Loss):
    """The squared difference."""

    def forward(self, input, target):
        return functions.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(_Loss):
    """-log softmax(input)[target] for logits (N, C) and classes (N,)."""

    def forward(self, input, target):
        return functions.cross_entropy(input, target, self.reduction)


def _weight_and_bias(weight_shape, bias_length):
    """PyTorch's defaults: both uniform in +-1 / sqrt(fan_in); None for the bias without a length."""
    weight = init.kaiming_uniform_(Parameter(np.empty(weight_shape, np.float32)), math.sqrt(5))
    if bias_length is None:
        return weight, None
    bound = 1 / math.sqrt(init.fans(weight)[0])
    return weight, init.uniform_(Parameter(np.empty(bias_length, np.float32)), -bound, bound)


def _array_of(value):
    """The array of a Tensor, an array as it is, anything else (a PyTorch tensor, a list) as NumPy's."""
    if isinstance(value, Tensor):
        return value.data
    return backend.as_array(value)


def _first(names, most=20):
    """The first names in words; each cut, since a file from elsewhere may hold any number of any length."""
    shown = ", ".join(f"{name:.100}" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown


def _conv_arguments(layer):
    """What a convolution was made with; what few need is left out where it is the default."""
    rarer = {"output_padding": (0, (0, 0)), "dilation": (1, (1, 1))}
    given = {name: getattr(layer, name, usual[0]) for name, usual in rarer.items()}
    also = "".join(f", {name}={value}" for name, value in given.items() if value not in rarer[name])
    return (
        f"{layer.in_channels}, {layer.out_channels}, kernel_size={layer.kernel_size}, stride={layer.stride}, "
        f"padding={layer.padding}{also}, bias={layer.bias is not None}"
    )
