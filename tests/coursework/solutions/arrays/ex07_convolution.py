import numpy as np


def output_size(size, kernel, stride=1, padding=0):
    room = size + 2 * padding - kernel
    if room < 0:
        raise ValueError(f"kernel {kernel} is larger than {kernel + room} pixels")
    return 1 + room // stride


def patches(x, kernel, stride=1, padding=0):
    sizes = [output_size(n, taps, stride, padding) for n, taps in zip(x.shape[2:], kernel)]
    frame = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    taps = np.empty(x.shape[:2] + kernel + tuple(sizes), x.dtype)
    for i, j in np.ndindex(kernel):
        seen = frame[:, :, i::stride, j::stride]
        taps[:, :, i, j] = seen[:, :, : sizes[0], : sizes[1]]
    return taps.reshape(len(x), -1, np.prod(sizes))


def conv2d(x, weight, stride=1, padding=0):
    p_size = output_size(x.shape[2], weight.shape[2], stride, padding)
    out = weight.reshape(len(weight), -1) @ patches(x, weight.shape[2:], stride, padding)
    return out.reshape(len(x), len(weight), p_size, -1)
