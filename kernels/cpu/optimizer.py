"""Adam and moving averages on the CPU, a launch for each parameter, and the scale of the loss; formulas as in `reference.py`."""

import numpy as np
from numba import njit, prange

from minigan.kernels.cpu.elementwise import both, by_size
from minigan.kernels.launch import launch

BLOCK = 1 << 12  # elements
_NO_SCALE, _NO_OVERFLOW = np.ones(1, np.float32), np.zeros(1, np.int32)


def adam(
    parameters, gradients, firsts, seconds, steps, lr, beta1, beta2, eps, epsilon_hat, scale=None, overflow=None
):  # fmt: skip
    """As `reference.adam`."""
    scale = _NO_SCALE if scale is None else scale.reshape(1)
    overflow = _NO_OVERFLOW if overflow is None else overflow.reshape(1)
    settings = (float(lr), float(beta1), float(beta2), float(eps), bool(epsilon_hat), scale, overflow)
    for *arrays, step in zip(parameters, gradients, firsts, seconds, steps, strict=True):
        by_size(_adam, arrays[0].size, *(a.reshape(-1) for a in arrays), step.reshape(1), *settings)


def move_average(averages, values, decay):
    """As `reference.move_average`."""
    for average, value in zip(averages, values, strict=True):
        by_size(_move_average, average.size, average.reshape(-1), value.reshape(-1), average.dtype.type(1 - decay))


def check_overflow(gradients, overflow):
    """As `reference.check_overflow`."""
    for gradient in gradients:
        launch(_check_overflow, gradient.reshape(-1), overflow.reshape(1))


def update_scale(scale, overflow, good_steps, growth_interval):
    """As `reference.update_scale`."""
    launch(_update_scale, scale.reshape(1), overflow.reshape(1), good_steps.reshape(1), int(growth_interval))


@both
def _adam(parameter, gradient, first, second, step, lr, beta1, beta2, eps, epsilon_hat, scale, overflow):
    if overflow[0] != 0:
        return
    number = parameter.dtype.type
    taken = step[0] + 1
    root_correction2 = np.sqrt(1 - beta2**taken)
    step_size = number(lr / (1 - beta1**taken))
    small = number(eps / root_correction2 if epsilon_hat else eps)
    inverse_root, rest1, rest2 = number(1 / root_correction2), number(1 - beta1), number(1 - beta2)
    keep1, keep2, unscale = number(beta1), number(beta2), number(1 / scale[0])
    blocks = (parameter.size + BLOCK - 1) // BLOCK
    for block in prange(blocks):  # a slice of each array: LLVM finds vector code for roots only in such a loop
        begin, end = block * BLOCK, min((block + 1) * BLOCK, parameter.size)
        p, g, m, v = parameter[begin:end], gradient[begin:end], first[begin:end], second[begin:end]
        for i in range(p.size):
            unscaled = g[i] * unscale
            m[i] = keep1 * m[i] + rest1 * unscaled
            v[i] = keep2 * v[i] + rest2 * unscaled * unscaled
            p[i] -= step_size * m[i] / (np.sqrt(v[i]) * inverse_root + small)
    step[0] = taken


@both
def _move_average(average, value, rest):
    for i in prange(average.size):
        average[i] += rest * (value[i] - average[i])


@njit(cache=True, error_model="numpy")
def _check_overflow(gradient, overflow):
    for i in range(gradient.size):
        if not np.isfinite(gradient[i]):
            overflow[0] = 1


def _update_scale(scale, overflow, good_steps, growth_interval):
    good_steps += 1
    if overflow[0]:
        scale *= np.float32(0.5)
        good_steps[0] = 0
    elif good_steps[0] >= growth_interval:
        scale *= np.float32(2)
        good_steps[0] = 0
    overflow[0] = 0
