"""NumPy's arithmetic, copies and fills on the GPU, for arrays of any strides; see `arithmetic.cu` and `copies.cu`.

What the engine's primitive ops launch: CuPy's own functions would not be ours to read, or to capture.
"""

import numpy as np

from minigan.kernels.cuda import loader
from minigan.kernels.cuda.grid import NUMBERS, THREADS, blocks

UFUNCS = {
    np.add: 0, np.subtract: 1, np.multiply: 2, np.true_divide: 3, np.negative: 4, np.exp: 5, np.log: 6, np.sqrt: 7,
}  # as `Operation` in arithmetic.cu  # fmt: skip
DIMENSIONS, OPERANDS = 6, 3  # as in strided.cuh
_NULL = np.uint64(0)  # the address of nothing


def apply(ufunc, arrays, out):
    """out = ufunc(*arrays), a function of UFUNCS; arrays of out's dtype that broadcast to its shape, or numbers.

    Raises TypeError for another dtype, ValueError for more than six dimensions that do not merge.
    """
    places = [_expanded(a, out) for a in arrays]
    operands = []
    for a in arrays:
        on_gpu = isinstance(a, loader.arrays().ndarray)
        operands += (a, 0.0) if on_gpu else (_NULL, float(a))
    if len(arrays) == 1:
        operands += (_NULL, 0.0)
    if out.size:
        loader.run(
            "arithmetic.cu", "arithmetic", blocks(out.size), THREADS,
            out.size, _layout(out, *places), UFUNCS[ufunc], *operands, out, NUMBER=NUMBERS[out.dtype],
        )  # fmt: skip
    return out


def copy(source, out):
    """out = source, of the same dtype, broadcast to out's shape. Raises as `apply`."""
    if out.size:
        _run_on_bytes("copy_elements", out, _layout(out, _expanded(source, out)), source)
    return out


def fill(value, out):
    """Every element of out = value, a number."""
    if out.size:
        _run_on_bytes("fill_elements", out, _layout(out), np.array([value], out.dtype))
    return out


def _run_on_bytes(kernel, out, layout, value):
    loader.run(
        "copies.cu", kernel, blocks(out.size, THREADS), THREADS, out.size, layout, value, out, BYTES=out.dtype.itemsize
    )


def _expanded(array, out):
    """The strides, in bytes, of an array that is repeated to out's shape; of a number, all 0."""
    if not isinstance(array, loader.arrays().ndarray):
        return (0,) * out.ndim
    if array.dtype != out.dtype:
        raise TypeError(f"an array of {array.dtype} cannot go into one of {out.dtype}")
    missing = out.ndim - array.ndim
    if missing < 0 or any(n not in (1, m) for n, m in zip(array.shape, out.shape[missing:])):
        raise ValueError(f"an array of shape {array.shape} cannot be broadcast to {out.shape}")
    steps = (0 if n == 1 else step for n, step in zip(array.shape, array.strides))
    return (0,) * missing + tuple(steps)


def _layout(out, *strides):
    """strided.cuh's Layout: dimensions in which all operands go on as in the one before are one dimension."""
    item = out.dtype.itemsize
    merged = []  # (length, stride of out and of each operand), in elements
    for n, *steps in zip(out.shape, out.strides, *strides):
        if n == 1:
            continue
        steps = [step // item for step in steps]
        if merged and all(before == n * step for before, step in zip(merged[-1][1:], steps)):
            merged[-1] = (merged[-1][0] * n, *steps)
        else:
            merged.append((n, *steps))
    if len(merged) > DIMENSIONS:
        raise ValueError(f"arrays of {len(merged)} dimensions that do not merge; the kernels take {DIMENSIONS}")
    layout = np.zeros((1 + OPERANDS, DIMENSIONS), np.int32)
    for d, column in enumerate(merged):
        layout[: len(column), d] = column
    return np.concatenate([np.array([len(merged)], np.int32), layout.reshape(-1)])
