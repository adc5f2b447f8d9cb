"""Batches gathered and logs written on the CPU, by launches that a replay makes again; see `reference.py`."""

import numpy as np
from numba import njit

from minigan.kernels.launch import launch


def gather_images(images, order, position, out):
    """As `reference.gather_images`."""
    launch(_gather_images, images, order, position.reshape(1), out)
    return out


def write_row(values, log, row):
    """As `reference.write_row`."""
    launch(_write_row, log, row.reshape(1), *values)


@njit(cache=True, error_model="numpy")
def _gather_images(images, order, position, out):
    middle = np.float32(127.5)
    for n in range(out.shape[0]):
        image = images[order[position[0] + n]]
        for h in range(out.shape[2]):
            for w in range(out.shape[3]):
                out[n, 0, h, w] = (np.float32(image[h, w]) - middle) / middle
    position[0] += out.shape[0]


def _write_row(log, row, *values):
    for column, value in enumerate(values):
        log[row[0] % len(log), column] = value.item()
    row += 1
