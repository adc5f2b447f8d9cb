"""The convolution triple by minimal filtering: fewer products, at large batches the fastest way (float32).

The algorithm and its three matrices are in `minigan.kernels.winograd`. A plane is one tile: its
n x n points come from all of its pixels at once. A stride of s first parts the input into s x s
phases, whose channels then count like more channels: with h = s (p + j) + phase - top, stride 2
turns 5 x 5 taps into four convolutions of 3 x 3 whose results are added up.

    to points     x -> V[point, n, (phase, c)]    w -> U[point, .., ..]    y -> M[point, n, k]
    multiply      one matrix product at every point: C: M = V U,  T: V = M U,  G: U = M^T V
    from points   the result, back through the transposed matrix

Images take these steps a part of the batch at a time, so that their points stay in the cache:
waiting for memory would cost more than the arithmetic. Channels (the "lanes") lie side by side in
all of this, so that everything is the register tile of `tile.py`: the transforms too are products,
of a small matrix with LANES columns at a time. On the recipes' shapes the error against float64 is
at most 1.2e-5 of the norm.
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

PART_BYTES = 2 << 20  # points of a part of the batch, for the second level of cache of two cores
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
def axes_of(weight_shape, y_shape, stride, padding):
    """{"x": (Axis of rows, Axis of columns), "weight": ..., "y": ...} for one convolution."""
    found = {"x": [], "weight": [], "y": []}
    for a, before in ((0, padding[2]), (1, padding[0])):
        y, w, x = winograd.matrices(y_shape[2 + a], -(-weight_shape[2 + a] // stride[a]), MOST_POINTS[a])
        for name, matrix, step, first in (("x", x, stride[a], before), ("weight", w, stride[a], 0), ("y", y, 1, 0)):
            forward, back = (np.ascontiguousarray(m, np.float32).reshape(-1) for m in (matrix, matrix.T))
            rows, columns = matrix.shape
            found[name].append(Axis(rows, columns, step, first, forward, back))
    return found


class Points(NamedTuple):
    """Matrices (rows, columns), one for each point, `stride` elements apart in a flat array, rows `length` apart."""

    data: np.ndarray
    stride: int
    length: int
    rows: int
    columns: int


def _empty_points(count, rows, columns, lanes):
    """Unwritten `Points` whose columns are phases of `lanes` each: a phase's last vector may reach beyond its lanes.

    A cache line lies between two matrices: at a power of two apart, the same element of all points
    would compete for the same few places in the cache.
    """
    length = whole_vectors(columns - lanes + whole_vectors(lanes))
    stride = rows * length + VECTOR
    return Points(pool.empty((count * stride,)), stride, length, rows, columns)


def products(x_shape, weight_shape, y_shape, stride):
    """(multiply-adds, numbers at the points of both images, those of the weights) of a convolution of these shapes."""
    axes = axes_of(weight_shape, y_shape, stride, (0, 0, 0, 0))
    points = axes["x"][0].points * axes["x"][1].points
    batch, filters, depth = x_shape[0], weight_shape[0], x_shape[1] * stride[0] * stride[1]
    return points * batch * filters * depth, points * batch * (depth + filters), points * filters * depth


def conv2d(x, weight, stride, padding, _dilation, out):
    """out = C(x, weight)."""
    axes = axes_of(weight.shape, out.shape, stride, padding)
    filters, channels = weight.shape[:2]
    down, across = axes["weight"]
    # (points, phases C, K): filters are the lanes
    u = _empty_points(down.points * across.points, down.stride * across.stride * channels, filters, filters)
    weight = contiguous(weight)
    launch(
        _to_points, weight.reshape(-1), channels, filters, *weight.shape[2:], weight[0, 0].size, weight[0].size,
        down, across, *u[:3], channels * u.length, *_scratch(weight, axes["weight"]),
    )  # fmt: skip
    return _through_points(x, axes["x"], u, out, axes["y"])


def conv_transpose2d(y, weight, stride, padding, _dilation, out):
    """out = T(y, weight)."""
    axes = axes_of(weight.shape, y.shape, stride, padding)
    u = _points_of(axes["weight"], *weight.shape[:2])  # (points, K, phases C)
    weight = contiguous(weight)
    launch(
        _to_points, weight.reshape(-1), *weight.shape, weight[0].size, weight[0, 0].size,
        *axes["weight"], *u[:3], weight.shape[1], *_scratch(weight, axes["weight"]),
    )  # fmt: skip
    return _through_points(y, axes["y"], u, out, axes["x"])


def conv2d_weight(x, y, stride, padding, _dilation, out):
    """out = G(x, y)."""
    axes = axes_of(out.shape, y.shape, stride, padding)
    u = _points_of(axes["weight"], *out.shape[:2])  # (points, K, phases C)
    part = _images_in_part(len(x), u)
    v = _points_of(axes["x"], part, x.shape[1])  # (points, N, phases C)
    m = _points_of(axes["y"], part, y.shape[1])  # (points, N, K)
    launch(
        _images_to_products, contiguous(x), *axes["x"], *v[:3], contiguous(y), *axes["y"], *m[:3], part,
        u.columns, *u[:3], *_scratch(x, axes["x"], y, axes["y"]),
    )  # fmt: skip
    launch(_from_points, *u[:3], *axes["weight"], out, *_scratch(out, axes["weight"]))
    return out


def _points_of(axes, rows, lanes):
    down, across = axes
    return _empty_points(down.points * across.points, rows, down.stride * across.stride * lanes, lanes)


def _images_in_part(batch, u):
    """Equal parts of a batch whose points take PART_BYTES, or as much as those of the weights, read for each part."""
    points = u.data.size // u.stride
    image_bytes = 4 * points * (u.rows + u.columns)
    most = max(1, max(PART_BYTES, u.data.nbytes) // image_bytes)
    return -(-batch // -(-batch // most))


def _through_points(images, axes, u, out, out_axes):
    """out = what images become through their points, times U, and back."""
    part = _images_in_part(len(images), u)
    before = _points_of(axes, part, images.shape[1])
    after = _points_of(out_axes, part, out.shape[1])
    launch(
        _images_through_points, contiguous(images), *axes, *before[:3], part, before.columns, *u[:3], u.columns,
        *after[:3], out, *out_axes, *_scratch(images, axes, out, out_axes),
    )  # fmt: skip
    return out


def _scratch(*arrays_and_axes):
    """Working memory of each thread: LANES planes of pixels, and the same with their columns made points."""
    pairs = list(zip(arrays_and_axes[::2], arrays_and_axes[1::2]))
    pixels = max(array[0, 0].size for array, _ in pairs)
    halves = max(down.entries * across.points for _, (down, across) in pairs)
    threads = get_num_threads()
    return pool.empty((threads, pixels * LANES)), pool.empty((threads, halves * LANES))


@njit(cache=True, error_model="numpy")
def _entries_inside(axis, length, first):
    """(begin, end) of the entries e with 0 <= stride * e + first < length."""
    begin = max(0, (axis.stride - 1 - first) // axis.stride)
    return begin, max(begin, min(axis.entries, (length - first + axis.stride - 1) // axis.stride))


@njit(cache=True, error_model="numpy")
def _reaches_all(axis, length):
    """Whether every pixel along an axis is an entry of some phase."""
    reached = 0
    for phase in range(axis.stride):
        begin, end = _entries_inside(axis, length, phase - axis.before)
        reached += end - begin
    return reached == length


@njit(cache=True, error_model="numpy")
def _row_to_points(array, at, lane_stride, lanes, height, width, down, across, phase_stride,
                   points, row_at, stride, plane, half):  # fmt: skip
    """Planes at array[at + lane * lane_stride] as one row of every point's matrix."""
    # The last lanes first: what their last vector writes too far is overwritten after that.
    for first in range((lanes - 1) // LANES * LANES, -1, -LANES):
        count = min(LANES, lanes - first)
        whole = whole_vectors(count)
        to_lanes(array, at + first * lane_stride, lane_stride, count, height * width, plane, whole)
        for phase_down in range(down.stride):
            h = phase_down - down.before
            top, bottom = _entries_inside(down, height, h)
            for phase_across in range(across.stride):
                w = phase_across - across.before
                left, right = _entries_inside(across, width, w)
                pixel = (h + down.stride * top) * width + w + across.stride * left
                multiply_many(
                    across.matrix, left, across.entries, 1, across.points,
                    plane, pixel * whole, across.stride * whole, right - left, whole,
                    half, 0, whole, False, bottom - top, down.stride * width * whole, across.points * whole,
                )  # fmt: skip
                target = row_at + (phase_down * across.stride + phase_across) * phase_stride + first
                multiply_many(
                    down.matrix, top, down.entries, 1, down.points,
                    half, 0, across.points * whole, bottom - top, whole,
                    points, target, across.points * stride, False, across.points, whole, stride,
                )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _row_from_points(points, row_at, stride, phase_stride, array, at, lane_stride, lanes, height, width, down, across,
                     plane, half):  # fmt: skip
    """The way back: planes at array[at + lane * lane_stride] from one row of every point's matrix."""
    covered = _reaches_all(down, height) and _reaches_all(across, width)
    for first in range(0, lanes, LANES):
        count = min(LANES, lanes - first)
        whole = whole_vectors(count)
        if not covered:
            plane[: height * width * whole] = 0  # pixels that no tap reaches
        for phase_down in range(down.stride):
            h = phase_down - down.before
            top, bottom = _entries_inside(down, height, h)
            for phase_across in range(across.stride):
                w = phase_across - across.before
                left, right = _entries_inside(across, width, w)
                source = row_at + (phase_down * across.stride + phase_across) * phase_stride + first
                multiply_many(
                    down.transposed, top * down.points, down.points, 1, bottom - top,
                    points, source, across.points * stride, down.points, whole,
                    half, 0, across.points * whole, False, across.points, stride, whole,
                )  # fmt: skip
                pixel = (h + down.stride * top) * width + w + across.stride * left
                multiply_many(
                    across.transposed, left * across.points, across.points, 1, right - left,
                    half, 0, whole, across.points, whole, plane, pixel * whole, across.stride * whole, False,
                    bottom - top, across.points * whole, down.stride * width * whole,
                )  # fmt: skip
        from_lanes(plane, whole, count, height * width, array, at + first * lane_stride, lane_stride)


@njit(cache=True, error_model="numpy")
def _row_splits(rows, points, threads):
    """Into how many tasks the rows of a point's product are split, so that all threads end at about the same time."""
    return max(1, min(rows // 16, 32 * threads // points))


@njit(cache=True, error_model="numpy")
def _multiply_rows(task, splits, rows, depth, a, a_stride, a_row, a_column, b, b_stride, b_length, width,
                   out, out_stride, out_length, accumulate):  # fmt: skip
    """The task's share of the rows of out = a b (+ out) at its point."""
    point, split = task // splits, task % splits
    begin, end = split * rows // splits, (split + 1) * rows // splits
    for k in range(0, depth, MAX_DEPTH):
        multiply(
            a, point * a_stride + begin * a_row + k * a_column, a_row, a_column, end - begin,
            b, point * b_stride + k * b_length, b_length, min(MAX_DEPTH, depth - k), width,
            out, point * out_stride + begin * out_length, out_length, accumulate or k > 0,
        )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _to_points(weight, rows, lanes, height, width, row_stride, lane_stride, down, across,
               points, stride, length, phase_stride, planes, halves):  # fmt: skip
    threads = planes.shape[0]
    for thread in prange(threads):
        for row in range(thread * rows // threads, (thread + 1) * rows // threads):
            _row_to_points(
                weight, row * row_stride, lane_stride, lanes, height, width, down, across, phase_stride,
                points, row * length, stride, planes[thread], halves[thread],
            )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _from_points(points, stride, length, down, across, weight, planes, halves):
    rows, lanes, height, width = weight.shape
    plane, flat = height * width, weight.reshape(-1)
    threads = planes.shape[0]
    for thread in prange(threads):
        for row in range(thread * rows // threads, (thread + 1) * rows // threads):
            _row_from_points(
                points, row * length, stride, lanes, flat, row * lanes * plane, plane, lanes, height, width,
                down, across, planes[thread], halves[thread],
            )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _images_through_points(
    images, down, across, before, before_stride, before_length, part, depth, u, u_stride, u_length, columns,
    after, after_stride, after_length, out, out_down, out_across, planes, halves,
):  # fmt: skip
    batch, lanes, height, width = images.shape
    _, out_lanes, out_height, out_width = out.shape
    flat, flat_out, plane, out_plane = images.reshape(-1), out.reshape(-1), height * width, out_height * out_width
    threads, points = planes.shape[0], down.points * across.points
    for first in range(0, batch, part):
        count = min(part, batch - first)
        for thread in prange(threads):
            for row in range(thread * count // threads, (thread + 1) * count // threads):
                _row_to_points(
                    flat, (first + row) * lanes * plane, plane, lanes, height, width, down, across, lanes,
                    before, row * before_length, before_stride, planes[thread], halves[thread],
                )  # fmt: skip
        splits = _row_splits(count, points, threads)
        for task in prange(points * splits):
            _multiply_rows(
                task, splits, count, depth, before, before_stride, before_length, 1,
                u, u_stride, u_length, whole_vectors(columns), after, after_stride, after_length, False,
            )  # fmt: skip
        for thread in prange(threads):
            for row in range(thread * count // threads, (thread + 1) * count // threads):
                _row_from_points(
                    after, row * after_length, after_stride, out_lanes, flat_out, (first + row) * out_lanes * out_plane,
                    out_plane, out_lanes, out_height, out_width, out_down, out_across, planes[thread], halves[thread],
                )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _images_to_products(
    x, x_down, x_across, v, v_stride, v_length, y, y_down, y_across, m, m_stride, m_length, part, columns,
    u, u_stride, u_length, planes, halves,
):  # fmt: skip
    batch, channels, height, width = x.shape
    _, filters, out_height, out_width = y.shape
    flat_x, flat_y, plane, out_plane = x.reshape(-1), y.reshape(-1), height * width, out_height * out_width
    threads, points = planes.shape[0], x_down.points * x_across.points
    for first in range(0, batch, part):
        count = min(part, batch - first)
        for thread in prange(threads):
            for row in range(thread * count // threads, (thread + 1) * count // threads):
                _row_to_points(
                    flat_x, (first + row) * channels * plane, plane, channels, height, width,
                    x_down, x_across, channels, v, row * v_length, v_stride, planes[thread], halves[thread],
                )  # fmt: skip
                _row_to_points(
                    flat_y, (first + row) * filters * out_plane, out_plane, filters, out_height, out_width,
                    y_down, y_across, filters, m, row * m_length, m_stride, planes[thread], halves[thread],
                )  # fmt: skip
        splits = _row_splits(filters, points, threads)
        for task in prange(points * splits):
            _multiply_rows(
                task, splits, filters, count, m, m_stride, 1, m_length,
                v, v_stride, v_length, whole_vectors(columns), u, u_stride, u_length, first > 0,
            )  # fmt: skip
