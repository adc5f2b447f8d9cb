"""Kernel launches, and graphs of them: what a training step does to arrays, without the Python between.

Every kernel is called through `launch`. While a graph is being recorded, each launch is also written
down; replaying the graph makes the same calls on the same memory, as a CUDA graph does on a GPU
("Programming Guide", chapter on CUDA graphs). What does not go through `launch` is not replayed.
"""

import contextlib

import numpy as np

from minigan.kernels import pool

_recording = None  # the Graph that launches are written to


class Graph:
    """A list of launches and the memory they use."""

    def __init__(self):
        self.launches = []
        self.uses = []  # of kernels on a GPU: what memory each launch reads and writes, `cuda.dependencies.Uses`
        self._memory = pool.FreeLists()

    def replay(self):
        """Makes all launches again, in their order."""
        for kernel, arguments in self.launches:
            kernel(*arguments)

    def memory_bytes(self):
        """Bytes of the arrays that lived and died inside the graph."""
        return sum(block.nbytes for blocks in self._memory.values() for block in blocks)


def launch(kernel, *arguments):
    """Calls kernel(*arguments), a function that writes into arrays among its arguments; returns nothing."""
    kernel(*arguments)
    if _recording is not None:
        kept = getattr(kernel, "kept_argument", pool.without_lease)
        _recording.launches.append((kernel, [kept(a) for a in arguments]))


def recording():
    """The Graph being recorded, or None."""
    return _recording


@contextlib.contextmanager
def record():
    """Inside the block, launches are made and recorded. Yields the Graph.

    Arrays that die inside the block give their memory to later ones, here as in the replays: an array
    whose values are wanted after a replay must outlive the block.
    """
    global _recording
    if _recording is not None:
        raise RuntimeError("a graph is being recorded already")
    graph = Graph()
    with pool.private(graph._memory):
        _recording = graph
        try:
            yield graph
        finally:
            _recording = None


def replayable(function, arrays):
    """function(*arrays), an array; while a graph is recorded and it launched nothing, by a launch that computes it again.

    For the many small functions that have no kernel. A view of its inputs needs no computing again.
    """
    graph = _recording
    if graph is None:
        return function(*arrays)
    before = len(graph.launches)
    out = function(*arrays)
    if len(graph.launches) == before and not any(
        isinstance(a, np.ndarray) and np.may_share_memory(out, a) for a in arrays
    ):
        into_pool = pool.empty(out.shape, out.dtype)
        launch(_compute_again, into_pool, function, *arrays)
        return into_pool
    return out


def _compute_again(out, function, *arrays):
    if isinstance(function, np.ufunc):
        function(*arrays, out=out)
    else:
        np.copyto(out, function(*arrays))


def contiguous(array):
    """The NumPy array in C order: itself, or a copy made by a launch."""
    if array.flags.c_contiguous:
        return array
    copy = pool.empty(array.shape, array.dtype)
    launch(np.copyto, copy, array)
    return copy
