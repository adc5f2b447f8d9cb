import numpy as np


def gflops(weight_shape, out_shape, seconds):
    products = np.prod(out_shape) * np.prod(weight_shape) / weight_shape[0]
    return products / (seconds * 500e6)


def correlate(frames, weight, stride, out):
    out[...] = 0
    for c, i, j in np.ndindex(weight.shape[1:]):
        for p, q in np.ndindex(out.shape[2:]):
            out[:, :, p, q] += np.outer(frames[:, c, stride * p + i, stride * q + j], weight[:, c, i, j])


def to_lanes(weight):
    return weight.reshape(len(weight), -1).T.reshape(weight.shape[1:] + (-1,)).copy()


def correlate_lanes(frames, taps, stride, sums):
    sums.fill(0)
    _, height, width, _ = sums.shape
    for c, i, j in np.ndindex(taps.shape[:3]):
        pixels = frames[:, c, i::stride, j::stride][:, :height, :width]
        sums += pixels[..., np.newaxis] * taps[c, i, j]
