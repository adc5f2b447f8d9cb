"""Adam and moving averages for a whole network in one launch, and what 16-bit training needs beside it; see `adam.cu`.

The table of addresses is an argument passed by value, as in PyTorch's multi_tensor_apply: a captured launch
holds it, and no copy from the host is needed. It does not keep arrays alive; who captures must.
"""

import numpy as np

from minigan.kernels.cuda import loader
from minigan.kernels.cuda.grid import NUMBERS, THREADS

PARAMETERS, EACH = 64, 4  # parameters of a table, elements of a thread: as in adam.cu
CHUNK = THREADS * EACH  # elements of a block
_NULL = np.uint64(0)  # the address of nothing


def adam(
    parameters, gradients, firsts, seconds, steps, lr, beta1, beta2, eps, epsilon_hat, scale=None, overflow=None
):  # fmt: skip
    """As `reference.adam`."""
    scale, overflow = (_NULL if array is None else array for array in (scale, overflow))
    settings = (float(lr), float(beta1), float(beta2), float(eps), bool(epsilon_hat), scale, overflow)
    for table, count, blocks, number, used in _tables(parameters, gradients, firsts, seconds, steps):
        loader.run("adam.cu", "adam", blocks, THREADS, table, count, *settings, in_structs=used, NUMBER=number)
        loader.run("adam.cu", "advance_steps", 1, PARAMETERS, table, count, overflow, in_structs=used, NUMBER=number)


def move_average(averages, values, decay):
    """As `reference.move_average`."""
    for table, count, blocks, number, used in _tables(averages, values):
        loader.run(
            "adam.cu", "move_average", blocks, THREADS, table, count, 1 - float(decay), in_structs=used, NUMBER=number
        )


def check_overflow(gradients, overflow):
    """As `reference.check_overflow`."""
    for table, count, blocks, number, used in _tables(gradients, gradients):
        loader.run("adam.cu", "check_overflow", blocks, THREADS, table, count, overflow, in_structs=used, NUMBER=number)


def update_scale(scale, overflow, good_steps, growth_interval):
    """As `reference.update_scale`."""
    loader.run("adam.cu", "update_scale", 1, 1, scale, overflow, good_steps, int(growth_interval), NUMBER="float")


def _tables(*columns):
    """(adam.cu's Table, its parameters, its blocks, their C type, its arrays) for each PARAMETERS of one dtype.

    columns: lists of arrays, the fields of adam.cu's Parameter in their order.
    """
    rows = list(zip(*columns, strict=True))
    for dtype, number in NUMBERS.items():
        alike = [row for row in rows if row[0].dtype == dtype]
        for begin in range(0, len(alike), PARAMETERS):
            table, blocks = np.zeros((PARAMETERS, 7), np.int64), 0
            chosen = alike[begin : begin + PARAMETERS]
            for position, row in enumerate(chosen):
                table[position, : len(row)] = [loader.address(array) for array in row]
                table[position, 5:] = row[0].size, blocks
                blocks += -(-row[0].size // CHUNK)
            yield table.reshape(-1), len(chosen), max(1, blocks), number, [array for row in chosen for array in row]
