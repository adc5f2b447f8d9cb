"""The convolution triple on the CPU: every product is a register tile, no patch matrix is ever whole.

Each kernel brings one operand of a matrix product into rows that fit the cache, multiplies it with
`multiply`, and puts the result where it belongs (Chetlur et al., "cuDNN: Efficient Primitives for
Deep Learning", 2014, section 3.1: the patch matrix is formed tile by tile). Which operand, and in
which order, differs: T reads its weight in place, G copies whole rows of taps, and C gathers elements.

    C   columns of output pixels:  out[k, pixels]   = weight[k, taps] patches[taps, pixels]
    T   rows of input pixels:      patches[pixel, taps] = y[:, pixel]^T weight[:, taps], added up in place
    G   rows of output pixels:     out[k, taps]     = y[k, pixels] patches[pixels, taps]

A task owns the outputs it writes and adds in a fixed order, so the bits do not depend on threads. On
the recipes' shapes the error against float64 is less than 2e-6 of the norm.
Shapes: x (N, C, H, W), weight (K, C, R, S), y (N, K, P, Q). `padding` is (left, right, top, bottom);
right and bottom follow from the shapes.
"""

import math

import numpy as np
from numba import get_num_threads, njit, prange

from minigan.kernels import pool
from minigan.kernels.launch import contiguous, launch
from minigan.kernels.cpu.registers import VECTOR_BYTES, add_quad, copy_quad, copy_vector, lanes_of
from minigan.kernels.cpu.tile import multiply

PANEL = 64  # columns of output pixels packed side by side in C
MAX_DEPTH = 1024  # rows of such a panel: 1024 x 64 floats are 256 KiB, a quarter of a common L2
MAX_FILTERS = 512  # rows of results a task keeps before it writes them out
MAX_ROWS = 64  # pixels whose patches T and G hold at a time
MAX_WIDTH = 512  # columns (channels x taps) of those patches
CACHE_LINE = 16  # elements between two threads' memory, at the least


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight), the cross-correlation; as `reference.conv2d`."""
    left, _, top, _ = padding
    height, width = _frame_size(weight, out, stride, dilation)
    x = contiguous(x)
    frames = _frames(x, height, width, top, left, room=0)
    taps, filters = weight.shape[2] * weight.shape[3], weight.shape[0]
    chunk = min(weight.shape[1], max(1, MAX_DEPTH // taps))  # channels whose taps a panel holds at a time
    panels = _scratch(chunk * taps * PANEL, x.dtype)
    results = _scratch((min(filters, MAX_FILTERS) + 1) * PANEL, x.dtype)
    launch(
        _conv2d,
        x, contiguous(weight), frames, height, width, *stride, *dilation, chunk, panels, results, out,
    )  # fmt: skip
    return out


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight), the adjoint of C in x; as `reference.conv_transpose2d`."""
    left, _, top, _ = padding
    if weight.shape[2:] == (1, 1) and stride == (1, 1) and not any(padding):
        return conv2d(y, weight.transpose(1, 0, 2, 3), stride, padding, dilation, out)  # a plain matrix product
    height, width = _frame_size(weight, y, stride, dilation)
    height, width = max(height, top + out.shape[2]), max(width, left + out.shape[3])
    taps, lanes = weight.shape[2] * weight.shape[3], VECTOR_BYTES // y.itemsize
    block = _block_of_channels(weight.shape[1], taps, lanes, -(-2 * get_num_threads() // len(y)))
    patch_length = -(-block * taps // lanes) * lanes
    patches = _scratch(min(y[0, 0].size, MAX_ROWS) * patch_length, y.dtype)
    planes = _scratch(block * height * width, y.dtype)
    launch(
        _conv_transpose2d,
        contiguous(y), _rows_of_whole_vectors(weight, lanes), weight.shape[2], weight.shape[3],
        height, width, top, left, *stride, *dilation, block, patch_length, patches, planes, out,
    )  # fmt: skip
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y), the adjoint of C in weight; as `reference.conv2d_weight`."""
    left, _, top, _ = padding
    height, width = _frame_size(out, y, stride, dilation)
    lanes = VECTOR_BYTES // x.itemsize
    x = contiguous(x)
    frames = _frames(x, height, width, top, left, room=1 if out.shape[3] % 4 == 3 else 0)
    filters, columns, taps = out.shape[0], out[0].size, out.shape[2] * out.shape[3]
    whole = -(-columns // lanes) * lanes
    result = out.reshape(filters, columns) if whole == columns else pool.empty((filters, whole), out.dtype)
    block = _block_of_channels(x.shape[1], taps, lanes, get_num_threads())
    patch_length = -(-block * taps // lanes) * lanes
    patches = _scratch(min(y[0, 0].size, MAX_ROWS) * patch_length + lanes, x.dtype)
    launch(
        _conv2d_weight,
        x, contiguous(y), frames, height, width, out.shape[2], out.shape[3],
        *stride, *dilation, block, patch_length, patches, result,
    )  # fmt: skip
    if whole != columns:
        launch(np.copyto, out.reshape(filters, columns), result[:, :columns])
    return out


def _frame_size(weight, y, stride, dilation):
    """(height, width) of the part of padded x that any tap of any output reaches."""
    return tuple((y.shape[2 + a] - 1) * stride[a] + (weight.shape[2 + a] - 1) * dilation[a] + 1 for a in (0, 1))


def _frames(x, height, width, top, left, room):
    """x in frames (height, width) of zeros, flat, with room behind; x itself where it needs no frame."""
    if (top, left) == (0, 0) and x.shape[2:] == (height, width) and not room:
        return x.reshape(-1)
    frames = pool.empty((x.shape[0] * x.shape[1] * height * width + room,), x.dtype)
    launch(_copy_into_frames, x, top, left, height, width, frames)
    return frames


def _rows_of_whole_vectors(weight, lanes):
    """weight as (K, C * R * S), each row filled up with zeros to whole vector registers."""
    filters, columns = weight.shape[0], weight[0].size
    whole = -(-columns // lanes) * lanes
    if whole == columns:
        return contiguous(weight).reshape(filters, columns)
    rows = pool.empty((filters, whole), weight.dtype)
    launch(np.copyto, rows[:, columns:], 0)
    launch(np.copyto, rows[:, :columns], weight.reshape(filters, columns))
    return rows


def _block_of_channels(channels, taps, lanes, tasks_wanted):
    """How many channels a task takes: few enough for the cache and the threads, and their taps whole vectors."""
    unit = lanes // math.gcd(taps, lanes)
    block = min(MAX_WIDTH // taps, -(-channels // tasks_wanted))
    return min(max(unit, block // unit * unit), -(-channels // unit) * unit)


def _scratch(length, dtype):
    """Working memory: a row of `length` elements for each thread, kept between calls by the pool."""
    return pool.empty((get_num_threads(), -(-length // CACHE_LINE) * CACHE_LINE), dtype)


@njit(cache=True, error_model="numpy")
def _round_up(count, step):
    return (count + step - 1) // step * step


@njit(parallel=True, cache=True, error_model="numpy")
def _copy_into_frames(x, top, left, height, width, frames):
    batch, channels, rows, columns = x.shape
    flat = x.reshape(-1)
    copied, last = min(width - left, columns), min(height, top + rows)
    area = channels * height * width
    for n in prange(batch):
        frames[n * area : (n + 1) * area] = 0
        for c in range(channels):
            plane = n * channels + c
            for h in range(top, last):
                source, target = (plane * rows + h - top) * columns, (plane * height + h) * width + left
                w = 0
                while w + 4 <= copied:
                    copy_quad(frames, target + w, flat, source + w)
                    w += 4
                while w < copied:
                    frames[target + w] = flat[source + w]
                    w += 1


@njit(cache=True, error_model="numpy")
def _copy_run(target, target_start, source, source_start, length):
    """Copies a short run, and perhaps one element more: both arrays have room behind it."""
    step = 0
    while length - step > 2:
        copy_quad(target, target_start + step, source, source_start + step)
        step += 4
    while step < length:
        target[target_start + step] = source[source_start + step]
        step += 1


@njit(parallel=True, cache=True, error_model="numpy")
def _conv2d(x, weight, frames, height, width,
            stride_h, stride_w, dilation_h, dilation_w, chunk, panels, results, out):  # fmt: skip
    batch, channels = x.shape[0], x.shape[1]
    filters, _, kernel_h, kernel_w = weight.shape
    out_height, out_width = out.shape[2], out.shape[3]
    plane = height * width
    threads = panels.shape[0]
    pixels = out_height * out_width
    columns = batch * pixels
    taps = kernel_h * kernel_w
    depth = channels * taps
    count_panels = (columns + PANEL - 1) // PANEL
    # Few columns: split the filters too, so that every thread has work.
    splits = max((filters + MAX_FILTERS - 1) // MAX_FILTERS, min(threads // count_panels, filters // 8))
    tasks = count_panels * splits
    flat_weight, flat_out = weight.ravel(), out.ravel()
    for thread in prange(threads):
        lanes = lanes_of(frames)
        panel, result = panels[thread], results[thread]
        starts = np.empty(PANEL, np.int64)  # where in the frames each column's patch begins
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first = task // splits * PANEL
            count = min(PANEL, columns - first)
            columns_packed = _round_up(count, lanes)
            split = task % splits
            begin, end = split * filters // splits, (split + 1) * filters // splits
            for column in range(PANEL):
                # Columns that nobody reads repeat the last one: any valid address will do.
                at = min(first + column, columns - 1)
                n, p, q = at // pixels, at % pixels // out_width, at % out_width
                starts[column] = n * channels * plane + p * stride_h * width + q * stride_w
            for first_channel in range(0, channels, chunk):
                last_channel = min(channels, first_channel + chunk)
                row = 0
                for c in range(first_channel, last_channel):
                    for i in range(kernel_h):
                        for j in range(kernel_w):
                            shift = c * plane + i * dilation_h * width + j * dilation_w
                            for column in range(columns_packed):
                                panel[row * PANEL + column] = frames[starts[column] + shift]
                            row += 1
                multiply(
                    flat_weight, begin * depth + first_channel * taps, depth, 1, end - begin,
                    panel, 0, PANEL, row, columns_packed, result, 0, PANEL, first_channel > 0,
                )  # fmt: skip
            column = 0
            while column < count:
                n, pixel = (first + column) // pixels, (first + column) % pixels
                run = min(pixels - pixel, count - column)
                for k in range(begin, end):
                    source, target = (k - begin) * PANEL + column, (n * filters + k) * pixels + pixel
                    step = 0
                    while step + lanes <= run:
                        copy_vector(flat_out, target + step, result, source + step)
                        step += lanes
                    while step < run:
                        flat_out[target + step] = result[source + step]
                        step += 1
                column += run


@njit(cache=True, error_model="numpy")
def _add_patch(patch, at, channels, kernel_h, kernel_w, frame, start, plane, frame_width, dilation_h, dilation_w):
    """Adds the taps of one pixel to where they belong in each channel's frame."""
    for c in range(channels):
        for i in range(kernel_h):
            source = at + (c * kernel_h + i) * kernel_w
            target = start + c * plane + i * dilation_h * frame_width
            j = 0
            if dilation_w == 1:
                while j + 4 <= kernel_w:
                    add_quad(frame, target + j, patch, source + j)
                    j += 4
            while j < kernel_w:
                frame[target + j * dilation_w] += patch[source + j]
                j += 1


@njit(parallel=True, cache=True, error_model="numpy")
def _conv_transpose2d(y, weight_rows, kernel_h, kernel_w, height, width, top, left,
                      stride_h, stride_w, dilation_h, dilation_w, block, patch_length, patches, planes, out):  # fmt: skip
    batch, filters, out_height, out_width = y.shape
    channels, rows_out, columns_out = out.shape[1], out.shape[2], out.shape[3]
    taps = kernel_h * kernel_w
    pixels = out_height * out_width
    plane = height * width
    row_length = weight_rows.shape[1]
    threads = planes.shape[0]
    blocks = (channels + block - 1) // block
    tasks = blocks * batch
    flat_weight, flat_y = weight_rows.ravel(), y.ravel()
    for thread in prange(threads):
        lanes = lanes_of(flat_y)
        patch, frame = patches[thread], planes[thread]
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            n = task % batch
            first = task // batch * block
            count = min(block, channels - first)
            frame[:] = 0
            for chunk in range(0, pixels, MAX_ROWS):
                rows = min(MAX_ROWS, pixels - chunk)
                multiply(
                    flat_y, n * filters * pixels + chunk, 1, pixels, rows,
                    flat_weight, first * taps, row_length, filters, _round_up(count * taps, lanes),
                    patch, 0, patch_length, False,
                )  # fmt: skip
                for row in range(rows):
                    p, q = (chunk + row) // out_width, (chunk + row) % out_width
                    start = p * stride_h * width + q * stride_w
                    _add_patch(
                        patch, row * patch_length, count, kernel_h, kernel_w,
                        frame, start, plane, width, dilation_h, dilation_w,
                    )  # fmt: skip
            for c in range(count):
                target = out[n, first + c]
                for h in range(rows_out):
                    source = c * plane + (h + top) * width + left
                    for w in range(columns_out):
                        target[h, w] = frame[source + w]


@njit(parallel=True, cache=True, error_model="numpy")
def _conv2d_weight(x, y, frames, height, width, kernel_h, kernel_w,
                   stride_h, stride_w, dilation_h, dilation_w, block, patch_length, patches, result):  # fmt: skip
    batch, channels = x.shape[0], x.shape[1]
    filters, out_width = y.shape[1], y.shape[3]
    plane = height * width
    threads = patches.shape[0]
    pixels = y.shape[2] * out_width
    taps = kernel_h * kernel_w
    row_length = result.shape[1]
    blocks = (channels + block - 1) // block
    splits = max(1, min(threads // blocks, filters // 8))
    tasks = blocks * splits
    flat_y, flat_result = y.ravel(), result.ravel()
    for thread in prange(threads):
        lanes = lanes_of(frames)
        patch = patches[thread]
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first = task // splits * block
            count = min(block, channels - first)
            split = task % splits
            begin, end = split * filters // splits, (split + 1) * filters // splits
            for n in range(batch):
                for chunk in range(0, pixels, MAX_ROWS):
                    rows = min(MAX_ROWS, pixels - chunk)
                    for row in range(rows):
                        p, q = (chunk + row) // out_width, (chunk + row) % out_width
                        start = (n * channels + first) * plane + p * stride_h * width + q * stride_w
                        target = row * patch_length
                        for c in range(count):
                            for i in range(kernel_h):
                                source = start + c * plane + i * dilation_h * width
                                if dilation_w == 1 and kernel_w == 4:
                                    copy_quad(patch, target, frames, source)
                                elif dilation_w == 1:
                                    _copy_run(patch, target, frames, source, kernel_w)
                                else:
                                    for j in range(kernel_w):
                                        patch[target + j] = frames[source + j * dilation_w]
                                target += kernel_w
                    multiply(
                        flat_y, (n * filters + begin) * pixels + chunk, pixels, 1, end - begin,
                        patch, 0, patch_length, rows, _round_up(count * taps, lanes),
                        flat_result, begin * row_length + first * taps, row_length, n > 0 or chunk > 0,
                    )  # fmt: skip
