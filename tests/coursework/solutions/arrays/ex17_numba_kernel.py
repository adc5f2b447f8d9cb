import math

import numpy as np


def gflops(weight_shape, out_shape, seconds):
    return 2e-9 * math.prod(out_shape) * math.prod(weight_shape[1:]) / seconds


def correlate(frames, weight, stride, out):
    rows, cols = weight.shape[2:]
    for n, k, p, q in np.ndindex(out.shape):
        seen = frames[n, :, stride * p : stride * p + rows, stride * q : stride * q + cols]
        out[n, k, p, q] = np.vdot(seen, weight[k])


def to_lanes(weight):
    return weight.transpose(1, 2, 3, 0).copy()


def correlate_lanes(frames, taps, stride, sums):
    rows, cols = taps.shape[1:3]
    for n, p, q in np.ndindex(sums.shape[:3]):
        seen = frames[n, :, stride * p : stride * p + rows, stride * q : stride * q + cols]
        sums[n, p, q] = np.tensordot(seen, taps, 3)
