"""The convolution triple where the taps cover the whole input: plain matrix products (float32).

Linear layers, and a DCGAN's first and last. With D = C R S, x and weight are matrices (N, D) and
(K, D), y is (N, K), and C: y = x weight^T,  T: x = y weight,  G: weight = y^T x.
"""

import numpy as np
from numba import get_num_threads, njit, prange

from minigan.kernels import pool
from minigan.kernels.launch import contiguous, launch
from minigan.kernels.cpu.registers import VECTOR, whole_vectors
from minigan.kernels.cpu.tile import multiply
from minigan.kernels.cpu.transpose import to_lanes

LANES = 64  # columns of a product computed together
MAX_DEPTH = 256  # terms of a sum added in one go: their factors fit the first cache
FEW_ROWS = 8  # a task with less is not worth a thread


def fits(x_shape, weight_shape, y_shape, padding):
    """Whether the taps cover x, and there are columns enough for a vector."""
    covered = x_shape[2:] == weight_shape[2:] and y_shape[2:] == (1, 1) and not any(padding)
    return covered and weight_shape[1] * weight_shape[2] * weight_shape[3] >= VECTOR


def conv2d(x, weight, _stride, _padding, _dilation, out):
    """out = C(x, weight)."""
    rows, columns, depth = len(x), len(weight), weight[0].size
    panels = pool.empty((get_num_threads(), MAX_DEPTH * LANES))
    launch(_multiply_by_transpose, _flat(x), _flat(weight), rows, depth, columns, panels, out.reshape(-1))
    return out


def conv_transpose2d(y, weight, _stride, _padding, _dilation, out):
    """out = T(y, weight)."""
    filters = len(weight)
    launch(
        _multiply,
        _flat(y),
        filters,
        1,
        len(y),
        _flat(weight),
        filters,
        weight[0].size,
        get_num_threads(),
        out.reshape(-1),
    )
    return out


def conv2d_weight(x, y, _stride, _padding, _dilation, out):
    """out = G(x, y)."""
    filters = len(out)
    launch(_multiply, _flat(y), 1, filters, filters, _flat(x), len(x), x[0].size, get_num_threads(), out.reshape(-1))
    return out


def _flat(array):
    return contiguous(array).reshape(-1)


@njit(parallel=True, cache=True, error_model="numpy")
def _multiply(a, a_row, a_column, rows, b, depth, columns, threads, out):
    """out (rows, columns) = A b, A[r, k] = a[r * a_row + k * a_column], b (depth, columns); columns >= VECTOR."""
    blocks = (columns + LANES - 1) // LANES
    parts = max(1, min(rows // FEW_ROWS, threads // blocks))
    tasks = blocks * parts
    for thread in prange(threads):
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first, part = task // parts * LANES, task % parts
            width = min(LANES, columns - first) // VECTOR * VECTOR
            begin, end = part * rows // parts, (part + 1) * rows // parts
            for k in range(0, depth, MAX_DEPTH):
                multiply(
                    a, begin * a_row + k * a_column, a_row, a_column, end - begin,
                    b, k * columns + first, columns, min(MAX_DEPTH, depth - k), width,
                    out, begin * columns + first, columns, k > 0,
                )  # fmt: skip
            if first + LANES > columns and first + width < columns:
                # The last columns are no whole vector: a vector that ends there does some columns again.
                for k in range(0, depth, MAX_DEPTH):
                    multiply(
                        a, begin * a_row + k * a_column, a_row, a_column, end - begin,
                        b, k * columns + columns - VECTOR, columns, min(MAX_DEPTH, depth - k), VECTOR,
                        out, begin * columns + columns - VECTOR, columns, k > 0,
                    )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _multiply_by_transpose(a, b, rows, depth, columns, panels, out):
    """out (rows, columns) = a b^T for a (rows, depth) and b (columns, depth)."""
    threads = panels.shape[0]
    blocks = (columns + LANES - 1) // LANES
    parts = max(1, min(rows // FEW_ROWS, threads // blocks))  # of the rows, where there are fewer blocks than threads
    tasks = blocks * parts
    for thread in prange(threads):
        panel = panels[thread]
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first, part = task // parts * LANES, task % parts
            count = min(LANES, columns - first)
            whole = whole_vectors(count)
            begin, end = part * rows // parts, (part + 1) * rows // parts
            in_place = whole == count  # whole vectors of out: no detour through results
            results = out if in_place else np.empty((end - begin) * whole, np.float32)
            target, row_length = (begin * columns + first, columns) if in_place else (0, whole)
            for k in range(0, depth, MAX_DEPTH):
                length = min(MAX_DEPTH, depth - k)
                to_lanes(b, first * depth + k, depth, count, length, panel, whole)
                multiply(
                    a, begin * depth + k, depth, 1, end - begin, panel, 0, whole, length, whole,
                    results, target, row_length, k > 0,
                )  # fmt: skip
            if not in_place:
                for row in range(begin, end):
                    for column in range(count):
                        out[row * columns + first + column] = results[(row - begin) * whole + column]
