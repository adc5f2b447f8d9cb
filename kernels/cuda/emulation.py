"""A stand-in for CuPy that runs the `.cu` files on the CPU, for tests and for lessons without a GPU.

Its arrays are NumPy's under another type, which count as the GPU's; its kernels are the same source text,
compiled by a C++ compiler against `on_cpu.h`, which plays the thread model. While a graph is captured it
refuses what CUDA and CuPy refuse: matrix products of cuBLAS, copies to the host, synchronising.
"""

import contextlib
import ctypes
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from minigan.kernels.cuda import built

EVERYTHING = [(0, 2**64 - 1, 1)]  # memory from, to, and whether it may be written
_active = None
_capture = None  # the Graph that launches are written to
_FOLDER = Path(__file__).parent
_FLAGS = ("-O1", "-ffp-contract=off", "-fPIC", "-w", "-U_FORTIFY_SOURCE", "-DON_CPU")
_WATCHED = ("-DWATCHED", "-fsanitize=thread", "-g1")


def module():
    """The stand-in, or None outside `active`."""
    return _active


def watching():
    """Whether accesses to memory are looked at, see `active`."""
    return _active is not None and _active.watched


@contextlib.contextmanager
def active(backwards=False, watched=False):
    """Inside the block, "gpu" is emulated. backwards: threads run in reverse order, to show missing barriers.

    watched: a launch raises RuntimeError where a thread reads or writes outside of the launch's arrays, or two threads meet
    without a barrier between (see watch.h); that takes many times as long.
    """
    global _active
    before, _active = _active, _module(backwards, watched)
    try:
        yield _active
    finally:
        _active = before


class CaptureError(RuntimeError):
    """Something was done that cannot be part of a captured graph."""


class Array(np.ndarray):
    """An array that lives on the emulated GPU."""

    __cuda_array_interface__ = property(lambda self: self.__array_interface__)

    def get(self):
        """A copy as a NumPy array."""
        _refuse_in_capture("a copy to the host")
        return np.array(self, subok=False)

    def item(self, *index):
        """One element as a Python number."""
        return self.get().item(*index)

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        if ufunc is np.matmul:
            _refuse_in_capture("a matrix product of cuBLAS")
        given = options.get("out", ())
        plain = [np.asarray(a).view(np.ndarray) if isinstance(a, Array) else a for a in inputs]
        for a in plain if method != "at" else ():  # whose second operand is an index
            if (
                isinstance(a, np.ndarray)
                and a.ndim
                and not any(a is p for p, i in zip(plain, inputs) if isinstance(i, Array))
            ):
                raise TypeError(f"NumPy's {ufunc.__name__} got an array of the GPU and one of the CPU")
        if given:
            options["out"] = tuple(np.asarray(a).view(np.ndarray) if isinstance(a, Array) else a for a in given)
        result = getattr(ufunc, method)(*plain, **options)
        if given:
            return given[0]
        return None if result is None else np.asarray(result).view(Array)

    def __array_function__(self, function, types, arguments, options):
        result = super().__array_function__(function, types, arguments, options)
        return result.view(Array) if isinstance(result, np.ndarray) else result

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return np.asarray(array).view(Array)


class Module:
    """What minigan uses of CuPy's namespace; what is not defined here is NumPy's function, on such arrays."""

    def __init__(self, backwards, watched):
        self.backwards, self.watched = backwards, watched
        self.cuda = _Cuda()
        self.ndarray = Array

    def asarray(self, array, dtype=None):
        """The array on the emulated GPU: itself if it is there already."""
        return array if isinstance(array, Array) and dtype is None else np.array(array, dtype, order="C").view(Array)

    def RawModule(self, code, options):
        """A compiled `.cu` source."""
        return RawModule(self, code, options)

    def __getattr__(self, name):
        function = getattr(np, name)
        if isinstance(function, (type, np.ufunc)) or not callable(function):
            return function

        def on_gpu(*arguments, **options):
            result = function(*arguments, **options)
            return result.view(Array) if isinstance(result, np.ndarray) else result

        return on_gpu


class RawModule:
    """A source compiled to a shared library."""

    def __init__(self, owner, code, options):
        self.owner, self.text = owner, _text(code)
        self.path = _compiled(self.text, tuple(options), owner.watched)
        self.library = ctypes.CDLL(str(self.path))

    def get_function(self, name):
        """The kernel of that name."""
        return RawKernel(self, getattr(self.library, f"launch_{name}"), name)

    def line_at(self, offset):
        """The line of source, stripped, that the machine code at an offset was made of; "" where binutils are missing."""
        lines = self.text.splitlines()
        with contextlib.suppress(OSError, ValueError, IndexError):
            command = ["addr2line", "-i", "-e", str(self.path), hex(offset)]  # the innermost inlined function first
            for place in subprocess.run(command, capture_output=True, text=True).stdout.splitlines():
                line = lines[int(place.split(":")[1].split()[0]) - 1].strip()
                if "on_cpu::" not in line:
                    return line
        return ""


class Launch(ctypes.Structure):
    """As in on_cpu.h."""

    _fields_ = [
        ("grid", ctypes.c_uint * 3), ("threads", ctypes.c_uint * 3), ("backwards", ctypes.c_int),
        ("shared_bytes", ctypes.c_int), ("span_count", ctypes.c_int), ("spans", ctypes.c_void_p),
    ]  # fmt: skip


class RawKernel:
    """A kernel: called with grid, block, arguments and the bytes of dynamic shared memory."""

    max_dynamic_shared_size_bytes = 48 << 10

    def __init__(self, module, function, name):
        self.module, self.function, self.name = module, function, name
        self._spans = None
        function.restype = ctypes.c_char_p

    def allow(self, uses):
        """What the next launch may read and write, a `dependencies.Uses`; without it, its arrays.

        A launch with an address or a struct among its arguments may touch everything then.
        """
        self._spans = [(*span, 0) for span in uses.reads] + [(*span, 1) for span in uses.writes]

    def __call__(self, grid, block, arguments, shared_mem=0):
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError(f"{self.name} asks for more shared memory than was announced")
        if max(grid[1:]) > 65535 or min(*grid, *block) < 1 or np.prod(block) > 1024:
            raise RuntimeError(f"{self.name} was launched on a grid {grid} of {block}: CUDA refuses that")
        if _capture:
            _capture.add(_stream, self, grid, block, arguments, shared_mem)
            return
        values = [_by_value(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(values))(*[v.ctypes.data for v in values])
        spans = np.array(self._spans or _spans_of(arguments), np.uint64)
        self._spans = None
        launch = Launch(
            grid, block, self.module.owner.backwards, shared_mem, len(spans), spans.ctypes.data_as(ctypes.c_void_p)
        )
        error = self.function(pointers, ctypes.byref(launch))
        if error:
            what, _, offset = error.decode().partition(" @")
            line = offset and self.module.line_at(int(offset, 16))
            raise RuntimeError(f"{self.name}: {what}{line and f': {line}'}")


def _spans_of(arguments):
    """Where the arrays among a launch's arguments lie, all to be written."""
    if any(isinstance(a, np.uint64) or getattr(a, "dtype", np.dtype("i")).kind == "V" for a in arguments):
        return EVERYTHING  # an address, or a struct that may hold some
    arrays = [a for a in arguments if isinstance(a, Array)]
    return [(a.ctypes.data, a.ctypes.data + a.nbytes, 1) for a in arrays] or EVERYTHING


def _by_value(argument):
    """A NumPy array whose bytes are the kernel's argument: a pointer, a struct or a number."""
    if isinstance(argument, Array):
        return np.array(argument.ctypes.data, np.uint64)
    return np.asarray(argument)


class Stream:
    """A stream: everything happens at once, but for what is captured."""

    def __init__(self, non_blocking=False):
        self.graph, self.after = None, []  # that captures it; what its next launch comes after, by number

    def __enter__(self):
        global _stream
        self._before, _stream = _stream, self
        return self

    def __exit__(self, *exception):
        global _stream
        _stream = self._before

    def synchronize(self):
        """Nothing: all work is done. Refused in a capture."""
        _refuse_in_capture("synchronising")

    def begin_capture(self):
        """From here on, launches are written down instead of made."""
        global _capture
        _capture = self.graph = Graph()
        self.after = []

    def end_capture(self):
        """The Graph of the launches since begin_capture. Raises CaptureError where other streams do not end in this one."""
        global _capture
        graph, _capture, self.graph = _capture, None, None
        if graph is None:
            raise CaptureError("no capture was begun")
        if not set(range(len(graph.launches))) <= graph.all_before(self.after):
            raise CaptureError("a stream that was forked off does not join the one that is captured")
        return graph

    def wait_event(self, event):
        """What follows here comes after what was recorded there, and becomes part of its capture."""
        if _capture:
            self.after = event.after + (self.after if self.graph is event.graph else [])
            self.graph = event.graph


_stream = Stream()  # the current one


class Graph:
    """Launches that were captured, each with those that it comes after."""

    def __init__(self):
        self.launches, self.after = [], []

    def add(self, stream, *launch):
        """One more launch, on a stream. Raises CaptureError for a stream that takes no part in the capture."""
        if stream.graph is not self:
            raise CaptureError("a launch on a stream that is not captured, while another is")
        self.after.append(stream.after)
        stream.after = [len(self.launches)]
        self.launches.append(launch)

    def all_before(self, numbers):
        """The launches of these numbers, and all that come before them."""
        found, todo = set(), list(numbers)
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo += self.after[number]
        return found

    def launch(self, stream=None):
        """Makes them, later ones first where the graph allows it: a GPU may take any order that it allows."""
        left = {number: set(after) for number, after in enumerate(self.after)}
        while left:
            number = max(number for number, after in left.items() if not after & left.keys())
            del left[number]
            kernel, *arguments = self.launches[number]
            kernel(*arguments)


class Event:
    """A point in a stream, always reached already."""

    def __init__(self, disable_timing=False, block=False):
        self.graph, self.after = None, []

    def record(self, stream=None):
        """Is the point that the stream is at."""
        stream = stream or _stream
        self.graph, self.after = stream.graph, list(stream.after)

    def synchronize(self):
        """Nothing. Refused in a capture."""
        _refuse_in_capture("synchronising")


class _Cuda:
    Stream, Event, Graph = Stream, Event, Graph


def _refuse_in_capture(what):
    if _capture:
        raise CaptureError(f"{what} cannot be captured into a CUDA graph")


def _text(code):
    """A source with all that it takes to compile and call it on the CPU."""
    on_cpu, watch = ((_FOLDER / name).read_text().replace("#pragma once\n", "") for name in ("on_cpu.h", "watch.h"))
    names = re.findall(r"__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\(", code)
    return "\n".join([
        on_cpu.replace('#include "watch.h"\n', watch), code,
        *(f'extern "C" const char *launch_{name}(void **arguments, const on_cpu::Launch *of) '
          f"{{ return on_cpu::launch({name}, arguments, of); }}" for name in names),
    ])  # fmt: skip


@functools.cache
def _compiled(text, options, watched):
    """The shared library made of a text, kept in the user's cache folder: its path."""
    compiler = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
    if not compiler:
        raise RuntimeError("emulating a GPU takes a C++ compiler: install g++")
    options = (*_FLAGS, *(_WATCHED if watched else ()), *options)
    library = built.path_of("emulation", "so", compiler, options, text)
    if not library.exists():
        with tempfile.TemporaryDirectory() as scratch:
            source, code, made = (Path(scratch) / f"kernels.{ending}" for ending in ("cpp", "o", "so"))
            source.write_text(text)
            # In two steps: with -fsanitize=thread, the second would link the sanitizer's own functions.
            for command in (*options, "-c", str(source), "-o", str(code)), ("-shared", str(code), "-o", str(made)):
                process = subprocess.run([compiler, *command], capture_output=True, text=True)
                if process.returncode:
                    raise RuntimeError(f"{compiler} cannot compile the kernels:\n{process.stderr}")
            built.keep(library, made.read_bytes())
    return library


@functools.cache
def _module(backwards, watched):
    return Module(backwards, watched)
