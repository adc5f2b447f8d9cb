"""C and G for images of few channels, such as a DCGAN's own (float32).

With one channel a patch has few elements, so what costs is bringing them in place. C parts each
image into its stride x stride phases, in which the elements that a tap meets along a row of outputs
are neighbours: a patch matrix of rows takes one copy per vector. G turns y instead, filters side by
side, and reads the images where they are: out[tap, k] = x[tap, pixels] y[pixels, k].
"""

from numba import get_num_threads, njit, prange

from minigan.kernels import pool
from minigan.kernels.cpu.registers import VECTOR, copy_vector, whole_vectors
from minigan.kernels.cpu.tile import multiply
from minigan.kernels.cpu.transpose import to_lanes
from minigan.kernels.launch import contiguous, launch

MOST_TAPS = 64  # channels x taps
FEWEST_IMAGES = 16  # in a batch for which it pays to turn y
PARTS = 16  # into which G parts a batch, whatever the number of threads, so that sums have the same order


def fits(kernel, x_shape, weight_shape, y_shape):
    """Whether it pays: few taps, and for C rows of outputs that nearly fill their vectors, for G images enough."""
    if weight_shape[1] * weight_shape[2] * weight_shape[3] > MOST_TAPS:
        return False
    if kernel == "conv2d":
        return y_shape[3] / whole_vectors(y_shape[3]) > 0.8
    return kernel == "conv2d_weight" and x_shape[0] >= FEWEST_IMAGES


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight)."""
    _, filters, height, width = out.shape
    left, _, top, _ = padding
    threads, row = get_num_threads(), whole_vectors(width)
    # Phases reach from the first tap of the first output to the last of the last.
    rows, columns = (n + (dilation[a] * (weight.shape[2 + a] - 1)) // stride[a] for a, n in enumerate((height, row)))
    phases = pool.empty((threads, x.shape[1] * stride[0] * stride[1] * rows * columns))
    panels = pool.empty((threads, weight[0].size * height * row))
    results = pool.empty((threads, filters * height * row))
    launch(
        _conv2d, contiguous(x), contiguous(weight).reshape(-1), *weight.shape[2:], *stride, *dilation, top, left,
        rows, columns, phases, panels, row, results, out,
    )  # fmt: skip
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y)."""
    filters, channels, kernel_h, kernel_w = out.shape
    height = (y.shape[2] - 1) * stride[0] + (kernel_h - 1) * dilation[0] + 1
    width = (y.shape[3] - 1) * stride[1] + (kernel_w - 1) * dilation[1] + 1
    whole = whole_vectors(filters)
    frames = pool.empty((PARTS, channels * height * width))
    pixels = pool.empty((PARTS, y[0, 0].size * whole))
    sums = pool.empty((PARTS, out[0].size * whole))
    left, _, top, _ = padding
    launch(
        _conv2d_weight, contiguous(x), contiguous(y).reshape(-1), *y.shape[1:], kernel_h, kernel_w, *stride, *dilation,
        top, left, height, width, frames, pixels, sums,
    )  # fmt: skip
    launch(_add_parts, sums, whole, out.reshape(filters, -1))
    return out


@njit(parallel=True, cache=True, error_model="numpy")
def _conv2d(x, weight, kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, top, left,
            rows, columns, phases, panels, row_length, results, out):  # fmt: skip
    batch, channels, height, width = x.shape
    filters, out_height, out_width = out.shape[1], out.shape[2], out.shape[3]
    flat, flat_out = x.reshape(-1), out.reshape(-1)
    threads = phases.shape[0]
    depth, panel_row = channels * kernel_h * kernel_w, out_height * row_length
    for thread in prange(threads):
        phase, panel, result = phases[thread], panels[thread], results[thread]
        phase[:] = 0
        for n in range(thread * batch // threads, (thread + 1) * batch // threads):
            for c in range(channels):
                for h in range(min(height, rows * stride_h - top)):
                    row, phase_h = (h + top) // stride_h, (h + top) % stride_h
                    source = ((n * channels + c) * height + h) * width
                    for phase_w in range(stride_w):
                        target = (((c * stride_h + phase_h) * stride_w + phase_w) * rows + row) * columns
                        first = (stride_w - 1 - phase_w + left) // stride_w  # column of the phase
                        last = min(columns, (width + left - phase_w + stride_w - 1) // stride_w)
                        for column in range(first, last):
                            phase[target + column] = flat[source + column * stride_w + phase_w - left]
            tap = 0
            for c in range(channels):
                for i in range(kernel_h):
                    phase_h, row = i * dilation_h % stride_h, i * dilation_h // stride_h
                    for j in range(kernel_w):
                        phase_w, column = j * dilation_w % stride_w, j * dilation_w // stride_w
                        source = (((c * stride_h + phase_h) * stride_w + phase_w) * rows + row) * columns + column
                        for p in range(out_height):
                            for vector in range(0, row_length, VECTOR):
                                copy_vector(
                                    panel, tap * panel_row + p * row_length + vector,
                                    phase, source + p * columns + vector,
                                )  # fmt: skip
                        tap += 1
            multiply(weight, 0, depth, 1, filters, panel, 0, panel_row, depth, panel_row, result, 0, panel_row, False)
            # Whole vectors, in order: what one writes too much is overwritten by the next, but for the last.
            rows_out = filters * out_height
            for row in range(rows_out):
                source, target = row * row_length, (n * rows_out + row) * out_width
                if row < rows_out - 1:
                    for vector in range(0, row_length, VECTOR):
                        copy_vector(flat_out, target + vector, result, source + vector)
                else:
                    for q in range(out_width):
                        flat_out[target + q] = result[source + q]


@njit(parallel=True, cache=True, error_model="numpy")
def _conv2d_weight(x, y, filters, out_height, out_width, kernel_h, kernel_w, stride_h, stride_w,
                   dilation_h, dilation_w, top, left, height, width, frames, pixels, sums):  # fmt: skip
    batch, channels = x.shape[0], x.shape[1]
    plane, area = out_height * out_width, height * width
    whole = whole_vectors(filters)
    for part in prange(PARTS):
        frame, pixel, total = frames[part], pixels[part], sums[part]
        frame[:] = 0
        total[:] = 0
        for n in range(part * batch // PARTS, (part + 1) * batch // PARTS):
            for c in range(channels):
                for h in range(min(x.shape[2], height - top)):
                    at = c * area + (h + top) * width + left
                    for w in range(min(x.shape[3], width - left)):
                        frame[at + w] = x[n, c, h, w]
            to_lanes(y, n * filters * plane, plane, filters, plane, pixel, whole)
            for c in range(channels):
                for i in range(kernel_h):
                    for p in range(out_height):
                        multiply(
                            frame, c * area + (p * stride_h + i * dilation_h) * width, dilation_w, stride_w, kernel_w,
                            pixel, p * out_width * whole, whole, out_width, whole,
                            total, (c * kernel_h + i) * kernel_w * whole, whole, True,
                        )  # fmt: skip


@njit(cache=True, error_model="numpy")
def _add_parts(sums, whole, out):
    for k in range(out.shape[0]):
        for tap in range(out.shape[1]):
            total = sums[0, tap * whole + k]
            for part in range(1, PARTS):
                total += sums[part, tap * whole + k]
            out[k, tap] = total
