"""Checks of exercise 18. Kernels run in the emulation of a GPU, or without a C++ compiler on a GPU."""

import ctypes
import functools
import os
import re
import shutil

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen

from minigan import backend
from minigan.kernels.cuda import emulation, loader

OPTIONS = ("-std=c++17",)
BESIDE = 512  # elements before and behind a result that no kernel may touch
PLACEHOLDER = -12345.0  # what they, and the result, hold before the launch
GUARDS = """
// An array of shared memory with elements behind it that stay NaN where the kernel keeps within it.
struct Guard { Guard *next; virtual long written() = 0; };
static Guard *first_guard = nullptr;
template <class T, int N> struct Guarded : Guard {
    T inside[N], beyond[1024];
    Guarded() { memset((void *)inside, 0xff, sizeof(inside) + sizeof(beyond)); next = first_guard; first_guard = this; }
    operator T *() { return inside; }
    long written() override {  // 0, or the size and the index of the first element that was written behind the end
        static const T nan = [] { T value; memset((void *)&value, 0xff, sizeof(T)); return value; }();
        for (int i = 0; i < 1024; i++)
            if (memcmp((void *)(beyond + i), (void *)&nan, sizeof(T))) {
                memset((void *)beyond, 0xff, sizeof(beyond));
                return N * 1000000L + N + i;
            }
        return 0;
    }
};
extern "C" long written_beyond() {
    long found = 0;
    for (Guard *guard = first_guard; guard; guard = guard->next)
        if (long written = guard->written()) found = written;
    return found;
}
"""
ORDERS = (False, True)  # of the threads: whether the last one runs first (in the emulation; a GPU takes its own order)


@check(points=1)
def blocks(student, rng):
    """block_count rounds up: every element has a thread, and no block is empty"""
    cases = []
    for threads in (1, *rng.integers(2, 300, size=3)):
        for size in (1, threads, threads + 1, 3 * threads, 3 * threads + 1, int(rng.integers(4, 9) * threads - 1)):
            cases.append((threads, size))
    for threads, size in (*cases, (1024, 2**24 + 1)):
        agree(
            student.block_count(int(size), int(threads)), len(range(0, size, threads)), "the number of blocks",
            given={"size": int(size), "threads": int(threads)},
            slips={
                "it is worked out in float32, which has no room for each whole number above 2^24":
                    np.ceil(np.float32(size) / np.float32(threads)) if size > 2**24 else -1,
                "it is rounded down: the last elements have no thread": size // threads,
                "a whole multiple of the threads gets one block too many": size // threads + 1,
            },
        )  # fmt: skip


@check(points=2)
def memory(student, rng):
    """sectors counts the different 32-byte sectors that the elements lie in"""
    warp = np.arange(32)
    loads = [warp, 2 * warp, 28 * warp, 5 + warp, np.full(32, 9), np.array([100, 3, 50])]
    loads += [rng.integers(0, 400, size=rng.integers(2, 33)) for _ in range(4)]
    for elements in map(frozen, loads):
        for size in (None, 8, 1, 16):
            each = 8 if size is None else 32 // size  # elements of a sector
            agree(
                student.sectors(elements, *([] if size is None else [size])), len(set(elements // each)), "the number of sectors",
                given={"elements": elements} | ({} if size is None else {"element_bytes": size}),
                slips={
                    "it counts the different elements, not their sectors": len(set(elements)),
                    "every thread counts, also where several share a sector": len(elements),
                    "a sector has 32 bytes, not 32 elements": len(set(elements // 32)),
                    "element_bytes is not used": len(set(elements // 8)),
                    "the sectors between the first and the last are counted, too, though nobody reads from them":
                        max(elements) // each - min(elements) // each + 1,
                    "the wanted bytes are divided by 32; it matters where they lie": -(-len(elements) // each),
                },
            )  # fmt: skip


@check(points=3)
def gradient(student, rng):
    """leaky_relu_backward gives the gradient of the leaky ReLU, one thread for each element"""
    source = _source(student.leaky_relu_backward, "leaky_relu_backward")
    for size, threads in ((70, 32), (192, 64), (129, 128), (1, 32)):
        g, x = (rng.normal(size=size).astype(np.float32) for _ in range(2))
        x[rng.integers(size)] = 0
        slope = np.float32(rng.uniform(0.05, 0.5))
        given = {"size": size, "blockDim.x": threads, "g": g, "x": x, "slope": slope}
        arguments = np.int32(size), g, x, slope
        out = _launch("leaky_relu_backward", source, len(range(0, size, threads)), threads, arguments, size, given)
        agree(
            out, np.where(x > 0, g, slope * g), "out", given, rtol=1e-5, atol=1e-7,
            slips={
                "the leaky ReLU itself is computed, not its gradient": np.where(x > 0, x, slope * x),
                "g is missing: the derivative is to be multiplied by it": np.where(x > 0, 1, slope),
                "x = 0 is taken for positive": np.where(x >= 0, g, slope * g),
                "the two sides are exchanged": np.where(x > 0, slope * g, g),
                "the sign of g is asked, where that of x counts": np.where(g > 0, g, slope * g),
                "the slope is missing: that is the gradient of ReLU": np.where(x > 0, g, 0),
            },
        )  # fmt: skip


@check(points=2)
def sums(student, rng):
    """row_sums adds up each row, with more and with fewer columns than threads"""
    source = _source(student.row_sums, "row_sums")
    for columns, threads in ((300, 256), (64, 64), (100, 32), (20, 64), (128, 32)):
        x, given = _matrix(rng, columns, threads)
        found = [_launch("row_sums", source, len(x), threads, (np.int32(columns), x), len(x), given, b) for b in ORDERS]
        right = x.sum(1, dtype=float)
        agree(
            next((out for out in found if np.allclose(out, right, 1e-5, 1e-4)), found[0]), right, "sums", given,
            _wrong_sums(x, threads), rtol=1e-5, atol=1e-4,
        )  # fmt: skip


@check(points=2)
def order(student, rng):
    """row_sums gives the same whichever thread comes first: no barrier is missing"""
    source = _source(student.row_sums, "row_sums")
    for columns, threads in ((130, 64), (40, 32), (256, 128)):
        x, given = _matrix(rng, columns, threads)
        first, last = (
            _launch("row_sums", source, len(x), threads, (np.int32(columns), x), len(x), given, b) for b in ORDERS
        )
        given |= {"sums, thread 0 running first": first, "sums, thread 0 running last": last}
        differ = "The sums depend on which thread of the block runs first"
        expect(
            np.allclose(first, last, 1e-4, 1e-3),
            f"{differ}: a barrier is missing, and a thread reads what another has not yet written.", given,
        )  # fmt: skip
        expect(np.array_equal(first, last), f"{differ}, in the last digits: add in an order that is fixed.", given)
        agree(first, x.sum(1, dtype=float), "sums", given, _wrong_sums(x, threads), rtol=1e-5, atol=1e-4)


def _matrix(rng, columns, threads):
    """A matrix (3, columns) with rows that cannot be mistaken for each other, and what to show of it."""
    x = (rng.normal(size=(3, columns)) + [[1], [2], [4]]).astype(np.float32)
    return x, {"rows": 3, "columns": columns, "blockDim.x": threads, "x": x}


def _wrong_sums(x, threads):
    """{sentence: what that mistake gives} for row_sums."""
    (rows, columns), thread = x.shape, np.arange(x.shape[1]) % threads
    some_warps = {
        f"only the threads of the first warp{f's, {count} of them,' * (count > 1)} are added": x[
            :, thread < 32 * count
        ].sum(1)
        for count in range(1, threads // 32)
    }
    return {
        "only the first blockDim.x columns are added: a thread goes on with t + blockDim.x": x[:, :threads].sum(1),
        "what thread 0 has added is returned; what the others have is missing": x[:, thread == 0].sum(1),
        "the first round is missing: it adds the upper half of the threads": x[:, thread < threads // 2].sum(1),
        "the last round, which adds thread 1 to thread 0, is missing": x[:, thread % 2 == 0].sum(1),
        "thread 0 is left out": x[:, thread != 0].sum(1),
        "every block sums row 0: blockIdx.x is the row": np.full(rows, x[0].sum()),
        "it is the mean, not the sum": x.mean(1),
        "a row begins at blockIdx.x * columns, not at blockIdx.x * blockDim.x":
            [x.ravel()[row * threads :][:columns].sum() for row in range(rows)],
        **some_warps,
    }  # fmt: skip


def _compiler():
    return os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def _source(function, name):
    """The student's source of a kernel, with what any would do wrong said."""
    source = function()
    expect(
        isinstance(source, str),
        f"{name} should return the kernel's source, a string; it returns {type(source).__name__}",
    )
    expect(
        re.search(rf"__global__\s+void\s+{name}\s*\(", source),
        f"the source has no kernel `__global__ void {name}(`",
        {"source": source},
    )
    expect(
        'extern "C"' in source, f'without extern "C" a GPU\'s compiler gives {name} another name, and it is not found'
    )
    for atomic in re.findall(r"(atomic\w+)\s*\(", re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.DOTALL)):
        expect(False, f"{atomic}: its additions come in an order that changes from run to run; add in a fixed order")
    return f'#line 1 "{name}"\n{source}\n'.replace(f"{name} (", f"{name}(")


def _launch(name, source, blocks, threads, arguments, size, given, backwards=False):
    """The result (size,) of the kernel. Raises Mistake where it cannot be compiled, or writes where it should not."""
    if _compiler():
        device = emulation.active(backwards)
    elif backend.why_no_gpu() is None:
        device = _REAL
    else:
        raise Mistake("kernels are run in an emulation, which takes a C++ compiler (Linux: install g++), or on a GPU; here "
                      "is neither")  # fmt: skip
    with device:
        xp = loader.arrays()
        memory = xp.full(size + 2 * BESIDE, PLACEHOLDER, np.float32)
        on_gpu = [_beside_nan(xp, a) if isinstance(a, np.ndarray) else a for a in arguments]
        try:
            module = xp.RawModule(code=_guarded(source) if _compiler() else source, options=OPTIONS)
            kernel = module.get_function(name)
            kernel((blocks, 1, 1), (threads, 1, 1), (*on_gpu, memory[BESIDE : BESIDE + size]))
        except Exception as error:
            raise Mistake(_in_words(name, str(error))) from None
        memory = memory.get()
    if _compiler() and hasattr(module.library, "written_beyond"):
        module.library.written_beyond.restype = ctypes.c_long
        length, index = divmod(module.library.written_beyond(), 10**6)
        expect(
            not length,
            f"{name} writes to element {index} of an array of {length} in shared memory, beyond its end: it needs one for each "
            f"number that the block's {threads} threads leave there",
            given,
        )
    touched = np.flatnonzero(memory != PLACEHOLDER) - BESIDE
    outside = touched[(touched < 0) | (touched >= size)]
    expect(
        not outside.size, f"{name} writes to element {outside[0] if outside.size else 0} of a result of {size}: only threads with an element may write",
        given,
    )  # fmt: skip
    missing = np.setdiff1d(np.arange(size), touched)
    expect(
        not missing.size,
        f"{name} never writes element {missing[0] if missing.size else 0} of its result (it leaves out {missing.size})",
        given,
    )
    return memory[BESIDE : BESIDE + size]


@functools.cache
def _guarded(source):
    """The source with its arrays of shared memory guarded, for the emulation; itself if it cannot be compiled so."""
    found = re.sub(
        r"__shared__\s+((?:volatile\s+)?\w+)\s+(\w+)\s*\[([^\]]+)\]\s*;", r"__shared__ Guarded<\1, \3> \2;", source
    )
    if found == source:
        return source
    try:
        emulation.module().RawModule(GUARDS + found, OPTIONS)
    except RuntimeError:
        return source
    return GUARDS + found


def _beside_nan(xp, array):
    """The array on the device, with NaN before and behind it, so that a result shows what was read there."""
    memory = xp.full(array.size + 2 * BESIDE, np.nan, np.float32)
    memory[BESIDE : BESIDE + array.size] = xp.asarray(array.reshape(-1))
    return memory[BESIDE : BESIDE + array.size]


class _Real:
    """`with _REAL:` where a GPU's kernels are to run on the GPU."""

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass


_REAL = _Real()


def _in_words(name, text):
    if "different barriers" in text:
        return (
            f"{name}: some threads of a block never come to a barrier that others wait at: __syncthreads() stands in a branch or "
            "loop that not all of them run through, or behind a return"
        )
    errors = [line for line in text.splitlines() if "error" in line and "cannot compile" not in line][:4]
    return f"{name} cannot be compiled (name:line:column):\n" + "\n".join(errors or [text[:500]])
