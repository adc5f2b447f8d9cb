import numpy as np


def axis_matrix(size, places, taps, stride, padding):
    """1 at (h, p, i) where tap i of place p is pixel h."""
    h, p, i = np.ogrid[:size, :places, :taps]
    return (h == stride * p + i - padding).astype(np.float32)


def conv_transpose2d(y, weight, stride=1, padding=0, output_padding=0):
    if not output_padding < stride:
        raise ValueError(f"{output_padding} is too much for a stride of {stride}")
    sizes = [(n - 1) * stride + taps - 2 * padding + output_padding for n, taps in zip(y.shape[2:], weight.shape[2:])]
    down, across = (axis_matrix(sizes[a], y.shape[2 + a], weight.shape[2 + a], stride, padding) for a in (0, 1))
    return np.einsum("nkpq,kcij,hpi,wqj->nchw", y, weight, down, across, optimize=True)


def conv2d_weight_gradient(x, y, kernel_size, stride=1, padding=0):
    down, across = (axis_matrix(x.shape[2 + a], y.shape[2 + a], kernel_size[a], stride, padding) for a in (0, 1))
    return np.einsum("nchw,nkpq,hpi,wqj->kcij", x, y, down, across, optimize=True)
