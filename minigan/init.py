"""Initial values for parameters, in place, under PyTorch's names.

`generator` is a `minigan.random.Generator`; without one, the default generator draws.
"""

import math

from minigan import backend, random


def zeros_(tensor):
    """All zeros."""
    tensor.data[...] = 0
    return tensor


def ones_(tensor):
    """All ones."""
    tensor.data[...] = 1
    return tensor


def constant_(tensor, value):
    """All `value`."""
    tensor.data[...] = value
    return tensor


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation."""
    return _assign(tensor, _generator(generator).normal(tensor.shape, tensor.dtype) * tensor.dtype.type(std) + mean)


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform in [a, b)."""
    return _assign(tensor, _generator(generator).uniform(tensor.shape, tensor.dtype) * tensor.dtype.type(b - a) + a)


def xavier_uniform_(tensor, gain=1.0, generator=None):
    """Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None):
    """Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor))), generator)


def kaiming_uniform_(tensor, a=0.0, generator=None):
    """Uniform in +-sqrt(6 / ((1 + a^2) fan_in)), for a LeakyReLU of slope a (He et al. 2015)."""
    bound = math.sqrt(6 / ((1 + a * a) * fans(tensor)[0]))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor, a=0.0, generator=None):
    """Normal with standard deviation sqrt(2 / ((1 + a^2) fan_in)), for a LeakyReLU of slope a (He et al. 2015)."""
    return normal_(tensor, 0.0, math.sqrt(2 / ((1 + a * a) * fans(tensor)[0])), generator)


def fans(tensor):
    """(fan_in, fan_out) of a weight (out, in, ...): channels times the taps of a kernel.

    As in PyTorch, a transposed convolution's (in, out, ...) is read the same way round.
    Raises ValueError for fewer than two dimensions.
    """
    if tensor.ndim < 2:
        raise ValueError(f"fan in and fan out need a weight of at least 2 dimensions, not {tensor.shape}")
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def _generator(generator):
    return random.default_generator if generator is None else generator


def _assign(tensor, values):
    tensor.data[...] = backend.to_device(values, tensor.device)
    return tensor
