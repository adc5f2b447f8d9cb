"""Batches gathered and logs written on the GPU, so that a captured step needs no host; see `batches.cu`."""

import numpy as np

from minigan.kernels.cuda import loader
from minigan.kernels.cuda.grid import THREADS, blocks

MOST_VALUES = 8  # of a row of the log
_NULL = np.uint64(0)  # the address of nothing


def gather_images(images, order, position, out):
    """As `reference.gather_images`."""
    pixels = images.shape[1] * images.shape[2]
    loader.run("batches.cu", "gather_images", blocks(out.size), THREADS, out.size, pixels, images, order, position, out)
    loader.run("batches.cu", "next_position", 1, 1, position, len(out))
    return out


def write_row(values, log, row):
    """As `reference.write_row`."""
    padding = [_NULL] * (MOST_VALUES - len(values))
    loader.run("batches.cu", "write_row", 1, 1, *log.shape, *values, *padding, log, row)
