import numpy as np


def gflops(weight_shape, out_shape, seconds):
    operations = 2
    for length in out_shape:
        operations *= length
    for length in weight_shape[1:]:
        operations *= length
    return operations / seconds / 1e9


def correlate(frames, weight, stride, out):
    for n in range(out.shape[0]):
        for k in range(out.shape[1]):
            for p in range(out.shape[2]):
                for q in range(out.shape[3]):
                    total = 0.0
                    for c in range(weight.shape[1]):
                        for i in range(weight.shape[2]):
                            for j in range(weight.shape[3]):
                                total += frames[n, c, stride * p + i, stride * q + j] * weight[k, c, i, j]
                    out[n, k, p, q] = total


def to_lanes(weight):
    filters, channels, rows, cols = weight.shape
    taps = np.zeros((channels, rows, cols, filters))
    for k in range(filters):
        for c in range(channels):
            for i in range(rows):
                for j in range(cols):
                    taps[c, i, j, k] = weight[k, c, i, j]
    return taps


def correlate_lanes(frames, taps, stride, sums):
    for n in range(sums.shape[0]):
        for p in range(sums.shape[1]):
            for q in range(sums.shape[2]):
                for k in range(sums.shape[3]):
                    sums[n, p, q, k] = 0.0
                for c in range(taps.shape[0]):
                    for i in range(taps.shape[1]):
                        for j in range(taps.shape[2]):
                            pixel = frames[n, c, stride * p + i, stride * q + j]
                            for k in range(taps.shape[3]):
                                sums[n, p, q, k] += pixel * taps[c, i, j, k]
