import numpy as np


def conv_transpose2d(y, weight, stride=1, padding=0, output_padding=0):
    if output_padding >= stride:
        raise ValueError(f"output_padding {output_padding} is not less than stride {stride}")
    (p_size, q_size), (rows, cols) = y.shape[2:], weight.shape[2:]
    frame = np.zeros((len(y), weight.shape[1], stride * p_size + rows, stride * q_size + cols), y.dtype)
    for i, j in np.ndindex(rows, cols):
        stamps = np.einsum("nkpq,kc->ncpq", y, weight[:, :, i, j])
        frame[:, :, i : i + stride * p_size : stride, j : j + stride * q_size : stride] += stamps
    height, width = (stride * (n - 1) + taps - padding + output_padding for n, taps in zip(y.shape[2:], (rows, cols)))
    return frame[:, :, padding:height, padding:width]


def conv2d_weight_gradient(x, y, kernel_size, stride=1, padding=0):
    frame = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    gradient = np.empty((y.shape[1], x.shape[1], *kernel_size))
    for i, j in np.ndindex(kernel_size):
        seen = frame[:, :, i::stride, j::stride][:, :, : y.shape[2], : y.shape[3]]
        gradient[:, :, i, j] = np.tensordot(y, seen, ((0, 2, 3), (0, 2, 3)))
    return gradient
