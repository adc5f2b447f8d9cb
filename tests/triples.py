"""What tests of the convolution triple share: drawn geometries, the recipes' shapes, and how results are compared."""

import numpy as np
from hypothesis import strategies as st

from minigan.kernels import reference

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}


def normals(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def unwritten(shape, dtype):
    return np.full(shape, np.nan, dtype)


@st.composite
def convolutions(draw):
    """(x shape, weight shape, y shape, stride, padding, dilation) that fit each other."""
    batch, channels, filters = draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(1, 20))
    padding = draw(st.tuples(*[st.integers(0, 3)] * 4))  # (left, right, top, bottom)
    kernel, stride, dilation, size, out = [], [], [], [], []
    for before, after in (padding[2:], padding[:2]):
        taps, step, spread = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
        span = spread * (taps - 1) + 1
        length = draw(st.integers(max(1, span - before - after), max(1, span - before - after) + 12))
        kernel.append(taps), stride.append(step), dilation.append(spread), size.append(length)
        out.append((length + before + after - span) // step + 1)
    shapes = (batch, channels, *size), (filters, channels, *kernel), (batch, filters, *out)
    return *shapes, tuple(stride), padding, tuple(dilation)


def convolution_of(x, w, y, stride, padding, dilation=1):
    return x, w, y, (stride, stride), padding, (dilation, dilation)


SAME = (1, 2, 1, 2)
REAL = {
    "chaudhary2024 g.0": convolution_of((4, 112, 4, 4), (100, 112, 4, 4), (4, 100, 1, 1), 1, (0,) * 4),
    "chaudhary2024 g.3": convolution_of((4, 56, 8, 8), (112, 56, 4, 4), (4, 112, 4, 4), 2, (1,) * 4),
    "chaudhary2024 g.6": convolution_of((4, 28, 14, 14), (56, 28, 4, 4), (4, 56, 8, 8), 2, (2,) * 4),
    "chaudhary2024 g.9": convolution_of((4, 1, 28, 28), (28, 1, 4, 4), (4, 28, 14, 14), 2, (1,) * 4),
    "chaudhary2024 d.8": convolution_of((4, 112, 4, 4), (1, 112, 4, 4), (4, 1, 1, 1), 1, (0,) * 4),
    "jeganathan2025 g.0": convolution_of((100, 100, 1, 1), (12544, 100, 1, 1), (100, 12544, 1, 1), 1, (0,) * 4),
    "jeganathan2025 g.4": convolution_of((100, 128, 7, 7), (256, 128, 5, 5), (100, 256, 7, 7), 1, (2,) * 4),
    "jeganathan2025 g.7": convolution_of((100, 64, 14, 14), (128, 64, 5, 5), (100, 128, 7, 7), 2, SAME),
    "jeganathan2025 g.10": convolution_of((100, 1, 28, 28), (64, 1, 5, 5), (100, 64, 14, 14), 2, SAME),
    "jeganathan2025 d.7": convolution_of((100, 6272, 1, 1), (1, 6272, 1, 1), (100, 1, 1, 1), 1, (0,) * 4),
}  # a discriminator's other convolutions have the shapes of its generator's, transposed


def with_batch(case, batch):
    """The same convolution of so many images."""
    x, w, y, *geometry = case
    return (batch, *x[1:]), w, (batch, *y[1:]), *geometry


def triple(kernel_set, x, w, y, *geometry):
    """(C(x, w), T(y, w), G(x, y)) by a set of kernels."""
    results = (
        kernel_set.conv2d(x, w, *geometry, unwritten(y.shape, y.dtype)),
        kernel_set.conv_transpose2d(y, w, *geometry, unwritten(x.shape, x.dtype)),
        kernel_set.conv2d_weight(x, y, *geometry, unwritten(w.shape, w.dtype)),
    )
    assert all(result.dtype == x.dtype for result in results)
    return results


def operands(case, dtype):
    return *(normals(shape, dtype, seed) for seed, shape in enumerate(case[:3])), *case[3:]


def assert_triples_agree(case, dtype, kernel_set, tolerance=None):
    """C, T and G are the definition's, to a fraction of the sums of the products' sizes."""
    x, w, y, *geometry = operands(case, dtype)
    expected = triple(reference, x, w, y, *geometry)
    sums_of_sizes = triple(reference, abs(x), abs(w), abs(y), *geometry)  # what rounding errors are proportional to
    tolerance = tolerance or TOLERANCE[dtype]
    for name, e, size, found in zip("CTG", expected, sums_of_sizes, triple(kernel_set, x, w, y, *geometry)):
        assert (abs(found - e) <= tolerance * size).all(), name


def assert_adjoint(kernel_set, case, dtype, tolerance=None):
    """<C(x, w), y> = <x, T(y, w)> = <w, G(x, y)>, to a fraction of the product of the norms."""
    x, w, y, *geometry = operands(case, dtype)
    pairs = list(zip(triple(kernel_set, x, w, y, *geometry), (y, x, w)))  # (C, y), (T, x), (G, w)
    products = [np.vdot(a.astype(np.float64), b) for a, b in pairs]
    size = max(np.linalg.norm(a) * np.linalg.norm(b) for a, b in pairs)
    assert np.ptp(products) <= (tolerance or TOLERANCE[dtype]) * size
