"""Devices: where an array lives, how it gets there, which kernels work on it, and with how many threads.

The only file of the library that asks for CuPy, through `kernels/cuda`, and only when a GPU is asked for. While a training
step is recorded (`kernels/launch.py`), only launches of kernels are written down for the replay: so arrays are copied,
filled and computed through the functions here.
"""

import contextlib
import functools
import importlib

import numpy as np

from minigan import kernels as kernel_sets
from minigan.errors import UserError
from minigan.kernels import pool
from minigan.kernels.launch import launch, recording, replayable

PRECISIONS = {"float32": 0, "tf32": 80, "bf16": 80, "fp16": 70}  # with the compute capability that each takes


def device_of(array):
    """ "cpu" for a NumPy array, "gpu" for a CuPy array."""
    return "cpu" if type(array) is np.ndarray or not hasattr(array, "__cuda_array_interface__") else "gpu"


def as_array(value):
    """The value itself where it is an array on the GPU, else as NumPy's array of it."""
    return value if device_of(value) == "gpu" else np.asarray(value)


def array_module(device):
    """The NumPy-like module whose arrays live on `device`: numpy or cupy."""
    return np if device == "cpu" else _cuda("loader").arrays()


def kernels(array):
    """The kernels that work where `array` lives (see minigan/kernels)."""
    return kernel_sets.for_device(device_of(array))


def empty(shape, like):
    """An uninitialised array of `shape`, of the dtype and on the device of the array `like`."""
    return empty_on(device_of(like), shape, like.dtype)


def empty_on(device, shape, dtype=np.float32):
    """An uninitialised array of `shape` on the device; where a graph is recorded, in the graph's memory."""
    return pool.empty(shape, dtype) if device == "cpu" else _cuda("memory").empty(shape, dtype)


def zeros_on(device, shape, dtype=np.float32):
    """An array of zeros on the device, with memory of its own."""
    return array_module(device).zeros(shape, dtype)


def contiguous(array):
    """The array in C order, of the same shape (NumPy's function of that name turns 0-d into 1-d)."""
    if array.flags.c_contiguous:
        return array
    return copy_into(empty(array.shape, array), array)


def copy_into(target, source):
    """target = source, broadcast to its shape, by a launch; both on one device, of one dtype. Returns target."""
    if device_of(target) == "cpu":
        launch(np.copyto, target, source)
    else:
        _cuda("arithmetic").copy(source, target)
    return target


def fill(target, value):
    """Every element of target = value, by a launch. Returns target."""
    if device_of(target) == "cpu":
        launch(np.copyto, target, value)
    else:
        _cuda("arithmetic").fill(value, target)
    return target


def elementwise(ufunc, *arrays):
    """ufunc(*arrays): what NumPy's function of that name does, in a form that a recorded graph can do again."""
    if device_of(arrays[0]) == "cpu":
        return replayable(ufunc, arrays) if recording() else ufunc(*arrays)
    arithmetic = _cuda("arithmetic")
    if ufunc not in arithmetic.UFUNCS or arrays[0].dtype.kind != "f":
        return computed(ufunc, arrays)
    out = empty(np.broadcast_shapes(*(a.shape for a in arrays)), arrays[0])
    return arithmetic.apply(ufunc, arrays, out)


def elementwise_into(out, ufunc, *operands):
    """out = ufunc(*operands), arrays or numbers, by a launch. Returns out."""
    if device_of(out) == "cpu":
        launch(ufunc, *(a if hasattr(a, "dtype") else out.dtype.type(a) for a in operands), out)
    else:
        _cuda("arithmetic").apply(ufunc, operands, out)
    return out


def computed(function, arrays):
    """function(*arrays), an array; where a graph is recorded, by launches that compute it again.

    Raises RuntimeError for a function of arrays on the GPU that is neither a view nor made of our own kernels.
    """
    graph = recording()
    if graph is None:
        return function(*arrays)
    if all(device_of(a) == "cpu" for a in arrays):
        return replayable(function, arrays)
    before = len(graph.launches)
    out = function(*arrays)
    if len(graph.launches) == before and not any(_share_memory(out, a) for a in arrays):
        name = type(function.__self__).__name__ if hasattr(function, "__self__") else function.__name__
        raise RuntimeError(f"{name} has no CUDA kernel of ours, so it cannot be captured into a graph: use --no-graph")
    return out


def _share_memory(out, operand):
    if isinstance(out, np.ndarray):
        return np.may_share_memory(out, operand)
    return device_of(operand) == "gpu" and out.data.mem is operand.data.mem  # an operand may be a plain number


def to_device(array, device):
    """The array itself where it is there already, else a copy on "cpu" or "gpu"."""
    if device_of(array) == device:
        return array
    return to_numpy(array) if device == "cpu" else array_module("gpu").asarray(array)


def to_numpy(array):
    """The array on the CPU: itself if it is there already. Raises RuntimeError while a graph is recorded."""
    if device_of(array) == "cpu":
        return array
    if recording():
        raise RuntimeError("a copy from the GPU to the CPU cannot be captured into a graph: use --no-graph")
    return array.get()


def read_later(array):
    """A function that waits for the array's numbers as of now and returns them as a NumPy array.

    What is enqueued on the GPU in the meantime need not be waited for.
    """
    if device_of(array) == "cpu":
        copy = array.copy()
        return lambda: copy
    return _cuda("graph").read_later(array)


def capture(graph):
    """A function of no arguments that makes the launches of a recorded Graph again: on the GPU as one CUDA graph."""
    on_gpu = any(hasattr(kernel, "kept_argument") for kernel, _ in graph.launches)
    return _cuda("graph").captured(graph) if on_gpu else graph.replay


def synchronize(device):
    """Waits until all that was enqueued on the device is done."""
    if device == "gpu":
        _cuda("loader").stream().synchronize()


def describe(device):
    """The device in words: the GPU's name."""
    return "CPU" if device == "cpu" else f"GPU ({gpu_name()})"


def gpu_name():
    """What the GPU's maker calls it."""
    return _cuda("loader").device().name


def select_device(name, precision="float32", option="--precision"):
    """ "cpu" or "gpu" for the words a user writes: "cpu", "gpu", or "auto" (a usable GPU, else the CPU).

    Raises UserError for "gpu" where there is none, saying what is missing; and for "auto" there, where an option asks for
    a precision that makes only a GPU faster.
    """
    if name not in ("auto", "cpu", "gpu"):
        raise UserError(f"unknown device {name!r}; use cpu, gpu or auto")
    if name == "cpu":
        return "cpu"
    missing = why_no_gpu()
    if missing and name == "gpu":
        raise UserError(f"--device gpu: {missing}; or use --device cpu")
    if missing and precision != "float32":
        raise UserError(f"{option} {precision}: {missing}; --device cpu rounds as a GPU would, but is no faster for it")
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


def set_precision(name, device):
    """The precision in which convolutions and dense layers multiply: one of PRECISIONS; sums are float32's.

    The CPU rounds the factors as a GPU does, and multiplies in float32. Raises UserError where a GPU cannot do it.
    """
    if device == "gpu":
        found = _cuda("loader").device()
        if found.compute_capability < PRECISIONS[name]:
            able = ", ".join(p for p, needed in PRECISIONS.items() if needed <= found.compute_capability)
            raise UserError(f"--precision {name}: this GPU, {found.name}, cannot do that; it can do {able}")
    _products(device).set_precision(name)


def precision(device):
    """The precision in use on the device."""
    return _products(device).precision()


@contextlib.contextmanager
def full_precision(device):
    """Inside the block, products are float32's, whatever the precision in use."""
    before = precision(device)
    _products(device).set_precision("float32")
    try:
        yield
    finally:
        _products(device).set_precision(before)


def _products(device):
    """The module that keeps the device's precision."""
    return importlib.import_module("minigan.kernels.cpu.precision") if device == "cpu" else _cuda("convolution")


def _cuda(name):
    """A module of kernels/cuda."""
    return importlib.import_module(f"minigan.kernels.cuda.{name}")


def why_no_gpu():
    """None where a GPU can be used, else what is missing and how to get it."""
    return None if _cuda("emulation").module() else _why_no_gpu()


@functools.cache
def _why_no_gpu():
    try:
        import cupy
    except ImportError:
        return "CuPy is not installed; in minigan's folder: pip install -e '.[gpu]' (gpu12 for CUDA 12)"
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"CuPy finds no usable GPU ({error})"
    if count == 0:
        return "CuPy finds no GPU on this machine"
    return None
