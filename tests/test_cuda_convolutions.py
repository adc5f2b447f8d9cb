"""The CUDA convolutions against their definition, on an emulated GPU always, on a real one where there is one.

The ladder from the naive kernel to the tensor cores, over drawn geometries and the recipes' own. Outputs start as
NaN; an error is measured by the sum of the sizes of what was added up.
"""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from gpus import emulated, on_gpus
from hypothesis import given, settings
from triples import (
    DTYPES, REAL, SAME, TOLERANCE, assert_adjoint, assert_triples_agree, convolution_of, convolutions, operands,
    triple, with_batch,
)  # fmt: skip

from minigan.kernels import cuda, reference
from minigan.kernels.cuda import convolution, emulation

NAMES = ("conv2d", "conv_transpose2d", "conv2d_weight")
ROUNDING = {"tf32": 2.0**-10, "bf16": 2.0**-8, "fp16": 2.0**-11}  # of an operand; TF32 cuts off, the others round
EDGES = {
    "one of everything": convolution_of((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1), 1, (0,) * 4),
    "1 x 1": convolution_of((3, 6, 5, 4), (9, 6, 1, 1), (3, 9, 5, 4), 1, (0,) * 4),
    "one channel": convolution_of((2, 1, 9, 8), (3, 1, 3, 3), (2, 3, 9, 8), 1, (1,) * 4),
    "dilation 2": convolution_of((2, 3, 11, 12), (5, 3, 3, 3), (2, 5, 7, 8), 1, (0,) * 4, 2),
    "stride 3, so nine phases": convolution_of((2, 5, 13, 10), (4, 5, 5, 4), (2, 4, 5, 4), 3, (2, 3, 2, 3)),
    "stride 3, dilation 2": convolution_of((2, 4, 13, 13), (6, 4, 3, 3), (2, 6, 3, 3), 3, (0,) * 4, 2),
    "padding on one side": convolution_of((2, 3, 6, 6), (4, 3, 3, 3), (2, 4, 4, 7), 1, (3, 0, 0, 0)),
    "padding beyond the kernel": convolution_of((2, 2, 2, 2), (3, 2, 2, 2), (2, 3, 7, 7), 1, (3,) * 4),
    "pixels that no tap reaches": convolution_of((2, 3, 8, 8), (4, 3, 2, 2), (2, 4, 3, 3), 3, (0,) * 4),
    "many filters": convolution_of((1, 3, 4, 4), (70, 3, 3, 3), (1, 70, 2, 2), 1, (0,) * 4),
    "many channels": convolution_of((2, 37, 4, 4), (11, 37, 3, 3), (2, 11, 4, 4), 1, (1,) * 4),
    "many images": convolution_of((24, 5, 9, 9), (6, 5, 3, 3), (24, 6, 9, 9), 1, (1,) * 4),
    "many images of one channel": convolution_of((24, 1, 14, 14), (4, 1, 5, 5), (24, 4, 7, 7), 2, SAME),
    "many pixels": convolution_of((1, 2, 21, 19), (3, 2, 3, 3), (1, 3, 21, 19), 1, (1,) * 4),
}  # fmt: skip
TENSOR_CORES = {
    "chaudhary2024 g.6": with_batch(REAL["chaudhary2024 g.6"], 2),
    "jeganathan2025 g.7": with_batch(REAL["jeganathan2025 g.7"], 2),
    "jeganathan2025 g.10": with_batch(REAL["jeganathan2025 g.10"], 2),
    "many filters": EDGES["many filters"],
    "many images": EDGES["many images"],
    "stride 3, so nine phases": EDGES["stride 3, so nine phases"],
}
LOWER = [("tf32", name) for name in TENSOR_CORES]
LOWER += [(name, case) for name in ("bf16", "fp16") for case in ("chaudhary2024 g.6", "many filters")]


@contextlib.contextmanager
def precision(name):
    """Inside the block, convolutions multiply in that precision."""
    before = convolution.precision()
    convolution.set_precision(name)
    try:
        yield
    finally:
        convolution.set_precision(before)


@contextlib.contextmanager
def kernels_of(gpu, made_of=cuda):
    """Inside the block, the convolutions of a GPU as functions of NumPy arrays."""
    with gpu() as xp:

        def on_gpu(name):
            return lambda a, b, *others: getattr(made_of, name)(
                xp.asarray(a), xp.asarray(b), *others[:-1], xp.asarray(others[-1])
            ).get()

        yield SimpleNamespace(**{name: on_gpu(name) for name in NAMES})


def of_recipe(name, gpu):
    """The recipe's shapes, of two images where they are emulated."""
    return with_batch(REAL[name], 2) if gpu is emulated else REAL[name]


def assert_agrees(gpu, case, dtype, made_of=cuda, **how):
    with kernels_of(gpu, made_of) as found:
        assert_triples_agree(case, dtype, found, **how)


@on_gpus
@settings(max_examples=30, deadline=None)
@given(convolutions())
def test_convolutions_equal_their_definitions(gpu, case):
    assert_agrees(gpu, case, np.float32)


@on_gpus
@settings(max_examples=10, deadline=None)
@given(convolutions())
def test_convolutions_in_float64_equal_their_definitions(gpu, case):
    assert_agrees(gpu, case, np.float64)


@on_gpus
@pytest.mark.parametrize("case", EDGES.values(), ids=EDGES)
def test_convolutions_at_the_edges_equal_their_definitions(gpu, case):
    for dtype in DTYPES:
        assert_agrees(gpu, case, dtype)


@on_gpus
@pytest.mark.parametrize("name", REAL)
def test_convolutions_of_the_recipes_equal_their_definitions(gpu, name):
    assert_agrees(gpu, of_recipe(name, gpu), np.float32)


# --- the first rung of the ladder


def naive(name):
    """The convolution by the naive kernel, which `cuda` takes for float64 alone."""

    def call(first, second, stride, padding, dilation, out):
        x, w, y = {"conv2d": (first, second, out), "conv_transpose2d": (out, second, first),
                   "conv2d_weight": (first, out, second)}[name]  # fmt: skip
        shapes = convolution.Shapes(x.shape, w.shape, y.shape)
        convolution.Naive(name, shapes, (stride, padding, dilation), out.dtype)(first, second, out)
        return out

    return call


NAIVE = SimpleNamespace(**{name: naive(name) for name in NAMES})


@on_gpus
@settings(max_examples=15, deadline=None)
@given(convolutions())
def test_the_naive_kernels_equal_the_definitions(gpu, case):
    assert_agrees(gpu, case, np.float32, NAIVE)


@on_gpus
@pytest.mark.parametrize("name", REAL)
def test_no_convolution_of_a_recipe_is_left_to_the_naive_kernels(gpu, name):
    x, w, y, *geometry = of_recipe(name, gpu)
    with gpu():
        for kernel in NAMES:
            shapes = convolution.Shapes(x, w, y)
            assert convolution.algorithm(kernel, shapes, tuple(geometry), np.float32) != "naive"
            assert convolution.algorithm(kernel, shapes, tuple(geometry), np.float64) == "naive"


# --- tensor cores


@on_gpus
@pytest.mark.parametrize("name, case", LOWER)
def test_lower_precisions_are_off_by_the_rounding_of_the_operands_alone(gpu, name, case):
    case, rounding = TENSOR_CORES[case], ROUNDING[name]
    with precision(name):
        assert_agrees(gpu, case, np.float32, tolerance=2 * rounding + rounding**2 + TOLERANCE[np.float32])
        with pytest.raises(AssertionError):  # it is that precision, and no higher one
            assert_agrees(gpu, case, np.float32, tolerance=rounding / 4)


@on_gpus
def test_what_a_precision_does_not_round_is_exact(gpu):
    x, w, y, *geometry = with_batch(REAL["chaudhary2024 g.6"], 1)
    random = np.random.default_rng(0)
    arrays = [random.integers(-8, 9, shape).astype(np.float32) for shape in (x, w, y)]  # and so are their sums
    expected = triple(reference, *arrays, *geometry)
    with kernels_of(gpu) as found:
        for name in ("float32", *ROUNDING):
            with precision(name):
                for a, b in zip(triple(found, *arrays, *geometry), expected):
                    np.testing.assert_array_equal(a, b, err_msg=name)


@on_gpus
def test_float64_is_float64_in_every_precision(gpu):
    for name in ROUNDING:
        with precision(name):
            assert_agrees(gpu, EDGES["one channel"], np.float64)


def test_a_precision_that_does_not_exist_is_refused_by_name():
    with pytest.raises(ValueError, match="int8"):
        convolution.set_precision("int8")


# --- what the triple promises


@on_gpus
@settings(max_examples=10, deadline=None)
@given(convolutions())
def test_the_convolutions_are_each_others_adjoints(gpu, case):
    with kernels_of(gpu) as found:
        assert_adjoint(found, case, np.float32)


@on_gpus
@pytest.mark.parametrize("name", REAL)
def test_the_convolutions_of_the_recipes_are_each_others_adjoints(gpu, name):
    with kernels_of(gpu) as found:
        assert_adjoint(found, of_recipe(name, gpu), np.float32)


def bits(case, backwards=False):
    x, w, y, *geometry = operands(case, np.float32)
    with kernels_of(lambda: emulation.active(backwards)) as found:
        return [array.tobytes() for array in triple(found, x, w, y, *geometry)]


@settings(max_examples=8, deadline=None)
@given(convolutions())
def test_bits_are_the_same_whichever_thread_is_first(case):
    assert bits(case) == bits(case, backwards=True)


@pytest.mark.parametrize("name", ["float32", "tf32"])
@pytest.mark.parametrize("case", TENSOR_CORES.values(), ids=TENSOR_CORES)
def test_bits_are_the_same_whichever_thread_is_first_on_the_tensor_cores_too(case, name):
    with precision(name):
        assert bits(case) == bits(case, backwards=True)


@on_gpus
def test_results_do_not_depend_on_what_is_in_memory_already(gpu):
    x, w, y, *geometry = operands(with_batch(REAL["chaudhary2024 g.3"], 2), np.float32)
    with kernels_of(gpu) as found:
        first, *others = ([array.tobytes() for array in triple(found, x, w, y, *geometry)] for _ in range(3))
    assert others == [first, first]


@on_gpus
def test_shapes_beyond_32_bit_numbers_are_refused(gpu):
    with gpu(), pytest.raises(OverflowError, match="smaller batches"):
        shapes = convolution.Shapes((2**20, 64, 7, 7), (64, 64, 1, 1), (2**20, 64, 7, 7))
        convolution.algorithm("conv2d", shapes, ((1, 1), (0,) * 4, (1, 1)), np.float32)
