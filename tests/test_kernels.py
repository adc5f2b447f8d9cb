"""Every CPU kernel against its definition in `minigan.kernels.reference`, over drawn shapes and the papers' own.

Outputs start as NaN, so an element that a kernel forgets to write is seen; the definitions themselves are
checked against plain loops and against the published vectors of Philox4x32-10.
"""

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from triples import (
    DTYPES, REAL, SAME, TOLERANCE, assert_adjoint, assert_triples_agree, convolution_of, convolutions, normals, operands,
    triple, unwritten,
)  # fmt: skip

from minigan import data, kernels
from minigan.kernels import cpu, launch, pool, reference
from minigan.kernels.cpu import dense, direct, few_channels, im2col, naive, winograd

drawn = settings(max_examples=40, deadline=None)
dtypes = st.sampled_from(DTYPES)


# --- the convolution triple


LARGE = {
    "several panels of columns": convolution_of((3, 2, 20, 21), (5, 2, 3, 3), (3, 5, 18, 19), 1, (0,) * 4),
    "more than 512 filters": convolution_of((2, 3, 5, 5), (1030, 3, 3, 3), (2, 1030, 3, 3), 1, (0,) * 4),
    "a depth above 1024": convolution_of((2, 130, 7, 7), (9, 130, 3, 3), (2, 9, 7, 7), 1, (1,) * 4),
    "more than 1024 pixels": convolution_of((2, 2, 36, 37), (3, 2, 3, 3), (2, 3, 36, 37), 1, (1,) * 4),
    "large scratch": convolution_of((2, 40, 40, 40), (3, 40, 5, 5), (2, 3, 20, 20), 2, SAME),
}


@drawn
@given(convolutions(), dtypes)
def test_convolutions_equal_their_definitions(case, dtype):
    assert_triples_agree(case, dtype, cpu)


@pytest.mark.parametrize("rung", [naive, im2col, direct], ids=lambda module: module.__name__.split(".")[-1])
@drawn
@given(case=convolutions(), dtype=dtypes)
def test_every_rung_of_the_ladder_equals_the_definition(rung, case, dtype):
    assert_triples_agree(case, dtype, rung)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", LARGE.values(), ids=LARGE)
def test_convolutions_of_several_blocks_equal_their_definitions(case, dtype):
    assert_triples_agree(case, dtype, cpu)


@drawn
@given(convolutions(), dtypes)
def test_the_convolutions_are_each_others_adjoints(case, dtype):
    assert_adjoint(cpu, case, dtype)


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_the_convolutions_of_the_recipes_are_each_others_adjoints(case):
    assert_adjoint(cpu, case, np.float32)


# --- minimal filtering

MINIMAL = {
    name: REAL[name] for name in ("jeganathan2025 g.4", "jeganathan2025 g.7", "chaudhary2024 g.3", "chaudhary2024 g.6")
}


def relative_errors(kernel_set, case):
    """||found - exact|| / ||exact|| of C, T and G in float32, exact being the definition in float64."""
    x, w, y, *geometry = operands(case, np.float32)
    exact = triple(reference, *(a.astype(np.float64) for a in (x, w, y)), *geometry)
    found = triple(kernel_set, x, w, y, *geometry)
    return [np.linalg.norm(f - e) / np.linalg.norm(e) for f, e in zip(found, exact)]


@st.composite
def undilated_convolutions(draw):
    """Those of `convolutions` that minimal filtering takes: not dilated."""
    x, w, y, stride, padding, dilation = draw(convolutions())
    assume(dilation == (1, 1) and max(y[2:]) <= 16)
    return x, w, y, stride, padding, dilation


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(undilated_convolutions())
def test_minimal_filtering_equals_the_definition(case):
    x, w, y, *geometry = operands(case, np.float32)
    expected = triple(reference, x, w, y, *geometry)
    sizes = triple(reference, abs(x), abs(w), abs(y), *geometry)
    for name, e, size, found in zip("CTG", expected, sizes, triple(winograd, x, w, y, *geometry)):
        assert np.linalg.norm(found - e) <= 1e-4 * np.linalg.norm(size), name


def test_minimal_filtering_of_many_channels_leaves_pixels_that_no_tap_reaches_at_zero():
    x, w, y, *geometry = operands(convolution_of((5, 70, 10, 10), (3, 70, 2, 2), (5, 3, 3, 3), 3, (0,) * 4), np.float32)
    found = winograd.conv_transpose2d(y, w, *geometry, unwritten(x.shape, x.dtype))
    expected = reference.conv_transpose2d(y, w, *geometry, unwritten(x.shape, x.dtype))
    assert (found[expected == 0] == 0).all()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", MINIMAL.values(), ids=MINIMAL)
def test_minimal_filtering_keeps_its_accuracy_on_the_recipes_shapes(case):
    assert max(relative_errors(winograd, case)) < 1.2e-5
    assert_adjoint(winograd, case, np.float32)


@pytest.mark.parametrize("case", REAL.values(), ids=REAL)
def test_the_convolutions_are_accurate_on_the_recipes_shapes(case):
    assert max(relative_errors(direct, case)) < 2e-6
    assert max(relative_errors(cpu, case)) < 1.2e-5


@st.composite
def dense_convolutions(draw):
    """Convolutions whose taps cover the whole input, at least 16 of them."""
    (batch, filters), (channels, height, width) = (
        draw(st.tuples(st.integers(1, 40), st.integers(1, 150))),
        draw(st.tuples(st.integers(1, 30), st.integers(1, 5), st.integers(1, 5))),
    )
    channels = max(channels, -(-16 // (height * width)))
    return convolution_of(
        (batch, channels, height, width), (filters, channels, height, width), (batch, filters, 1, 1), 1, (0,) * 4
    )


@drawn
@given(dense_convolutions(), st.integers(1, 17))
def test_dense_convolutions_equal_their_definitions_for_any_number_of_threads(case, threads):
    before = dense.get_num_threads
    dense.get_num_threads = lambda: threads
    try:
        assert_triples_agree(case, np.float32, cpu)
    finally:
        dense.get_num_threads = before


@st.composite
def convolutions_of_few_channels(draw):
    """Of 1 to 3 channels and few taps, with rows of 13 to 16 or 28 outputs."""
    x, w, y, stride, padding, dilation = draw(convolutions())
    channels = draw(st.integers(1, min(3, 64 // (w[2] * w[3]))))
    width = draw(st.sampled_from([13, 14, 16, 28]))
    length = max(1, (width - 1) * stride[1] + dilation[1] * (w[3] - 1) + 1 - padding[0] - padding[1])
    width = (length + padding[0] + padding[1] - dilation[1] * (w[3] - 1) - 1) // stride[1] + 1
    return (x[0], channels, x[2], length), (w[0], channels, *w[2:]), (*y[:3], width), stride, padding, dilation


@drawn
@given(convolutions_of_few_channels())
def test_convolutions_of_few_channels_equal_their_definitions(case):
    x, w, y, *geometry = operands(case, np.float32)
    for kernel, a, b, out in (("conv2d", x, w, y), ("conv2d_weight", x, y, w)):
        expected, size = (
            getattr(reference, kernel)(*arrays, *geometry, np.empty_like(out)) for arrays in ((a, b), (abs(a), abs(b)))
        )
        found = getattr(few_channels, kernel)(a, b, *geometry, unwritten(out.shape, np.float32))
        assert (abs(found - expected) <= TOLERANCE[np.float32] * size).all(), kernel


def test_many_threads_share_the_points_of_a_small_product(monkeypatch):
    case = MINIMAL["chaudhary2024 g.3"]
    x, w, y, *geometry = operands(case, np.float32)
    expected = triple(winograd, x, w, y, *geometry)
    monkeypatch.setattr(winograd, "get_num_threads", lambda: 16)
    assert_same_bits(expected, triple(winograd, x, w, y, *geometry))


def test_the_reference_convolution_is_the_sum_in_its_docstring():
    x, w = normals((2, 3, 6, 7), np.float64), normals((4, 3, 2, 3), np.float64)
    stride, (left, right, top, bottom), dilation = (2, 1), (1, 2, 0, 3), (2, 3)
    expected = np.zeros((2, 4, 4, 4))
    for n, k, p, q, c, i, j in np.ndindex(2, 4, 4, 4, 3, 2, 3):
        h, v = p * stride[0] + i * dilation[0] - top, q * stride[1] + j * dilation[1] - left
        if 0 <= h < 6 and 0 <= v < 7:
            expected[n, k, p, q] += x[n, c, h, v] * w[k, c, i, j]
    found = reference.conv2d(x, w, stride, (left, right, top, bottom), dilation, np.empty_like(expected))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@drawn
@given(convolutions())
def test_the_reference_convolutions_are_each_others_adjoints(case):
    x, w, y, *geometry = operands(case, np.float64)
    pairs = list(zip(triple(reference, x, w, y, *geometry), (y, x, w)))
    size = max(np.linalg.norm(a) * np.linalg.norm(b) for a, b in pairs)
    assert np.ptp([np.vdot(a, b) for a, b in pairs]) <= 1e-13 * size


@given(convolutions())
@settings(max_examples=15, deadline=None)
def test_convolutions_take_arrays_of_any_layout(case):
    x, w, y, *geometry = operands(case, np.float64)
    views = [np.asfortranarray(array) for array in (x, w, y)]
    for a, b in zip(triple(cpu, x, w, y, *geometry), triple(cpu, *views, *geometry)):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("case", [LARGE["large scratch"], REAL["chaudhary2024 g.6"]], ids=["large", "chaudhary2024"])
def test_convolutions_read_nothing_left_in_reused_memory(case):
    x, w, y, *geometry = operands(case, np.float32)
    expected = triple(cpu, x, w, y, *geometry)
    pool.clear()
    sizes = [tuple(n + more for n, more in zip(x.shape[2:], extra)) for extra in np.ndindex(5, 5)]
    frames = [pool.empty((*x.shape[:2], *size)) for size in sizes]
    for frame in frames:
        frame[...] = np.nan
    del frames, frame
    for a, b in zip(expected, triple(cpu, x, w, y, *geometry)):
        np.testing.assert_array_equal(a, b)


# --- batch normalisation


@drawn
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 60), dtypes, st.sampled_from([1.0, 0.2, 0.0]))
def test_batch_norm_equals_its_definition(batch, channels, pixels, dtype, slope):
    assert_batch_norms_agree((batch, channels, pixels + 4), dtype, 1e-3, slope)


@drawn
@given(st.integers(5, 12), st.integers(1, 600), dtypes, st.sampled_from([1.0, 0.2, 0.0]))
def test_batch_norm_of_single_pixels_equals_its_definition(batch, channels, dtype, slope):
    assert_batch_norms_agree((batch, channels, 1), dtype, 1e-3, slope)


@pytest.mark.parametrize("shape", [(4, 112, 16), (4, 28, 196), (100, 12544, 1), (100, 128, 49), (100, 64, 196)])
def test_batch_norm_of_the_recipes_equals_its_definition(shape):
    assert_batch_norms_agree(shape, np.float32, 1e-3)


def batch_norms(kernel_set, shape, dtype, eps, slope=1.0):
    """(out, mean, var, grad_x, grad_weight, grad_bias) of random inputs around 1."""
    x, g = normals(shape, dtype, 0) * 2 + 1, normals(shape, dtype, 1)
    weight, bias = normals(shape[1:2], dtype, 2), normals(shape[1:2], dtype, 3)
    mean, var, grad_weight, grad_bias = (unwritten(shape[1:2], dtype) for _ in range(4))
    out = kernel_set.batch_norm(x, weight, bias, eps, slope, mean, var, unwritten(shape, dtype))
    grad_x = kernel_set.batch_norm_backward(
        g, x, out, weight, eps, slope, mean, var, grad_weight, grad_bias, unwritten(shape, dtype)
    )
    return out, mean, var, grad_x, grad_weight, grad_bias


def assert_batch_norms_agree(shape, dtype, eps, slope=1.0):
    tolerance = 10 * TOLERANCE[dtype]  # a channel's error grows with the ratio of its mean to its deviation
    for found, e in zip(batch_norms(cpu, shape, dtype, eps, slope), batch_norms(reference, shape, dtype, eps, slope)):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, e, rtol=tolerance, atol=tolerance * abs(e).max())


def test_batch_norm_gives_each_channel_mean_0_and_variance_1():
    x, mean, var = normals((8, 3, 50), np.float64) * 3 + 5, np.empty(3), np.empty(3)
    out = cpu.batch_norm(x, np.ones(3), np.zeros(3), 0.0, 1.0, mean, var, np.empty_like(x))
    np.testing.assert_allclose(out.mean((0, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(out.var((0, 2)), 1)
    np.testing.assert_allclose(mean, x.mean((0, 2)))
    np.testing.assert_allclose(var, x.var((0, 2)))


@drawn
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 60), dtypes)
def test_kernels_of_whole_channels_equal_their_definitions(batch, channels, pixels, dtype):
    x = normals((batch, channels, pixels), dtype)
    scale, shift = normals((channels,), dtype, 1), normals((channels,), dtype, 2)
    a, b = (k.scale_and_shift(x, scale, shift, 0.2, unwritten(x.shape, dtype)) for k in (cpu, reference))
    np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    a, b = (k.sum_channels(x, unwritten(channels, dtype)) for k in (cpu, reference))
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    states = []
    for kernel_set in (cpu, reference):
        states.append([np.zeros(channels, dtype), np.ones(channels, dtype), np.array(5)])
        kernel_set.running_statistics(scale, shift, 10, 0.1, *states[-1])
        assert states[-1][2] == 6
    for a, b in zip(*states):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


# --- activations, losses and Adam


SIZES = st.one_of(st.integers(1, 70), st.integers(16380, 16390))  # around where the second thread joins


@drawn
@given(SIZES, dtypes, st.sampled_from([0.0, 0.2, 0.3]))
def test_leaky_relu_equals_its_definition(size, dtype, slope):
    x, g = normals((size,), dtype, 0), normals((size,), dtype, 1)
    x[::7] = 0
    out, expected = unwritten(size, dtype), unwritten(size, dtype)
    np.testing.assert_array_equal(cpu.leaky_relu(x, slope, out), reference.leaky_relu(x, slope, expected))
    np.testing.assert_array_equal(
        cpu.leaky_relu_backward(g, x, slope, out), reference.leaky_relu_backward(g, x, slope, expected)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_sigmoid_equals_its_definition_and_keeps_tiny_values(dtype):
    x = np.concatenate([np.linspace(-87, 87, 1001), [0, -0.0, 1e4, -1e4, np.inf, -np.inf]]).astype(dtype)
    found = cpu.sigmoid(x, unwritten(x.shape, dtype))
    np.testing.assert_allclose(found, reference.sigmoid(x, unwritten(x.shape, dtype)), rtol=8 * np.finfo(dtype).eps)
    exact = 1 / (1 + np.exp(-x[:1001].astype(np.float64)))
    np.testing.assert_allclose(found[:1001], exact, rtol=8 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(found[1001:], np.array([0.5, 0.5, 1, 0, 1, 0], dtype))


ELEMENTWISE = {  # name: how many arrays it takes; those of the losses are a probability and a label
    "sigmoid_backward": 2, "tanh": 1, "tanh_backward": 2, "bce": 2, "bce_backward": 3, "bce_with_logits": 2,
    "bce_with_logits_backward": 3,
}  # fmt: skip


@drawn
@given(st.sampled_from(sorted(ELEMENTWISE)), SIZES, dtypes)
def test_elementwise_kernels_equal_their_definitions(name, size, dtype):
    arrays = [normals((size,), dtype, seed) for seed in range(ELEMENTWISE[name])]
    if name.startswith("bce"):
        arrays[-1] = (arrays[-1] > 0).astype(dtype)
    if name in ("bce", "bce_backward"):
        arrays[-2] = 1 / (1 + np.exp(-3 * arrays[-2]))
        arrays[-2][::5], arrays[-2][1::7] = 0, 1
    found, expected = (getattr(k, name)(*arrays, unwritten(size, dtype)) for k in (cpu, reference))
    np.testing.assert_allclose(found, expected, rtol=30 * np.finfo(dtype).eps, atol=10 * np.finfo(dtype).eps)


def test_the_loss_of_a_logit_is_finite_and_keeps_a_nan():
    z = np.array([1e4, -1e4, 0, np.nan], np.float32)
    for kernel_set in (cpu, reference):
        found = kernel_set.bce_with_logits(z, np.ones_like(z), unwritten(4, np.float32))
        np.testing.assert_allclose(found, [0, 1e4, np.log(2), np.nan])


@drawn
@given(SIZES, dtypes, st.sampled_from([0.0, 0.3, 0.5, 0.9]), st.integers(0, 2**33))
def test_dropout_equals_its_definition_and_counts_its_draw(size, dtype, p, draw):
    x, results = normals((size,), dtype), []
    for kernel_set in (cpu, reference):
        draws, mask = np.array(draw, np.uint64), unwritten(size, dtype)
        out = kernel_set.dropout(x, p, 3, 4, draws, mask, unwritten(size, dtype))
        assert draws == draw + 1
        results.append((out, mask))
        results[-1] += (kernel_set.dropout_backward(x, mask, unwritten(size, dtype)),)
    assert_same_bits(*results)
    kept = reference.uniform(3, 4, draw, np.empty(size)) >= p
    np.testing.assert_array_equal(results[0][1] > 0, kept)


@drawn
@given(
    st.lists(SIZES, min_size=1, max_size=3), dtypes, st.sampled_from([(0.5, 0.999), (0.9, 0.999)]),
    st.sampled_from([1e-8, 1e-3]), st.booleans(), st.sampled_from([None, 1024.0]), st.sampled_from([None, 0, 1]),
)  # fmt: skip
def test_adam_equals_its_definition(lengths, dtype, betas, eps, epsilon_hat, scale, overflow):
    found, expected = (
        [
            [normals((length,), dtype, 9) for length in lengths],
            *([np.zeros(length, dtype) for length in lengths] for _ in range(2)),
            [np.array(step, np.int64) for step in range(len(lengths))],
        ]
        for _ in range(2)
    )
    scale_array = None if scale is None else np.array([scale], np.float32)
    overflow_array = None if overflow is None else np.array([overflow], np.int32)
    for step in range(1, 4):
        gradients = [normals((length,), dtype, step) * dtype(scale or 1) for length in lengths]
        for kernel_set, (parameters, *state) in ((cpu, found), (reference, expected)):
            kernel_set.adam(parameters, gradients, *state, 0.01, *betas, eps, epsilon_hat, scale_array, overflow_array)
    assert found[-1] == expected[-1] == [step + (0 if overflow else 3) for step in range(len(lengths))]
    for arrays in zip(found[:-1], expected[:-1]):
        for a, b in zip(*arrays):
            assert a.dtype == dtype
            np.testing.assert_allclose(a, b, rtol=40 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (7, 3), (300, 200)])
def test_a_moving_average_equals_its_definition(shape, dtype):
    average, value = np.random.default_rng(1).standard_normal((2, *shape)).astype(dtype)
    expected = average.copy()
    for kernel_set, mine in ((cpu, average), (reference, expected)):
        kernel_set.move_average([mine], [value], 0.999)
    np.testing.assert_allclose(average, expected, rtol=1e-6)


@pytest.mark.parametrize("kernel_set", [reference, cpu], ids=["reference", "cpu"])
def test_the_scale_follows_the_overflows(kernel_set):
    scale, overflow, good_steps = np.array([8], np.float32), np.zeros(1, np.int32), np.zeros(1, np.int64)
    history = []
    for value in (1, 2, 3, np.nan, 4, np.inf, 5, -np.inf):
        kernel_set.check_overflow([np.ones(5, np.float32), np.full((2, 3), value), np.ones(2)], overflow)
        found = overflow.item()
        kernel_set.update_scale(scale, overflow, good_steps, 3)
        history.append((found, scale.item(), good_steps.item()))
        assert overflow.item() == 0
    assert history == [(0, 8, 1), (0, 8, 2), (0, 16, 0), (1, 8, 0), (0, 8, 1), (1, 4, 0), (0, 4, 1), (1, 2, 0)]


# --- batches and logs


@pytest.mark.parametrize("kernel_set", [reference, cpu], ids=["reference", "cpu"])
def test_images_are_gathered_in_their_order_batch_by_batch(kernel_set):
    images = np.random.default_rng(1).integers(0, 256, (10, 4, 3), np.uint8)
    order, position = np.random.default_rng(2).permutation(10), np.array([1], np.int64)
    for batch in range(3):
        out = kernel_set.gather_images(images, order, position, unwritten((3, 1, 4, 3), np.float32))
        expected = data.to_signed(images[order[1 + 3 * batch : 4 + 3 * batch]])
        np.testing.assert_array_equal(out[:, 0], expected)
    assert position == 10


@pytest.mark.parametrize("kernel_set", [reference, cpu], ids=["reference", "cpu"])
def test_rows_of_a_log_are_written_round_and_round(kernel_set):
    log, row = unwritten((3, 2), np.float32), np.array([0], np.int64)
    for step in range(5):
        kernel_set.write_row([np.array(step, np.float32), np.array([-step], np.float32)], log, row)
    assert log.tolist() == [[3, -3], [4, -4], [2, -2]] and row == 5


def test_a_replay_counts_on():
    draws, position, row = np.array(7, np.uint64), np.array([0], np.int64), np.array([0], np.int64)
    images, order = np.arange(6, dtype=np.uint8).reshape(6, 1, 1), np.arange(6)
    noise, batch, log = unwritten(9, np.float32), unwritten((2, 1, 1, 1), np.float32), unwritten((3, 1), np.float32)
    with launch.record() as graph:
        cpu.normal(1, 2, draws, noise)
        cpu.gather_images(images, order, position, batch)
        cpu.write_row([batch[0]], log, row)
    graph.replay()
    assert_same_bits([noise], [cpu.normal(1, 2, 8, np.empty_like(noise))])
    graph.replay()
    assert (draws, position, row) == (10, 6, 3)
    np.testing.assert_array_equal(log[:, 0], data.to_signed(np.array([0, 2, 4])))


# --- random numbers


@pytest.mark.parametrize(
    "counter, key, expected",
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_vectors_of_random123(counter, key, expected):
    counter, key, expected = ([int(word, 16) for word in words.split()] for words in (counter, key, expected))
    np.testing.assert_array_equal(reference.philox4x32(counter, key), np.array(expected, np.uint32))


@pytest.mark.parametrize("kernel_set", [reference, cpu], ids=["reference", "cpu"])
def test_random_bits_reach_the_published_vector_through_seed_purpose_and_draw(kernel_set):
    # Block 0 has counter (0, draw low, draw high, purpose): all zeros is the first of the vectors above.
    found = kernel_set.random_bits(0, 0, 0, np.zeros(4, np.uint32))
    assert [f"{word:08x}" for word in found] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]


@drawn
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(1, 37), dtypes)
def test_random_numbers_equal_their_definitions(seed, purpose, draw, size, dtype):
    found = cpu.random_bits(seed, purpose, draw, np.zeros(size, np.uint32))
    np.testing.assert_array_equal(found, reference.random_bits(seed, purpose, draw, np.zeros(size, np.uint32)))
    found = cpu.uniform(seed, purpose, draw, unwritten(size, dtype))
    np.testing.assert_array_equal(found, reference.uniform(seed, purpose, draw, unwritten(size, dtype)))
    found = cpu.normal(seed, purpose, draw, unwritten(size, dtype))
    np.testing.assert_array_max_ulp(found, reference.normal(seed, purpose, draw, unwritten(size, dtype)), maxulp=8)


@pytest.mark.parametrize("kernel_set", [reference, cpu], ids=["reference", "cpu"])
@pytest.mark.parametrize("kernel", ["random_bits", "uniform", "normal"])
@pytest.mark.parametrize("draw", [5, 2**40])
def test_a_draw_that_lies_in_an_array_is_advanced(kernel_set, kernel, draw):
    draws, dtype = np.array(draw, np.uint64), np.uint32 if kernel == "random_bits" else np.float32
    for number in (draw, draw + 1):
        found, expected = (
            getattr(k, kernel)(3, 1, d, np.zeros(9, dtype)) for k, d in ((kernel_set, draws), (cpu, number))
        )
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert draws == draw + 2


@pytest.mark.parametrize("kernel", ["random_bits", "uniform", "normal"])
def test_a_shorter_draw_is_the_beginning_of_a_longer_one(kernel):
    dtype = np.uint32 if kernel == "random_bits" else np.float32
    long, short = (getattr(cpu, kernel)(7, 1, 2, np.zeros(size, dtype)) for size in (1001, 502))
    np.testing.assert_array_equal(long[:502], short)


def test_seed_purpose_and_draw_each_change_all_numbers():
    keys = [(1, 0, 0), (2, 0, 0), (1 + 2**32, 0, 0), (1, 1, 0), (1, 0, 1), (1, 0, 2**32)]
    words = [cpu.random_bits(*key, np.zeros(1000, np.uint32)) for key in keys]
    assert len(np.unique(np.concatenate(words))) >= 5995  # birthdays: 6000^2 / 2^33 collisions are expected, 0.004


def test_normals_have_the_moments_and_tails_of_a_normal_distribution():
    n = 1_000_001
    x = cpu.normal(3, 0, 0, np.empty(n))
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((x**power).mean() - moment) < 4 * np.sqrt(variance / n)
    for lag in (1, 2, 3, 4):  # words of one block, and of neighbouring ones
        assert abs((x[lag:] * x[:-lag]).mean()) < 4 / np.sqrt(n)
    inside = 0.6826894921370859
    assert abs((abs(x) < 1).mean() - inside) < 4 * np.sqrt(inside * (1 - inside) / n)
    assert 4.5 < abs(x).max() < 6.67  # sqrt(-2 ln 2^-32) is the largest there can be


def test_uniforms_are_multiples_of_2_to_the_minus_24_below_1():
    n = 1_000_001
    x, exact = cpu.uniform(3, 0, 0, np.empty(n, np.float32)), cpu.uniform(3, 0, 0, np.empty(n))
    np.testing.assert_array_equal(x, exact)
    scaled = exact * 2**24
    assert (scaled == np.floor(scaled)).all() and x.min() >= 0 and x.max() < 1
    assert abs(exact.mean() - 0.5) < 4 / np.sqrt(12 * n)
    assert abs(exact.var() - 1 / 12) < 4 / np.sqrt(180 * n)


# --- threads


@pytest.fixture
def with_threads():
    """A function that calls another with Numba's threads set to a number, as far as the machine has them."""
    before = numba.get_num_threads()

    def call(threads, function, *arguments):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        return function(*arguments)

    yield call
    numba.set_num_threads(before)


def assert_same_bits(first, second):
    for a, b in zip(first, second):
        assert a.tobytes() == b.tobytes()


CASES = {
    **LARGE,
    **{
        name: REAL[name]
        for name in ("chaudhary2024 d.8", "chaudhary2024 g.0", "jeganathan2025 g.4", "jeganathan2025 g.7")
    },
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_convolutions_give_the_same_bits_with_1_and_2_threads(case, with_threads):
    given_ = operands(case, np.float32)
    assert_same_bits(with_threads(1, triple, cpu, *given_), with_threads(2, triple, cpu, *given_))


@pytest.mark.parametrize("parts", [3, 16])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_convolutions_give_the_same_bits_however_work_is_divided(case, parts, monkeypatch):
    given_ = operands(case, np.float32)
    expected = triple(cpu, *given_)
    for module in (dense, direct, few_channels, winograd):
        monkeypatch.setattr(module, "get_num_threads", lambda: parts)
    assert_same_bits(expected, triple(cpu, *given_))


def test_the_other_kernels_give_the_same_bits_with_1_and_2_threads(with_threads):
    def all_kernels():
        x, g = normals((40_000,), np.float32, 0), normals((40_000,), np.float32, 1)
        adam = [x.copy(), g * 0, g * 0, np.zeros((), np.int64)]
        cpu.adam(*([a] for a in (adam[0], g, *adam[1:])), 0.01, 0.9, 0.999, 1e-8, False)
        average = g.copy()
        cpu.move_average([average], [x], 0.9)
        mask = np.empty_like(x)
        dropped = cpu.dropout(x, 0.3, 5, 1, np.zeros((), np.uint64), mask, np.empty_like(x))
        dropped_back = cpu.dropout_backward(g, mask, np.empty_like(x))
        random = [kernel(5, 1, 2, np.empty(40_001, np.float32)) for kernel in (cpu.uniform, cpu.normal)]
        bits = cpu.random_bits(5, 1, 2, np.empty(40_001, np.uint32))
        activations = (
            cpu.leaky_relu(x, 0.2, np.empty_like(x)),
            cpu.leaky_relu_backward(g, x, 0.2, np.empty_like(x)),
            cpu.sigmoid(x, np.empty_like(x)),
        )
        return (
            *batch_norms(cpu, (4, 31, 77), np.float32, 1e-5),
            *adam,
            average,
            mask,
            dropped,
            dropped_back,
            *random,
            bits,
            *activations,
        )

    assert_same_bits(with_threads(1, all_kernels), with_threads(2, all_kernels))


# --- which kernels are used


def test_use_replaces_kernels_inside_its_block_only():
    def mine(x, out):
        return out

    with kernels.use(sigmoid=mine):
        assert kernels.for_device("cpu").sigmoid is mine
        assert kernels.for_device("cpu").normal is cpu.normal
        with kernels.use("reference"):
            assert kernels.for_device("cpu").sigmoid is reference.sigmoid
        assert kernels.for_device("cpu").sigmoid is mine
    assert kernels.for_device("cpu") is cpu
    with pytest.raises(ZeroDivisionError), kernels.use("reference"):
        1 / 0
    assert kernels.for_device("cpu") is cpu


def test_use_refuses_a_name_that_is_no_kernel():
    with pytest.raises(TypeError, match="conv3d"), kernels.use(conv3d=len):
        pass


# --- the buffer pool

SHAPE = (50, 40, 30)  # 240 kB in float32


@pytest.fixture
def empty_pool():
    pool.clear()
    yield
    pool.clear()


def address(array):
    return array.__array_interface__["data"][0]


def test_memory_is_reused_once_its_array_is_dead(empty_pool):
    array = pool.empty(SHAPE)
    before = address(array)
    assert pool.held_bytes() == 0
    del array
    assert pool.held_bytes() == 4 * 50 * 40 * 30
    again = pool.empty((50 * 40, 15), np.float64)  # as many bytes
    assert address(again) == before
    assert pool.held_bytes() == 0


@pytest.mark.parametrize(
    "view_of",
    [
        lambda a: a,
        lambda a: a[3:5],
        lambda a: a[7, 8, 9:10],
        lambda a: a.T,
        lambda a: a.reshape(-1)[10:][5:],
        lambda a: a.view(np.uint32),
        lambda a: np.broadcast_to(a[0, 0], (9, 30)),
        lambda a: np.asarray(memoryview(a)),
    ],
)
def test_memory_is_not_reused_while_a_view_lives(empty_pool, view_of):
    array = pool.empty(SHAPE)
    array[...] = 3
    view = view_of(array)
    kept = view.copy()
    del array
    others = [pool.empty(SHAPE) for _ in range(3)]
    for other in others:
        other[...] = -1
        assert not np.shares_memory(other, view)
    np.testing.assert_array_equal(view, kept)
    before = {address(other) for other in others}
    del view, other, others
    assert pool.held_bytes() == 4 * 4 * 50 * 40 * 30
    assert before < {address(array) for array in [pool.empty(SHAPE) for _ in range(4)]}


def test_living_arrays_share_no_memory_whatever_the_order_of_deaths(empty_pool):
    random, alive = np.random.default_rng(0), []
    for mark in range(300):
        if alive and random.random() < 0.5:
            alive.pop(random.integers(len(alive)))
        array = pool.empty([(10_000,), (100, 100), (20_000,)][random.integers(3)])
        array[...] = mark
        alive.append(array)
        alive = alive[-20:]
    for i, array in enumerate(alive):
        assert (array == array.flat[0]).all()
        assert not any(np.shares_memory(array, other) for other in alive[:i])
    assert len({float(array.flat[0]) for array in alive}) == len(alive)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint32])
@pytest.mark.parametrize("shape", [(), (0, 5), (3,), (8193,), (33, 7, 11, 13)])
def test_an_array_is_writable_contiguous_and_as_asked(empty_pool, shape, dtype):
    array = pool.empty(shape, dtype)
    assert array.shape == shape and array.dtype == dtype
    assert array.flags.writeable and array.flags.c_contiguous
    if array.nbytes >= pool.SMALLEST:
        assert address(array) % pool.ALIGNMENT == 0


def test_clear_gives_waiting_memory_back(empty_pool):
    pool.empty(SHAPE)
    assert pool.held_bytes() > 0
    pool.clear()
    assert pool.held_bytes() == 0
