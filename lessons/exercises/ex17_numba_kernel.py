"""Exercise 17: a kernel, and the loop order that makes it fast (lesson 17). NumPy and Numba.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex17

@njit is welcome once the functions are right (the checks' arrays are small, so compiling takes longer than it saves
there). What it brings, `python my_folder/ex17_numba_kernel.py` tells.
"""

import numpy as np


def gflops(weight_shape, out_shape, seconds):
    """The rate of a convolution in GFLOP/s, 10^9 operations a second, counted as its definition has them.

    weight_shape: (K, C, R, S). out_shape: (N, K, P, Q). Each output takes C R S multiplications and as many additions.
    """
    raise NotImplementedError("gflops")


def correlate(frames, weight, stride, out):
    """Writes the cross-correlation of frames (N, C, H, W), padded already, with weight (K, C, R, S) into out (N, K, P, Q).

        out[n, k, p, q] = sum over c, i, j of frames[n, c, stride p + i, stride q + j] weight[k, c, i, j]

    Whatever out held before is forgotten. Loops over single numbers, with the sum in a variable of its own, as a compiler
    likes them. Returns nothing; frames and weight are left as they were.
    """
    raise NotImplementedError("correlate")


def to_lanes(weight):
    """A copy of weight (K, C, R, S) as (C, R, S, K), in C order: the weights of all filters for a tap lie side by side."""
    raise NotImplementedError("to_lanes")


def correlate_lanes(frames, taps, stride, sums):
    """`correlate` with filters last: frames (N, C, H, W) and taps (C, R, S, K) into sums (N, P, Q, K).

        sums[n, p, q, k] = sum over c, i, j of frames[n, c, stride p + i, stride q + j] taps[c, i, j, k]

    The innermost loop runs over k (or a whole row of k is added at once). Whatever sums held before is forgotten. Returns nothing.
    """
    raise NotImplementedError("correlate_lanes")


if __name__ == "__main__":
    import timeit

    from numba import njit

    rng = np.random.default_rng(0)
    frames, weight = rng.random((16, 28, 18, 18), np.float32), rng.random((56, 28, 4, 4), np.float32)
    out, sums = np.empty((16, 56, 8, 8), np.float32), np.empty((16, 8, 8, 56), np.float32)
    taps = to_lanes(weight)
    for name, function, arguments in (
        ("correlate", correlate, (frames, weight, 2, out)),
        ("correlate_lanes", correlate_lanes, (frames, taps, 2, sums)),
    ):
        compiled = function if hasattr(function, "py_func") else njit(function)
        seconds = min(timeit.repeat(lambda: compiled(*arguments), number=1, repeat=5)[1:])
        print(f"{name:16} {gflops(weight.shape, out.shape, seconds):7.2f} GFLOP/s")
