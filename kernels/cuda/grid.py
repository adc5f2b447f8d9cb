"""How the kernels that go over an array element by element are launched: which numbers, how many threads."""

import numpy as np

from minigan.kernels.cuda import loader

NUMBERS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
THREADS = 256
EACH = 4  # elements of a thread, as in map.cuh


def blocks(count, each=THREADS * EACH):
    """The blocks, one at least, that `count` elements take."""
    return max(1, -(-count // each))


def map_elements(file, name, out, *arguments):
    """Launches a kernel of one thread for EACH elements of `out`, with arguments (size, ..., out). Returns out."""
    loader.run(file, name, blocks(out.size), THREADS, out.size, *arguments, out, NUMBER=NUMBERS[out.dtype])
    return out
