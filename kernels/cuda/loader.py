"""Compiles the `.cu` files of this folder when they are first needed, and launches their kernels.

Through CuPy's RawModule on a GPU; in `emulation`, where there is none, through a C++ compiler.
"""

import contextlib
import functools
import re
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan.kernels import pool
from minigan.kernels.cuda import built, emulation
from minigan.kernels.cuda.dependencies import Uses
from minigan.kernels.launch import launch, recording

FOLDER = Path(__file__).parent
_DEFAULT_SHARED_BYTES = 48 << 10  # a kernel that uses more must say so to the driver
_SIDE_STREAMS = 7  # so that eight launches may be under way at once


def arrays():
    """The module whose arrays live on the GPU: CuPy, or its stand-in inside `emulation.active()`."""
    return emulation.module() or cupy_on_stream()


@functools.cache
def cupy_on_stream():
    """CuPy, with our stream as its current one."""
    import cupy

    _stream(cupy)
    return cupy


def stream():
    """The stream that everything of minigan's goes to: a stream of its own, since the default one cannot be captured."""
    return _stream(arrays())


@functools.cache
def _stream(xp):
    stream = xp.cuda.Stream(non_blocking=True)
    stream.__enter__()  # for good: what `use` does, CuPy undoes at the end of any `with` block of another stream
    return stream


def side_streams():
    """More streams, on which a graph is captured."""
    return _side_streams(arrays())


@functools.cache
def _side_streams(xp):
    return [xp.cuda.Stream(non_blocking=True) for _ in range(_SIDE_STREAMS)]


def run(file, name, blocks, threads, *arguments, shared_bytes=0, in_structs=(), **defines):
    """Launches the kernel `name` of `file` on a grid of blocks of threads (ints, or tuples up to (x, y, z)).

    arguments: device arrays (contiguous, passed as pointers), NumPy arrays (structs, passed by value), ints and
    bools (as C's int), floats (as double). in_structs: device arrays whose addresses are in structs, and which may be
    written. defines: macros that the file is compiled with.
    Raises OverflowError for an int that C's int cannot hold.
    """
    kernel = compiled(arrays(), file, name, tuple(sorted(defines.items())))
    if emulation.watching():
        kernel.function.allow(kernel.uses(arguments, in_structs))
    launch(kernel, _triple(blocks), _triple(threads), shared_bytes, *map(_argument, arguments))
    if graph := recording():
        graph.uses.append(kernel.uses(arguments, in_structs))


class Device(NamedTuple):
    """What plans depend on."""

    name: str
    multiprocessors: int
    shared_bytes: int  # that a block may use
    compute_capability: int  # 90 for 9.0
    memory_bytes: int = 0


def device():
    """The current GPU's Device."""
    return _device(arrays())


@functools.cache
def _device(xp):
    if xp is emulation.module():
        return Device("an emulated one", multiprocessors=132, shared_bytes=227 << 10, compute_capability=90)
    number = xp.cuda.runtime.getDevice()
    found = xp.cuda.runtime.getDeviceProperties(number)
    return Device(
        found["name"].decode(),
        found["multiProcessorCount"],
        found["sharedMemPerBlockOptin"],
        10 * found["major"] + found["minor"],
        found["totalGlobalMem"],
    )


class Kernel:
    """A compiled kernel."""

    def __init__(self, function, pointers):
        self.function, self.name = function, getattr(function, "name", "")
        self.pointers = pointers  # for each parameter: "reads", "writes", or None where it is no pointer
        self._shared_bytes = _DEFAULT_SHARED_BYTES

    def uses(self, arguments, in_structs):
        """The memory that a launch with these arguments reads and writes; see `run`."""
        found = {"reads": [], "writes": [_span(array) for array in in_structs]}
        for what, value in zip(self.pointers, arguments, strict=True):
            if what and hasattr(value, "shape") and hasattr(value, "strides") and _is_on_gpu(value):
                found[what].append(_span(value))
        return Uses(tuple(found["reads"]), tuple(found["writes"]))

    @staticmethod
    def kept_argument(value):
        """What a recorded launch keeps of an argument: of an array of the graph's memory only its address.

        So that arrays that died can give their memory to later ones, as in the recording itself.
        """
        if isinstance(value, emulation.Array):
            return np.uint64(value.ctypes.data) if pool.is_leased(value) else value
        if isinstance(value, (np.ndarray, np.generic)) or not hasattr(value, "__cuda_array_interface__"):
            return value
        return np.uint64(value.data.ptr) if isinstance(value.data.mem, cupy_on_stream().cuda.UnownedMemory) else value

    def __call__(self, blocks, threads, shared_bytes, *arguments):
        if shared_bytes > self._shared_bytes:
            self.function.max_dynamic_shared_size_bytes = self._shared_bytes = shared_bytes
        self.function(blocks, threads, arguments, shared_mem=shared_bytes)


@functools.cache
def compiled(xp, file, name, defines):
    """The Kernel of a file of this folder, compiled with the macros ((name, value), ...)."""
    return Kernel(_module(xp, file, defines).get_function(name), _pointers(file, name))


@functools.cache
def _pointers(file, name):
    """What a kernel does with what its parameters point to, as its text declares: "reads" where that is const."""
    declared = re.search(rf"__global__[^{{}};]*\b{name}\(([^)]*)\)", source(file))
    if declared is None:
        raise RuntimeError(f"{file} declares no kernel {name}")
    return tuple(
        None if "*" not in parameter else "reads" if "const" in parameter.split() else "writes"
        for parameter in declared[1].split(",")
    )


@functools.cache
def _module(xp, file, defines):
    options = ("-std=c++17", *(f"-D{name}={value}" for name, value in defines))
    if xp is emulation.module():
        return xp.RawModule(code=source(file), options=options)
    return xp.RawModule(path=str(_machine_code(xp.cuda.nvrtc, source(file), options)))


def _machine_code(nvrtc, code, options):
    """A file with the code compiled for the current GPU, kept in the user's cache folder.

    Not by CuPy, which never asks its compiler for what only compute capability 9.0 has ("sm_90a").
    """
    capability = device().compute_capability
    options = (*options, f"-arch=sm_{capability}{'a' if capability == 90 else ''}")
    path = built.path_of("cuda", "cubin", code, options, nvrtc.getVersion())
    if not path.exists():
        _say_that_it_compiles()
        program = nvrtc.createProgram(code, "kernels.cu", (), ())
        try:
            nvrtc.compileProgram(program, options)
        except nvrtc.NVRTCError:
            raise RuntimeError(f"NVRTC cannot compile the kernels:\n{nvrtc.getProgramLog(program)}") from None
        built.keep(path, nvrtc.getCUBIN(program))
    return path


@functools.cache
def _say_that_it_compiles():
    with contextlib.suppress(OSError):  # a reader that went away
        print(
            "minigan: compiling the CUDA kernels for this GPU (once, about 20 seconds) ...", file=sys.stderr, flush=True
        )


def source(file):
    """The text of a file of this folder with the files that it includes in their places, each once."""
    return _inlined(file, set())


def _inlined(file, seen):
    seen.add(file)

    def included(match):
        return "" if match[1] in seen else _inlined(match[1], seen)

    text = (FOLDER / file).read_text().replace("#pragma once\n", "")
    return re.sub(r'^#include "(.+)"$', included, text, flags=re.MULTILINE)


def _triple(size):
    size = (size,) if isinstance(size, int) else tuple(size)
    return (*size, 1, 1)[:3]


def _argument(value):
    if type(value) is np.ndarray:
        return value.view(f"V{value.nbytes}")  # CuPy passes arrays of one element by value
    if isinstance(value, (int, np.bool_)) and not isinstance(value, np.generic) or isinstance(value, bool):
        return np.int32(check_int(int(value)))
    return np.float64(value) if isinstance(value, float) else value


def check_int(value):
    """The int. Raises OverflowError where C's int cannot hold it."""
    if not -(2**31) <= value < 2**31:
        raise OverflowError(f"{value} does not fit the 32-bit numbers of the CUDA kernels: use smaller batches")
    return value


def address(array):
    """Where a device array begins in memory, an int."""
    return array.ctypes.data if isinstance(array, emulation.Array) else array.data.ptr


def _is_on_gpu(array):
    return isinstance(array, arrays().ndarray)


def _span(array):
    """The addresses (begin, end) between which the elements of a device array lie."""
    begin = end = address(array)
    for length, stride in zip(array.shape, array.strides):
        reach = (length - 1) * stride if length else 0
        begin, end = begin + min(0, reach), end + max(0, reach)
    return begin, end + array.itemsize


def divisor(number, largest):
    """The struct Divisor of device.cuh, two words, for quotients of numbers up to `largest`. Raises OverflowError."""
    if number * largest >= 2**32:
        raise OverflowError(f"{largest} / {number} is too large for the CUDA kernels: use smaller batches")
    return number, -(-(2**32) // number) & 0xFFFFFFFF
