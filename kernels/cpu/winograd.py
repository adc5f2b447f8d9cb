"""The convolution triple by minimal filtering: fewer products, at large batches the fastest way (float32).

The algorithm and its three matrices are in `minigan.kernels.winograd`. A plane is one tile: its
n x n points come from all of its pixels at once. A stride of s first parts the input into s x s
phases, whose channels then count like more channels: with h = s (p + j) + phase - top, stride 2
turns 5 x 5 taps into four convolutions of 3 x 3 whose results are added up.

    to_points     x -> V[point, n, (phase, c)]    w -> U[point, .., ..]    y -> M[point, n, k]
    multiply      one matrix product at every point: C: M = V U,  T: V = M U,  G: U = M^T V
    from_points   the result, back through the transposed matrix

Channels (the "lanes") lie side by side in all of this, so that everything is the register tile of
`tile.py`: the transforms too are products, of a small matrix with LANES columns at a time.
"""

import functools
from typing import NamedTuple

import numpy as np
from numba import get_num_threads, njit, prange

from minigan.kernels import pool, winograd
from minigan.kernels.cpu.registers import VECTOR, whole_vectors
from minigan.kernels.cpu.tile import multiply, multiply_many
from minigan.kernels.cpu.transpose import from_lanes, to_lanes
from minigan.kernels.launch import contiguous, launch

CACHE_BYTES = 4 << 20  # of the last level, for the points of weights and images
LEAST_IMAGES = 16  # in a part of the batch
LANES = 64  # channels transformed together
MOST_POINTS = 9, 11  # of a piece along rows and columns: a compromise of products and accuracy
MAX_DEPTH = 64  # terms of a sum added in one go: sums of such sums round less


class Axis(NamedTuple):
    """How rows, or columns, of one array become points: entry e of phase f is pixel stride * e + f - before.

    matrix (points, entries) and its transpose are flat float32; a pixel outside the array is 0.
    """

    points: int
    entries: int
    stride: int
    before: int
    matrix: np.ndarray
    transposed: np.ndarray


@functools.cache
def axes_of(x_shape, weight_shape, y_shape, stride, padding):
    """{"x": (Axis of rows, Axis of columns), "weight": ..., "y": ...} for one convolution."""
    found = {"x": [], "weight": [], "y": []}
    for a, before in ((0, padding[2]), (1, padding[0])):
        y, w, x = winograd.matrices(y_shape[2 + a], -(-weight_shape[2 + a] // stride[a]), MOST_POINTS[a])
        for name, matrix, step, first in (("x", x, stride[a], before), ("weight", w, stride[a], 0), ("y", y, 1, 0)):
            forward, back = (np.ascontiguousarray(m, np.float32).reshape(-1) for m in (matrix, matrix.T))
            found[name].append(Axis(*matrix.shape, step, first, forward, back))
    return found


class Points(NamedTuple):
    """Matrices (rows, length), one for each point, `stride` elements apart in a flat array."""

    data: np.ndarray
    stride: int
    rows: int
    length: int


def empty_points(count, rows, length):
    """Unwritten `Points`. A cache line lies between two matrices: at a power of two apart, the same
    element of all points would compete for the same few places in the cache."""
    stride = rows * length + VECTOR
    return Points(pool.empty((count * stride,)), stride, rows, length)


def products(x_shape, weight_shape, y_shape, stride):
    """(multiply-adds, numbers brought to the points or back) of one convolution of these shapes."""
    axes = axes_of(x_shape, weight_shape, y_shape, stride, (0, 0, 0, 0))
    points = axes["x"][0].points * axes["x"][1].points
    batch, filters, depth = x_shape[0], weight_shape[0], x_shape[1] * stride[0] * stride[1]
    return points * batch * filters * depth, points * (batch * depth + filters * depth + batch * filters)


def conv2d(x, weight, stride, padding, _dilation, out):
    """out = C(x, weight)."""
    axes = axes_of(x.shape, weight.shape, out.shape, stride, padding)
    x, weight = contiguous(x), contiguous(weight)
    u = _to_points(weight, axes["weight"], lanes_first=True)  # (points, phases C, K)
    for part in _parts_of_batch(x, u):
        v = _to_points(x[part], axes["x"])  # (points, N, phases C)
        m = _multiply_points(v, u, v.rows, u.rows)  # (points, N, K)
        _from_points(m, axes["y"], out[part])
    return out


def conv_transpose2d(y, weight, stride, padding, _dilation, out):
    """out = T(y, weight)."""
    axes = axes_of(out.shape, weight.shape, y.shape, stride, padding)
    y, weight = contiguous(y), contiguous(weight)
    u = _to_points(weight, axes["weight"])  # (points, K, phases C)
    for part in _parts_of_batch(y, u):
        m = _to_points(y[part], axes["y"])  # (points, N, K)
        v = _multiply_points(m, u, m.rows, u.rows)  # (points, N, phases C)
        _from_points(v, axes["x"], out[part])
    return out


def conv2d_weight(x, y, stride, padding, _dilation, out):
    """out = G(x, y)."""
    axes = axes_of(x.shape, out.shape, y.shape, stride, padding)
    x, y, filters = contiguous(x), contiguous(y), y.shape[1]
    depth = x.shape[1] * stride[0] * stride[1]
    u = empty_points(axes["x"][0].points * axes["x"][1].points, filters, _length(depth, x.shape[1]))
    for part in _parts_of_batch(x, u):
        v = _to_points(x[part], axes["x"])  # (points, N, phases C)
        m = _to_points(y[part], axes["y"])  # (points, N, K)
        _multiply_points(m, v, filters, v.rows, transposed=True, out=u, accumulate=part.start > 0)
    return _from_points(u, axes["weight"], out)  # u is (points, K, phases C)


def _parts_of_batch(images, weights):
    """The batch in slices whose points, with those of the weights, should fit the last level of cache."""
    count = weights.data.size // weights.stride
    image_bytes = 4 * count * (weights.rows + weights.length)
    size = max(LEAST_IMAGES, (CACHE_BYTES - weights.data.nbytes) // image_bytes)
    parts = max(1, len(images) // size)
    if weights.data.nbytes > CACHE_BYTES // 2:  # reading them for every part would cost more
        parts = 1
    bounds = [part * len(images) // parts for part in range(parts + 1)]
    return [slice(begin, end) for begin, end in zip(bounds, bounds[1:])]


def _length(lanes, channels):
    """Row length of the points of phases of some channels: a phase's last vector may reach beyond its lanes."""
    return whole_vectors(lanes - channels + whole_vectors(channels))


def _to_points(array, axes, lanes_first=False):
    """array (rows, lanes, H, W) as (points, rows, phases * lanes); (lanes, rows, H, W) as (points, phases * rows, lanes)."""
    down, across = axes
    phases = down.stride * across.stride
    strides = array[0].size, array[0, 0].size
    if lanes_first:
        lanes, rows = array.shape[:2]
        strides = strides[::-1]
        points = empty_points(down.points * across.points, phases * rows, whole_vectors(lanes))
        phase_stride = rows * points.length
    else:
        rows, lanes = array.shape[:2]
        points = empty_points(down.points * across.points, rows, _length(phases * lanes, lanes))
        phase_stride = lanes
    launch(
        _transform,
        array.reshape(-1), rows, lanes, *array.shape[2:], *strides, points.data, points.stride, points.length,
        phase_stride, *down, *across, *_scratch(array.shape, down, across),
    )  # fmt: skip
    return points


def _from_points(points, axes, out):
    """out (rows, lanes, H, W) from (points, rows, phases * lanes)."""
    down, across = axes
    launch(
        _transform_back,
        points.data, points.stride, points.length, out.shape[1], out.reshape(-1), *out.shape,
        out[0].size, out[0, 0].size, *down, *across, *_scratch(out.shape, down, across),
    )  # fmt: skip
    return out


def _multiply_points(a, b, rows, depth, transposed=False, out=None, accumulate=False):
    """The matrix product of a (points, rows, depth), or its transpose, and b (points, depth, columns) at every point."""
    count = b.data.size // b.stride
    out = empty_points(count, rows, b.length) if out is None else out
    a_row, a_column = (1, a.length) if transposed else (a.length, 1)
    # Few points for many threads: split the rows too.
    splits = max(1, min(rows // 8, 4 * get_num_threads() // count))
    launch(
        _multiply_all,
        a.data, a.stride, a_row, a_column, b.data, b.stride, b.length, rows, depth, count, splits,
        out.data, out.stride, accumulate,
    )  # fmt: skip
    return out


def _scratch(shape, down, across):
    """Working memory of each thread: LANES planes of pixels, and the same with their columns made points."""
    threads = get_num_threads()
    halves = pool.empty((threads, down.entries * across.points * LANES))
    return pool.empty((threads, shape[2] * shape[3] * LANES)), halves


@njit(cache=True, error_model="numpy")
def _entries_inside(entries, length, stride, first):
    """(begin, end) of the entries e with 0 <= stride * e + first < length."""
    begin = max(0, (stride - 1 - first) // stride)
    return begin, max(begin, min(entries, (length - first + stride - 1) // stride))


@njit(parallel=True, cache=True, error_model="numpy")
def _transform(array, rows, lanes, height, width, array_row, array_lane, points, point_stride, point_row, phase_stride,
               points_down, entries_down, stride_down, before_down, matrix_down, _down,
               points_across, entries_across, stride_across, before_across, matrix_across, _across,
               planes, halves):  # fmt: skip
    threads = planes.shape[0]
    for thread in prange(threads):
        plane, half = planes[thread], halves[thread]
        for row in range(thread * rows // threads, (thread + 1) * rows // threads):
            # The last lanes first: what their last vector writes too far is overwritten after that.
            for first in range((lanes - 1) // LANES * LANES, -1, -LANES):
                count = min(LANES, lanes - first)
                whole = whole_vectors(count)
                to_lanes(array, row * array_row + first * array_lane, array_lane, count, height * width, plane, whole)
                for phase_down in range(stride_down):
                    h = phase_down - before_down
                    top, bottom = _entries_inside(entries_down, height, stride_down, h)
                    for phase_across in range(stride_across):
                        w = phase_across - before_across
                        left, right = _entries_inside(entries_across, width, stride_across, w)
                        pixel = (h + stride_down * top) * width + w + stride_across * left
                        multiply_many(
                            matrix_across, left, entries_across, 1, points_across,
                            plane, pixel * whole, stride_across * whole, right - left, whole,
                            half, 0, whole, False, bottom - top, stride_down * width * whole, points_across * whole,
                        )  # fmt: skip
                        target = row * point_row + (phase_down * stride_across + phase_across) * phase_stride + first
                        multiply_many(
                            matrix_down, top, entries_down, 1, points_down,
                            half, 0, points_across * whole, bottom - top, whole,
                            points, target, points_across * point_stride, False, points_across, whole, point_stride,
                        )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _multiply_all(a, a_stride, a_row, a_column, b, b_stride, columns, rows, depth, count, splits, out, out_stride,
                  accumulate):  # fmt: skip
    for task in prange(count * splits):
        point, split = task // splits, task % splits
        begin, end = split * rows // splits, (split + 1) * rows // splits
        for k in range(0, depth, MAX_DEPTH):
            multiply(
                a, point * a_stride + begin * a_row + k * a_column, a_row, a_column, end - begin,
                b, point * b_stride + k * columns, columns, min(MAX_DEPTH, depth - k), columns,
                out, point * out_stride + begin * columns, columns, accumulate or k > 0,
            )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _transform_back(points, point_stride, point_row, phase_stride, array, rows, lanes, height, width, array_row, array_lane,
                    points_down, entries_down, stride_down, before_down, _down, matrix_down,
                    points_across, entries_across, stride_across, before_across, _across, matrix_across,
                    planes, halves):  # fmt: skip
    threads = planes.shape[0]
    for thread in prange(threads):
        plane, half = planes[thread], halves[thread]
        plane[:] = 0  # pixels that no tap reaches stay 0
        for row in range(thread * rows // threads, (thread + 1) * rows // threads):
            for first in range(0, lanes, LANES):
                count = min(LANES, lanes - first)
                whole = whole_vectors(count)
                for phase_down in range(stride_down):
                    h = phase_down - before_down
                    top, bottom = _entries_inside(entries_down, height, stride_down, h)
                    for phase_across in range(stride_across):
                        w = phase_across - before_across
                        left, right = _entries_inside(entries_across, width, stride_across, w)
                        source = row * point_row + (phase_down * stride_across + phase_across) * phase_stride + first
                        multiply_many(
                            matrix_down, top * points_down, points_down, 1, bottom - top,
                            points, source, points_across * point_stride, points_down, whole,
                            half, 0, points_across * whole, False, points_across, point_stride, whole,
                        )  # fmt: skip
                        pixel = (h + stride_down * top) * width + w + stride_across * left
                        multiply_many(
                            matrix_across, left * points_across, points_across, 1, right - left,
                            half, 0, whole, points_across, whole, plane, pixel * whole, stride_across * whole, False,
                            bottom - top, points_across * whole, stride_down * width * whole,
                        )  # fmt: skip
                from_lanes(plane, whole, count, height * width, array, row * array_row + first * array_lane, array_lane)
