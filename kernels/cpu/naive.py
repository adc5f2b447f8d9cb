"""The convolution triple as its definition says: seven nested loops, the first rung of the ladder.

    C   y[n, k, p, q] = sum over c, i, j of x[n, c, h, v] w[k, c, i, j]
    T   x[n, c, h, v] = sum over k, i, j of y[n, k, p, q] w[k, c, i, j]
    G   w[k, c, i, j] = sum over n, p, q of x[n, c, h, v] y[n, k, p, q]

where h = stride p + dilation i - top, and v alike of q, j and left. Each output is gathered by one
loop nest and written once. What makes it slow: every product costs two loads, an index calculation
and a test for the border, and the next one must wait for its sum. `im2col.py` is the next rung.
"""

from numba import njit

from minigan.kernels.launch import contiguous, launch


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight), the cross-correlation; as `reference.conv2d`."""
    launch(_conv2d, contiguous(x), contiguous(weight), stride, padding, dilation, out)
    return out


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight), the adjoint of C in x; as `reference.conv_transpose2d`."""
    launch(_conv_transpose2d, contiguous(y), contiguous(weight), stride, padding, dilation, out)
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y), the adjoint of C in weight; as `reference.conv2d_weight`."""
    launch(_conv2d_weight, contiguous(x), contiguous(y), stride, padding, dilation, out)
    return out


@njit(cache=True, error_model="numpy")
def _conv2d(x, weight, stride, padding, dilation, out):
    batch, channels, height, width = x.shape
    filters, _, kernel_h, kernel_w = weight.shape
    left, _, top, _ = padding
    for n in range(batch):
        for k in range(filters):
            for p in range(out.shape[2]):
                for q in range(out.shape[3]):
                    total = x.dtype.type(0)
                    for c in range(channels):
                        for i in range(kernel_h):
                            for j in range(kernel_w):
                                h, v = stride[0] * p + dilation[0] * i - top, stride[1] * q + dilation[1] * j - left
                                if 0 <= h < height and 0 <= v < width:
                                    total += x[n, c, h, v] * weight[k, c, i, j]
                    out[n, k, p, q] = total


@njit(cache=True, error_model="numpy")
def _conv_transpose2d(y, weight, stride, padding, dilation, out):
    batch, filters, height, width = y.shape
    _, channels, kernel_h, kernel_w = weight.shape
    left, _, top, _ = padding
    for n in range(batch):
        for c in range(channels):
            for h in range(out.shape[2]):
                for v in range(out.shape[3]):
                    total = y.dtype.type(0)
                    for k in range(filters):
                        for i in range(kernel_h):
                            for j in range(kernel_w):
                                p, p_left = divmod(h + top - dilation[0] * i, stride[0])
                                q, q_left = divmod(v + left - dilation[1] * j, stride[1])
                                if p_left == 0 and q_left == 0 and 0 <= p < height and 0 <= q < width:
                                    total += y[n, k, p, q] * weight[k, c, i, j]
                    out[n, c, h, v] = total


@njit(cache=True, error_model="numpy")
def _conv2d_weight(x, y, stride, padding, dilation, out):
    batch, channels, height, width = x.shape
    filters, _, kernel_h, kernel_w = out.shape
    left, _, top, _ = padding
    for k in range(filters):
        for c in range(channels):
            for i in range(kernel_h):
                for j in range(kernel_w):
                    total = x.dtype.type(0)
                    for n in range(batch):
                        for p in range(y.shape[2]):
                            for q in range(y.shape[3]):
                                h, v = stride[0] * p + dilation[0] * i - top, stride[1] * q + dilation[1] * j - left
                                if 0 <= h < height and 0 <= v < width:
                                    total += x[n, c, h, v] * y[n, k, p, q]
                    out[k, c, i, j] = total
