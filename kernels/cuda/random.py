"""Philox4x32-10 on the GPU: a thread makes a block of four words; see `random.cu` and `philox.cuh`.

The draw is an int, or a uint64 array of one number on the GPU, which a launch of its own advances by 1.
"""

import numpy as np

from minigan.kernels.cuda import loader
from minigan.kernels.cuda.grid import NUMBERS, THREADS, blocks

WORDS = 4  # of a block of Philox
_NULL = np.uint64(0)  # the address of nothing


def random_bits(seed, purpose, draw, out):
    """As `reference.random_bits`."""
    return _fill("random_bits", seed, purpose, draw, out, "float")  # any number will do: none is made


def uniform(seed, purpose, draw, out):
    """As `reference.uniform`."""
    return _fill("uniform", seed, purpose, draw, out, NUMBERS[out.dtype])


def normal(seed, purpose, draw, out):
    """As `reference.normal`."""
    return _fill("normal", seed, purpose, draw, out, NUMBERS[out.dtype])


def _fill(kernel, seed, purpose, draw, out, number):
    in_memory = isinstance(draw, loader.arrays().ndarray)
    drawn = (_NULL, draw) if in_memory else (np.uint64(draw), _NULL)
    loader.run(
        "random.cu", kernel, blocks(out.size, WORDS * THREADS), THREADS,
        out.size, np.uint64(seed), np.uint32(purpose), *drawn, out, NUMBER=number,
    )  # fmt: skip
    if in_memory:
        advance(draw)
    return out


def advance(draw):
    """draw += 1, in a launch after those that read it."""
    loader.run("random.cu", "next_draw", 1, 1, draw, NUMBER="float")
