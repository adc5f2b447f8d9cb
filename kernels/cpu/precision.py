"""What a GPU's tensor cores do to the factors of a product, on the CPU: they are cut or rounded to fewer bits.

Sums are float32's, as in `kernels/cuda/tensor_core.cuh`, and the products exact, but for minimal filtering
(`winograd.py`), whose error is far below that of the rounding. So a training on the CPU shows what a precision does to it,
if not how fast it is ("Mixed Precision Training", Micikevicius et al. 2018, section 3).
"""

import numpy as np
from numba import prange

from minigan.kernels import pool
from minigan.kernels.cpu.elementwise import both, by_size
from minigan.kernels.launch import launch

INFINITE = np.uint32(0x7F800000)  # the bits of float32's infinity, beyond which are those of NaN
LARGEST, SMALL = np.uint32(0x477FE000), np.uint32(0x38800000)  # those of 65504 and of 2^-14
HALF = np.float32(0.5)
_precision = "float32"


def set_precision(name):
    """The precision of the factors in products of float32 from now on: "float32", "tf32", "bf16" or "fp16".

    Raises ValueError for any other name.
    """
    global _precision
    if name != "float32" and name not in _ROUND:
        raise ValueError(f"precision is one of float32, {', '.join(_ROUND)}, not {name!r}")
    _precision = name


def precision():
    """The precision in use."""
    return _precision


def in_precision(array):
    """A float32 array in the precision in use, in C order: itself where that is float32, or for an array of another dtype."""
    if _precision == "float32" or array.dtype != np.float32:
        return array
    out = pool.empty(array.shape)
    if not array.flags.c_contiguous:
        launch(np.copyto, out, array)
        array = out
    by_size(_ROUND[_precision], array.size, array.reshape(-1).view(np.uint32), out.reshape(-1).view(np.uint32))
    return out


@both
def _tf32(bits, out):
    """10 bits of mantissa; the hardware cuts the others off."""
    for i in prange(bits.size):
        out[i] = bits[i] & np.uint32(0xFFFFE000)


@both
def _bf16(bits, out):
    """7 bits of mantissa, to the nearest, ties to even."""
    for i in prange(bits.size):
        odd = bits[i] >> np.uint32(16) & np.uint32(1)
        rounded = (bits[i] + np.uint32(0x7FFF) + odd) & np.uint32(0xFFFF0000)
        out[i] = bits[i] if bits[i] & INFINITE == INFINITE else rounded


@both
def _fp16(bits, out):
    """10 bits of mantissa and 5 of exponent, to the nearest, ties to even; the largest number is 65504."""
    for i in prange(bits.size):
        sign, size = bits[i] & np.uint32(0x80000000), bits[i] & np.uint32(0x7FFFFFFF)
        odd = size >> np.uint32(13) & np.uint32(1)
        rounded = (size + np.uint32(0x0FFF) + odd) & np.uint32(0xFFFFE000)
        rounded = rounded if rounded <= LARGEST else INFINITE
        # Below 2^-14 numbers are whole steps of 2^-24, which is what the last bit of 1/2 is worth.
        steps = np.uint32(size).view(np.float32) + HALF
        rounded = np.float32(steps - HALF).view(np.uint32) if size < SMALL else rounded
        out[i] = bits[i] if size >= INFINITE else sign | rounded


_ROUND = {"tf32": _tf32, "bf16": _bf16, "fp16": _fp16}
