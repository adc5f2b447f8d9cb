"""Reused memory for NumPy arrays.

A fresh multi-megabyte array costs a page fault for every 4 KiB touched, each training step anew.
Here the memory of an array goes back to a free list when the last array or view on it dies,
whatever order that happens in, and the next array of that size takes it over.
"""

import contextlib

import numpy as np

ALIGNMENT = 64  # one cache line
SMALLEST = 1 << 17  # below this many bytes malloc reuses memory by itself


class FreeLists(dict):
    """{size, or another key: memory blocks nobody holds}, and how many bytes of blocks have been made for it."""

    made = 0


_free = FreeLists()
_smallest = SMALLEST


class _Lease:
    """Owns one block while any array made from it lives: NumPy keeps it as the arrays' base."""

    __slots__ = ("block", "free", "__array_interface__")

    def __init__(self, block, free, shape, dtype):
        self.block = block
        self.free = free  # held here, so that it outlives module teardown
        self.__array_interface__ = {
            "shape": shape,
            "typestr": dtype.str,
            "data": (block.ctypes.data, False),
            "version": 3,
        }

    def __del__(self):
        self.free.append(self.block)


def empty(shape, dtype=np.float32):
    """An uninitialised C-contiguous array of `shape`; large ones reuse memory given back earlier."""
    dtype = np.dtype(dtype)
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size < _smallest:
        return np.ndarray(shape, dtype)
    free = _free.setdefault(size, [])
    try:
        block = free.pop()
    except IndexError:
        block = _aligned_block(size)
    return np.asarray(_Lease(block, free, tuple(shape), dtype))


def _aligned_block(size):
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


@contextlib.contextmanager
def private(free):
    """Inside the block, all arrays, the smallest too, take their memory from `free` and give it back to there.

    free: FreeLists, empty at first. Who keeps it keeps the memory of arrays that died, as they left it.
    """
    global _free, _smallest
    before = _free, _smallest
    _free, _smallest = free, 0
    try:
        yield
    finally:
        _free, _smallest = before


def private_lists():
    """The free lists of the `private` block around, or None outside."""
    return _free if _smallest == 0 else None


def without_lease(value):
    """For an array of the pool, one on the same memory that does not keep it from being reused; else the value."""
    lease = _lease_of(value)
    return np.asarray(_Borrowed(lease.block, value.__array_interface__)) if lease else value


def is_leased(value):
    """Whether it is an array of the pool, or a view on one."""
    return _lease_of(value) is not None


def _lease_of(value):
    while isinstance(value, np.ndarray):
        value = value.base
    return value if isinstance(value, _Lease) else None


class _Borrowed:
    """Memory that is known by its block alone."""

    __slots__ = ("block", "__array_interface__")

    def __init__(self, block, interface):
        self.block, self.__array_interface__ = block, interface


def held_bytes():
    """Bytes now waiting in the free lists."""
    return sum(block.nbytes for blocks in _free.values() for block in blocks)


def clear():
    """Gives all waiting memory back to the system."""
    for blocks in _free.values():
        blocks.clear()
