"""The convolution triple on the CPU: every product is a register tile, no patch matrix is ever whole.

Each kernel packs a panel of at most 64 columns that stays in the cache, multiplies it with
`multiply_panel`, and writes the result where it belongs (Chetlur et al., "cuDNN: Efficient
Primitives for Deep Learning", 2014, section 3.1: the patch matrix is formed tile by tile).
A task owns the outputs it writes and adds in a fixed order, so the bits do not depend on threads.

Shapes: x (N, C, H, W), weight (K, C, R, S), y (N, K, P, Q). `padding` is (left, right, top, bottom);
right and bottom follow from the shapes.
"""

import numpy as np
from numba import get_num_threads, njit, prange

from minigan.kernels import pool
from minigan.kernels.cpu.tile import PANEL, lanes_of, multiply_panel

MAX_DEPTH = 1024  # rows of a packed panel: 1024 x 64 floats are 256 KiB, a quarter of a common L2
MAX_FILTERS = 512  # rows of results a task keeps before it writes them out
MAX_SCRATCH = 1 << 16  # elements of column scratch in the transposed convolution, for the same reason


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight), the cross-correlation; as `reference.conv2d`."""
    padded = _pad(x, weight, out, stride, padding, dilation)
    _conv2d(padded, np.ascontiguousarray(weight), *stride, *dilation, get_num_threads(), out)
    return out


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight), the adjoint of C in x; as `reference.conv_transpose2d`."""
    left, _, top, _ = padding
    if stride == (1, 1) and out.shape[2] * out.shape[3] <= 1.3 * y.shape[2] * y.shape[3]:
        # With stride 1, T is C with the kernel turned around, and C needs no sum over columns. Where
        # the output is much larger than the input, though, most of its products would be with zeros.
        reach_h, reach_w = (dilation[axis] * (weight.shape[2 + axis] - 1) for axis in (0, 1))
        turned = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]  # (C, K, R, S)
        if reach_h >= top and reach_w >= left:
            return conv2d(y, turned, stride, (reach_w - left, 0, reach_h - top, 0), dilation, out)
    _conv_transpose2d(
        np.ascontiguousarray(y), np.ascontiguousarray(weight), *stride, top, left, *dilation, get_num_threads(), out
    )
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y), the adjoint of C in weight; as `reference.conv2d_weight`."""
    padded = _pad(x, out, y, stride, padding, dilation)
    _conv2d_weight(padded, np.ascontiguousarray(y), *stride, *dilation, get_num_threads(), out)
    return out


def _pad(x, weight, y, stride, padding, dilation):
    """x in a frame of zeros, just large enough for every tap of every output."""
    left, _, top, _ = padding
    height = (y.shape[2] - 1) * stride[0] + (weight.shape[2] - 1) * dilation[0] + 1
    width = (y.shape[3] - 1) * stride[1] + (weight.shape[3] - 1) * dilation[1] + 1
    x = np.ascontiguousarray(x)
    if (top, left) == (0, 0) and x.shape[2:] == (height, width):
        return x
    padded = pool.empty((x.shape[0], x.shape[1], height, width), x.dtype)
    _copy_into_frame(x, top, left, padded)
    return padded


@njit(parallel=True, cache=True, error_model="numpy")
def _copy_into_frame(x, top, left, padded):
    batch, channels, height, width = x.shape
    frame_height, frame_width = padded.shape[2], padded.shape[3]
    for plane in prange(batch * channels):
        source, target = x[plane // channels, plane % channels], padded[plane // channels, plane % channels]
        for h in range(frame_height):
            if 0 <= h - top < height:
                for w in range(min(left, frame_width)):
                    target[h, w] = 0
                for w in range(left, min(left + width, frame_width)):
                    target[h, w] = source[h - top, w - left]
                for w in range(left + width, frame_width):
                    target[h, w] = 0
            else:
                for w in range(frame_width):
                    target[h, w] = 0


@njit(cache=True, error_model="numpy")
def _round_up(count, step):
    return (count + step - 1) // step * step


@njit(cache=True, error_model="numpy")
def _column_starts(first, count, channels, frame_height, frame_width, out_height, out_width, stride_h, stride_w, starts):
    """Where in the flat padded x the patches of output pixels first .. first + count begin."""
    pixels = out_height * out_width
    for column in range(count):
        n = (first + column) // pixels
        pixel = (first + column) % pixels
        row, position = pixel // out_width, pixel % out_width
        starts[column] = (n * channels * frame_height + row * stride_h) * frame_width + position * stride_w


@njit(parallel=True, cache=True, error_model="numpy")
def _conv2d(padded, weight, stride_h, stride_w, dilation_h, dilation_w, threads, out):
    batch, channels, frame_height, frame_width = padded.shape
    filters, _, kernel_h, kernel_w = weight.shape
    out_height, out_width = out.shape[2], out.shape[3]
    pixels = out_height * out_width
    columns = batch * pixels
    taps = kernel_h * kernel_w
    depth = channels * taps
    panels = (columns + PANEL - 1) // PANEL
    # Few columns: split the filters too, so that every thread has work.
    splits = max((filters + MAX_FILTERS - 1) // MAX_FILTERS, min(2 * threads // panels, filters // 8))
    tasks = panels * splits
    flat_x, flat_weight, flat_out = padded.ravel(), weight.ravel(), out.ravel()
    for thread in prange(threads):
        panel = np.empty((min(depth, MAX_DEPTH), PANEL), padded.dtype)
        result = np.empty((min(filters, MAX_FILTERS) + 1, PANEL), padded.dtype)
        starts = np.empty(PANEL, np.int64)
        lanes = lanes_of(panel)
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first = task // splits * PANEL
            count = min(PANEL, columns - first)
            width = _round_up(count, lanes)
            split = task % splits
            begin, end = split * filters // splits, (split + 1) * filters // splits
            _column_starts(
                first, count, channels, frame_height, frame_width, out_height, out_width, stride_h, stride_w, starts
            )
            for column in range(count, width):
                starts[column] = 0  # columns nobody reads: any valid address will do
            for chunk in range(0, depth, MAX_DEPTH):
                rows = min(MAX_DEPTH, depth - chunk)
                for row in range(rows):
                    c, tap = (chunk + row) // taps, (chunk + row) % taps
                    i, j = tap // kernel_w, tap % kernel_w
                    shift = (c * frame_height + i * dilation_h) * frame_width + j * dilation_w
                    target = panel[row]
                    for column in range(width):
                        target[column] = flat_x[starts[column] + shift]
                multiply_panel(
                    flat_weight, begin * depth + chunk, depth, 1, end - begin,
                    panel, rows, width, result, 0, PANEL, chunk > 0,
                )  # fmt: skip
            column = 0
            while column < count:
                n, pixel = (first + column) // pixels, (first + column) % pixels
                run = min(pixels - pixel, count - column)
                for k in range(begin, end):
                    target = (n * filters + k) * pixels + pixel
                    for step in range(run):
                        flat_out[target + step] = result[k - begin, column + step]
                column += run


@njit(cache=True, error_model="numpy")
def _images_a_group(batch, pixels):
    """How many images to put side by side so that few of a panel's columns stay empty."""
    best, best_waste = 1, 2.0
    for images in range(1, min(batch, 8) + 1):
        waste = _round_up(images * pixels, 16) / (images * pixels)
        if waste < best_waste - 0.02:
            best, best_waste = images, waste
    return best


@njit(cache=True, error_model="numpy")
def _add_columns(columns, channel_row, kernel_w, taps, image_column, out_height, out_width,
                 stride_h, stride_w, top, left, dilation_h, dilation_w, target):  # fmt: skip
    """Each output pixel of one channel collects the taps that reach it."""
    height, width = target.shape
    target[:] = 0
    for tap in range(taps):
        i, j = tap // kernel_w, tap % kernel_w
        source = columns[channel_row + tap]
        offset_w = j * dilation_w - left
        # The output positions q with 0 <= q * stride_w + offset_w < width.
        first = max(0, -(offset_w // stride_w)) if offset_w < 0 else 0
        last = min(out_width, (width - 1 - offset_w) // stride_w + 1)
        for p in range(out_height):
            h = p * stride_h + i * dilation_h - top
            if 0 <= h < height:
                base = image_column + p * out_width
                for q in range(first, last):
                    target[h, q * stride_w + offset_w] += source[base + q]


@njit(parallel=True, cache=True, error_model="numpy")
def _conv_transpose2d(y, weight, stride_h, stride_w, top, left, dilation_h, dilation_w, threads, out):
    batch, filters, out_height, out_width = y.shape
    _, channels, kernel_h, kernel_w = weight.shape
    taps = kernel_h * kernel_w
    pixels = out_height * out_width
    images = _images_a_group(batch, pixels)
    groups = (batch + images - 1) // images
    stride_columns = _round_up(images * pixels, PANEL)
    # A block of channels whose columns fit the cache, and no larger than gives every thread work.
    block = max(1, MAX_SCRATCH // (taps * stride_columns))
    block = max(1, min(block, channels * groups // (2 * threads)))
    blocks = (channels + block - 1) // block
    tasks = groups * blocks
    flat_weight, flat_y = weight.ravel(), y.ravel()
    for thread in prange(threads):
        panel = np.empty((min(filters, MAX_DEPTH), PANEL), y.dtype)
        columns = np.empty((block * taps, stride_columns), y.dtype)
        lanes = lanes_of(panel)
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first_image = task // blocks * images
            last_image = min(batch, first_image + images)
            first_channel = task % blocks * block
            last_channel = min(channels, first_channel + block)
            total = (last_image - first_image) * pixels
            for start in range(0, total, PANEL):
                count = min(PANEL, total - start)
                width = _round_up(count, lanes)
                for chunk in range(0, filters, MAX_DEPTH):
                    rows = min(MAX_DEPTH, filters - chunk)
                    for row in range(rows):
                        column = 0
                        while column < count:
                            n, pixel = first_image + (start + column) // pixels, (start + column) % pixels
                            run = min(pixels - pixel, count - column)
                            source = (n * filters + chunk + row) * pixels + pixel
                            for step in range(run):
                                panel[row, column + step] = flat_y[source + step]
                            column += run
                        for column in range(count, width):
                            panel[row, column] = 0
                    multiply_panel(
                        flat_weight, (chunk * channels + first_channel) * taps, 1, channels * taps,
                        (last_channel - first_channel) * taps,
                        panel, rows, width, columns, start, stride_columns, chunk > 0,
                    )  # fmt: skip
            for n in range(first_image, last_image):
                for c in range(first_channel, last_channel):
                    _add_columns(
                        columns, (c - first_channel) * taps, kernel_w, taps, (n - first_image) * pixels,
                        out_height, out_width, stride_h, stride_w, top, left, dilation_h, dilation_w, out[n, c],
                    )  # fmt: skip


@njit(parallel=True, cache=True, error_model="numpy")
def _conv2d_weight(padded, y, stride_h, stride_w, dilation_h, dilation_w, threads, out):
    batch, channels, frame_height, frame_width = padded.shape
    filters, _, kernel_h, kernel_w = out.shape
    out_height, out_width = y.shape[2], y.shape[3]
    pixels = out_height * out_width
    taps = kernel_h * kernel_w
    columns = channels * taps
    panels = (columns + PANEL - 1) // PANEL
    splits = max(1, min(2 * threads // panels, filters // 8))
    tasks = panels * splits
    flat_x, flat_y = padded.ravel(), y.ravel()
    flat_out = out.ravel()
    for thread in prange(threads):
        panel = np.empty((min(pixels, MAX_DEPTH), PANEL), padded.dtype)
        result = np.empty((filters, PANEL), padded.dtype)
        shifts = np.empty(PANEL, np.int64)
        lanes = lanes_of(panel)
        for task in range(thread * tasks // threads, (thread + 1) * tasks // threads):
            first = task // splits * PANEL
            count = min(PANEL, columns - first)
            width = _round_up(count, lanes)
            split = task % splits
            begin, end = split * filters // splits, (split + 1) * filters // splits
            for column in range(width):
                # Columns nobody reads repeat the last one: any valid address will do.
                c, tap = min(first + column, columns - 1) // taps, min(first + column, columns - 1) % taps
                i, j = tap // kernel_w, tap % kernel_w
                shifts[column] = (c * frame_height + i * dilation_h) * frame_width + j * dilation_w
            result[begin:end] = 0
            for n in range(batch):
                for chunk in range(0, pixels, MAX_DEPTH):
                    rows = min(MAX_DEPTH, pixels - chunk)
                    for row in range(rows):
                        p, q = (chunk + row) // out_width, (chunk + row) % out_width
                        start = (n * channels * frame_height + p * stride_h) * frame_width + q * stride_w
                        target = panel[row]
                        for column in range(width):
                            target[column] = flat_x[start + shifts[column]]
                    multiply_panel(
                        flat_y, (n * filters + begin) * pixels + chunk, pixels, 1, end - begin,
                        panel, rows, width, result, begin * PANEL, PANEL, True,
                    )  # fmt: skip
            for k in range(begin, end):
                target = k * columns + first
                for column in range(count):
                    flat_out[target + column] = result[k, column]
