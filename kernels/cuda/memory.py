"""Reused GPU memory for arrays of a graph: what `pool.py` does for NumPy's arrays.

Outside of a recording CuPy's own pool does the same. While a graph is recorded, arrays take their memory from
the graph's free lists, and give it back when the last view on them dies; the graph keeps it. But an array that lies where
another lay must wait for all that read the other, which keeps launches from running side by side: as long as a graph is
small beside the GPU's memory, its arrays lie apart.
"""

import math

import numpy as np

from minigan.kernels import pool
from minigan.kernels.cuda import emulation, loader

SHARE_APART = 8  # this part of the GPU's memory may be taken by arrays that lie apart


class _Lease:
    """Owns one block while any array made from it lives."""

    def __init__(self, block, free):
        self.block, self.free = block, free

    def __del__(self):
        self.free.append(self.block)


def empty(shape, dtype=np.float32):
    """An uninitialised array of `shape` on the GPU."""
    if emulation.module():
        return pool.empty(shape, dtype).view(emulation.Array)
    xp = loader.cupy_on_stream()
    free_lists = pool.private_lists()
    if free_lists is None:
        return xp.empty(shape, dtype)
    size = max(1, math.prod(shape)) * np.dtype(dtype).itemsize
    free = free_lists.setdefault(("gpu", size), [])
    if free and free_lists.made + size > loader.device().memory_bytes // SHARE_APART:
        block = free.pop()
    else:
        block = xp.empty(size, np.uint8)
        free_lists.made += size
    leased = xp.cuda.UnownedMemory(block.data.ptr, size, _Lease(block, free))
    return xp.ndarray(tuple(shape), np.dtype(dtype), memptr=xp.cuda.MemoryPointer(leased, 0))
