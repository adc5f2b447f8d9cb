"""Checks of exercise 17."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen

MAY_IMPORT = ("numba", "timeit")
BEFORE = 1000.5  # what the output holds before a kernel writes it


@check(points=2)
def rate(student, rng):
    """gflops is the rate of the definition's operations"""
    for _ in range(3):
        batch, height, width = (int(n) for n in rng.integers(2, 9, 3))
        filters, channels, rows, cols = (int(n) for n in rng.permutation([3, 5, 7, 11]))
        out_shape, seconds = (batch, filters, height, width), float(rng.uniform(1e-4, 1e-2))
        products = batch * filters * height * width * channels * rows * cols
        agree(
            student.gflops((filters, channels, rows, cols), out_shape, seconds), 2 * products / seconds / 1e9, "the rate",
            given={"weight_shape": (filters, channels, rows, cols), "out_shape": out_shape, "seconds": seconds},
            slips={
                "only the multiplications are counted: each comes with an addition": products / seconds / 1e9,
                "it is operations a second, not 10^9 of them": 2 * products / seconds,
                "the filters are counted twice, in the weight and in the output": 2 * filters * products / seconds / 1e9,
                "it is 10^6 operations a second: MFLOP/s": 2 * products / seconds / 1e6,
                "the taps are missing": 2 * products / rows / cols / seconds / 1e9,
                "the channels are missing": 2 * products / channels / seconds / 1e9,
                "it is multiplied by the time": 2 * products * seconds / 1e9,
            },
            rtol=1e-12, atol=0,
        )  # fmt: skip


@check(points=3)
def definition(student, rng):
    """correlate writes the cross-correlation into out"""
    for small in (True, False, False):
        frames, weight, stride, right = _problem(rng, small)
        out = np.full(right.shape, BEFORE)
        found = student.correlate(frames, weight, stride, out)
        given = {"frames": frames, "weight": weight, "stride": stride, "out.shape": out.shape}
        turned = _correlation(frames, weight[:, :, ::-1, ::-1], stride, right.shape)
        slips = {
            "a sum goes on where the last one ended: set it to 0 for each output": np.cumsum(right).reshape(right.shape)
        }
        _written(out, right, "out, after correlate,", given, {**_slips(frames, weight, stride, right), **slips}, turned)
        _nothing(found, "correlate")


@check(points=1)
def layout(student, rng):
    """to_lanes puts filters last, side by side in memory"""
    weight = frozen(rng.normal(size=rng.permutation([2, 3, 4, 5])).round(1))
    taps = student.to_lanes(weight)
    agree(
        taps, np.moveaxis(weight, 0, 3), "to_lanes",
        given={"weight": weight},
        slips={
            "it is reshaped, which renames places instead of moving numbers: transpose it": weight.reshape(*weight.shape[1:], -1),
            "all axes are turned around": weight.T,
        },
    )  # fmt: skip
    steps = taps.strides
    expect(
        taps.flags.c_contiguous,
        f"to_lanes has the right numbers, but they are not in C order: its strides are {steps} bytes, so that two filters lie "
        f"{steps[-1]} bytes apart, not {taps.itemsize}. A transposed array is a view; its method copy() puts the numbers in order",
    )
    expect(not np.shares_memory(taps, weight), "to_lanes is not a copy: it shares weight's memory")


@check(points=4)
def lanes(student, rng):
    """correlate_lanes writes the same with filters last"""
    for small in (True, False, False, False):
        frames, weight, stride, right = _problem(rng, small)
        taps = frozen(np.moveaxis(weight, 0, 3).copy())  # (C, R, S, K)
        sums = np.full(np.moveaxis(right, 1, 3).shape, BEFORE)
        found = student.correlate_lanes(frames, taps, stride, sums)
        given = {"frames": frames, "taps": taps, "stride": stride, "sums.shape": sums.shape}
        turned = _correlation(frames, weight[:, :, ::-1, ::-1], stride, right.shape)
        slips = {
            sentence: np.moveaxis(np.broadcast_to(wrong, right.shape), 1, 3)
            for sentence, wrong in _slips(frames, weight, stride, right).items()
        }
        slips["a row of sums goes on where the last one ended: set it to 0 for each pixel"] = np.cumsum(
            np.moveaxis(right, 1, 3).reshape(-1, right.shape[1]), axis=0
        ).reshape(sums.shape)
        _written(
            sums, np.moveaxis(right, 1, 3), "sums, after correlate_lanes,", given, slips, np.moveaxis(turned, 1, 3)
        )
        _nothing(found, "correlate_lanes")


def _nothing(found, name):
    expect(found is None, f"{name} should return nothing, as its result is in the array that it was given; it returns a "
           f"{type(found).__name__}")  # fmt: skip


def _written(out, right, what, given, slips, turned):
    agree(
        out, right, what, given,
        {
            "it is not written: assign to its elements, not to its name": np.full(right.shape, BEFORE),
            "what it held before (here 1000.5 everywhere) is added to: set it to 0 first": right + BEFORE,
            "the weight's taps are turned": turned,
            **slips,
        },
    )  # fmt: skip


def _slips(frames, weight, stride, right):
    return {
        "the stride is forgotten": _correlation(frames, weight, 1, right.shape),
        "the stride is forgotten for the rows": _correlation(frames, weight, (1, stride), right.shape),
        "the stride is forgotten for the columns": _correlation(frames, weight, (stride, 1), right.shape),
        "only the last tap counts: add to the sum": _correlation(
            frames[:, -1:, weight.shape[2] - 1 :, weight.shape[3] - 1 :], weight[:, -1:, -1:, -1:], stride, right.shape
        ),
        "only the first channel is seen": _correlation(frames[:, :1], weight[:, :1], stride, right.shape),
        "all images give the result of the first": right[[0] * len(right)],
        "all filters give the result of the first": right[:, [0] * right.shape[1]],
    }


def _correlation(frames, weight, stride, shape):
    """The oracle, for an output of that shape. stride: an int, or those of rows and columns."""
    down, across = np.broadcast_to(stride, 2)
    out = np.zeros(shape)
    for i, j in np.ndindex(weight.shape[2:]):
        seen = frames[:, :, i::down, j::across][:, :, : shape[2], : shape[3]]
        out += np.einsum("nchw,kc->nkhw", seen, weight[:, :, i, j])
    return out


def _problem(rng, small):
    """(frames, weight, stride, the right output), no two lengths alike; small ones can be printed."""
    stride = 1 if small else int(rng.integers(2, 4))
    lengths = (2, 1, 5, 1, 2, 3, 4) if small else (int(n) for n in (*rng.permutation(5) + 1, *rng.permutation([6, 7])))
    batch, channels, filters, rows, cols, height, width = lengths
    sizes = (stride * (n - 1) + taps + int(rng.integers(0, stride)) for n, taps in zip((height, width), (rows, cols)))
    frames, weight = (
        rng.normal(size=(batch, channels, *sizes)).round(2),
        rng.normal(size=(filters, channels, rows, cols)).round(2),
    )
    return frozen(frames), frozen(weight), stride, _correlation(frames, weight, stride, (batch, filters, height, width))
