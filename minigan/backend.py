"""Devices: where an array lives, how it gets there, which kernels work on it, and with how many threads.

The only file of the library that imports CuPy, and only when a GPU is asked for.
"""

import functools
import importlib.util

import numpy as np

from minigan import kernels as kernel_sets
from minigan.errors import UserError
from minigan.kernels import pool
from minigan.kernels.launch import computed, launch, recording
from minigan.kernels.launch import contiguous as contiguous_on_cpu

__all__ = [
    "array_module", "computed", "contiguous", "device_of", "empty", "kernels", "launch", "recording", "select_device",
    "set_threads", "thread_count", "to_device", "to_numpy",
]  # fmt: skip


def device_of(array):
    """ "cpu" for a NumPy array, "gpu" for a CuPy array."""
    return "cpu" if isinstance(array, (np.ndarray, np.generic)) else "gpu"


def array_module(device):
    """The NumPy-like module whose arrays live on `device`: numpy or cupy."""
    return np if device == "cpu" else _cupy()


def kernels(array):
    """The kernels that work where `array` lives (see minigan/kernels)."""
    return kernel_sets.for_device(device_of(array))


def empty(shape, like):
    """An uninitialised array of `shape`, of the dtype and on the device of the array `like`."""
    if device_of(like) == "cpu":
        return pool.empty(shape, like.dtype)
    return _cupy().empty(shape, like.dtype)


def contiguous(array):
    """The array in C order, of the same shape (NumPy's function of that name turns 0-d into 1-d)."""
    if array.flags.c_contiguous:
        return array
    return contiguous_on_cpu(array) if device_of(array) == "cpu" else _cupy().ascontiguousarray(array)


def to_device(array, device):
    """The array itself where it is there already, else a copy on "cpu" or "gpu"."""
    if device_of(array) == device:
        return array
    return to_numpy(array) if device == "cpu" else _cupy().asarray(array)


def to_numpy(array):
    """The array on the CPU: itself if it is there already."""
    return array if device_of(array) == "cpu" else array.get()


def select_device(name):
    """ "cpu" or "gpu" for the words a user writes: "cpu", "gpu", or "auto" (a usable GPU, else the CPU).

    Raises UserError for "gpu" where there is none, saying what is missing.
    """
    if name not in ("auto", "cpu", "gpu"):
        raise UserError(f"unknown device {name!r}; use cpu, gpu or auto")
    if name == "cpu":
        return "cpu"
    missing = _why_no_gpu()
    if missing and name == "gpu":
        raise UserError(f"--device gpu: {missing}; or use --device cpu")
    return "cpu" if missing else "gpu"


def thread_count():
    """The threads that CPU kernels use now."""
    import numba

    return numba.get_num_threads()


def set_threads(count=None):
    """Gives CPU kernels `count` threads, or all there are. Raises UserError for more than there are."""
    import numba

    available = numba.config.NUMBA_NUM_THREADS
    if count is not None and count > available:
        raise UserError(f"--threads {count}: this machine offers {available}")
    numba.set_num_threads(count or available)


@functools.cache
def _cupy():
    import cupy

    return cupy


@functools.cache
def _why_no_gpu():
    """None where a GPU can be used, else what is missing and how to get it."""
    if importlib.util.find_spec("minigan.kernels.cuda") is None:
        return "this version of minigan has no CUDA kernels yet"
    try:
        cupy = _cupy()
    except ImportError:
        return "CuPy is not installed; in minigan's folder: pip install -e '.[gpu]' (gpu12 for CUDA 12)"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no usable GPU ({error})"
    if count == 0:
        return "CuPy finds no GPU on this machine"
    return None
