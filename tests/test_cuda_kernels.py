"""Every CUDA kernel but the convolutions against its definition in `minigan.kernels.reference`.

On an emulated GPU always, on a real one where there is one. Outputs start as NaN, so that an element that a
kernel forgets to write is seen; sums are compared to a fraction of the sum of what was added.
"""

from hashlib import sha256

import numpy as np
import pytest
from gpus import on_gpus
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan.kernels import cpu, cuda, reference
from minigan.kernels.cuda import arithmetic, emulation

DTYPES = [np.float32, np.float64]
RECIPES = [(100, 128, 49), (100, 64, 196), (100, 12544, 1), (128, 28, 196), (4, 112, 16), (4, 56, 64)]

drawn = settings(max_examples=12, deadline=None)
dtypes = st.sampled_from(DTYPES)
slopes = st.sampled_from([1.0, 0.2, 0.0])
# Around where a thread takes a second element, a warp a second thread, a grid a second block
sizes = st.one_of(st.integers(1, 70), st.integers(255, 258), st.integers(1022, 1030), st.integers(2040, 2055))


def normals(shape, dtype, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def unwritten(shape, dtype):
    return np.full(shape, np.nan, dtype)


def results(gpu, call):
    """[(found, expected)] of the arrays that call(kernels, put) returns; put copies an array to where they work."""
    expected = call(reference, np.array)
    with gpu() as xp:
        found = [array.get() for array in call(cuda, xp.asarray)]
    for f, e in zip(found, expected, strict=True):
        assert f.dtype == e.dtype and f.shape == e.shape
    return list(zip(found, expected))


def assert_close(pairs, ulps):
    """Relative to each number and, where sums cancel, to the largest."""
    for found, expected in pairs:
        tolerance = ulps * np.finfo(expected.dtype).eps
        largest = abs(expected[np.isfinite(expected)]).max(initial=0)
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * min(1, largest))


def assert_equal(pairs):
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)


# --- activations and losses


def with_special_values(x, shift):
    """x with zeros, infinities and a NaN among it, as far as they fit, and moved on by `shift` places."""
    special = np.roll(np.array([0, -0.0, np.inf, -np.inf, np.nan, 100, -100], x.dtype), 5 * shift)
    return np.concatenate([x, special])[-x.size :]


ACTIVATIONS = {  # name: (how many arrays it takes, its other arguments)
    "leaky_relu": (1, (0.2,)), "leaky_relu_backward": (2, (0.2,)), "sigmoid": (1, ()), "sigmoid_backward": (2, ()),
    "tanh": (1, ()), "tanh_backward": (2, ()), "dropout_backward": (2, ()),
}  # fmt: skip


@on_gpus
@pytest.mark.parametrize("name", ACTIVATIONS)
@drawn
@given(size=sizes, dtype=dtypes)
def test_activations_equal_their_definitions(gpu, name, size, dtype):
    count, settings_ = ACTIVATIONS[name]
    arrays = [with_special_values(normals((size,), dtype, seed), seed) for seed in range(count)]
    with np.errstate(invalid="ignore"):
        pairs = results(
            gpu,
            lambda k, put: [getattr(k, name)(*map(put, arrays), *settings_, put(unwritten(size, dtype)))],
        )
    assert_close(pairs, 8)


@on_gpus
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_slope_of_0_is_0_at_minus_infinity_and_keeps_a_nan(gpu, dtype):
    x = np.array([-np.inf, np.nan, -1, 2, np.inf, 0], dtype)

    def call(k, put):
        out = k.leaky_relu(put(x), 0.0, put(unwritten(6, dtype)))
        return out, k.leaky_relu_backward(put(x), put(x), 0.0, put(unwritten(6, dtype)))

    with np.errstate(invalid="ignore"):
        assert_equal(results(gpu, call))


LOSSES = {"bce": 2, "bce_backward": 3, "bce_with_logits": 2, "bce_with_logits_backward": 3}


@on_gpus
@pytest.mark.parametrize("name", LOSSES)
@drawn
@given(size=sizes, dtype=dtypes)
def test_losses_equal_their_definitions(gpu, name, size, dtype):
    arrays = [normals((size,), dtype, seed) for seed in range(LOSSES[name])]
    arrays[-1] = (arrays[-1] > 0).astype(dtype)
    if name in ("bce", "bce_backward"):
        arrays[-2] = 1 / (1 + np.exp(-3 * arrays[-2]))
        arrays[-2][::5], arrays[-2][1::7], arrays[-2][2::9] = 0, 1, np.nan
    else:
        arrays[-2][::5], arrays[-2][1::7], arrays[-2][2::9] = 1e4, -1e4, np.nan
    assert_close(results(gpu, lambda k, put: [getattr(k, name)(*map(put, arrays), put(unwritten(size, dtype)))]), 30)


@on_gpus
@drawn
@given(size=sizes, dtype=dtypes)
def test_mean_equals_its_definition(gpu, size, dtype):
    x = normals((size,), dtype) + 3
    assert_close(results(gpu, lambda k, put: [k.mean(put(x), put(unwritten((), dtype)))]), 2)


@on_gpus
@drawn
@given(size=sizes, dtype=dtypes, p=st.sampled_from([0.0, 0.3, 0.9, None]), draw=st.integers(0, 2**64 - 2))
def test_dropout_equals_its_definition_and_counts_its_draw(gpu, size, dtype, p, draw):
    x = normals((size,), dtype)
    if p is None:  # one of the uniform numbers themselves: not less than p, so kept
        p = reference.uniform(2**40 + 3, 4, draw, np.empty(size))[size // 2]

    def call(k, put):
        draws, mask = put(np.array(draw, np.uint64)), put(unwritten(size, dtype))
        out = k.dropout(put(x), p, 2**40 + 3, 4, draws, mask, put(unwritten(size, dtype)))
        return out, mask, draws

    assert_equal(results(gpu, call))


# --- batch normalisation


def batch_norms(k, put, shape, dtype, slope):
    """(out, mean, var, grad_x, grad_weight, grad_bias, sums) of random inputs around 1."""
    x, g = normals(shape, dtype, 0) * 2 + 1, put(normals(shape, dtype, 1))
    if shape[2] == 1 and shape[0] == 1:
        x[...] = 1  # a variance of 0 but for rounding would be compared
    weight, bias = put(normals(shape[1:2], dtype, 2)), put(normals(shape[1:2], dtype, 3))
    mean, var, grad_weight, grad_bias, sums = (put(unwritten(shape[1:2], dtype)) for _ in range(5))
    x = put(x)
    out = k.batch_norm(x, weight, bias, 1e-3, slope, mean, var, put(unwritten(shape, dtype)))
    grad_x = k.batch_norm_backward(
        g, x, out, weight, 1e-3, slope, mean, var, grad_weight, grad_bias, put(unwritten(shape, dtype))
    )
    return out, mean, var, grad_x, grad_weight, grad_bias, k.sum_channels(x, sums)


def assert_batch_norms_agree(gpu, shape, dtype, slope):
    tolerance = 1000 * np.finfo(dtype).eps  # a channel's error grows with the ratio of its mean to its deviation
    with np.errstate(divide="ignore"):
        pairs = results(gpu, lambda k, put: batch_norms(k, put, shape, dtype, slope))
    for found, expected in pairs:
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * abs(expected).max())


@on_gpus
@drawn
@given(batch=st.integers(1, 6), channels=st.integers(1, 5), pixels=st.integers(4, 60), dtype=dtypes, slope=slopes)
def test_batch_norm_equals_its_definition(gpu, batch, channels, pixels, dtype, slope):
    assert_batch_norms_agree(gpu, (batch, channels, pixels), dtype, slope)


@on_gpus
@drawn
@given(batch=st.integers(5, 40), channels=st.integers(1, 70), dtype=dtypes, slope=slopes)
def test_batch_norm_of_single_pixels_equals_its_definition(gpu, batch, channels, dtype, slope):
    assert_batch_norms_agree(gpu, (batch, channels, 1), dtype, slope)


@on_gpus
@pytest.mark.parametrize("shape", RECIPES)
def test_batch_norm_of_the_recipes_equals_its_definition(gpu, shape):
    assert_batch_norms_agree(gpu, shape, np.float32, 0.2)


@on_gpus
@pytest.mark.parametrize("shape", [(100, 3, 196), (2, 5, 2), (100, 40, 1)])
def test_sums_are_within_a_fraction_of_what_was_added(gpu, shape):
    x = normals(shape, np.float32)
    ((found, expected),) = results(gpu, lambda k, put: [k.sum_channels(put(x), put(unwritten(shape[1], np.float32)))])
    assert (abs(found - expected) <= 1e-6 * abs(x).sum(axis=(0, 2))).all()


@on_gpus
@drawn
@given(batch=st.integers(1, 6), channels=st.integers(1, 300), pixels=st.integers(1, 9), dtype=dtypes, slope=slopes)
def test_kernels_of_given_statistics_equal_their_definitions(gpu, batch, channels, pixels, dtype, slope):
    x, scale, shift = (
        normals((batch, channels, pixels), dtype),
        normals((channels,), dtype),
        normals((1, channels), dtype)[0],
    )

    def call(k, put):
        out = k.scale_and_shift(put(x), put(scale), put(shift), slope, put(unwritten(x.shape, dtype)))
        state = put(np.zeros(channels, dtype)), put(np.ones(channels, dtype)), put(np.array(5))
        k.running_statistics(put(scale), put(shift), 10, 0.1, *state)
        return out, *state

    *pairs, (batches, _) = results(gpu, call)
    assert batches == 6
    assert_close(pairs, 16)


# --- random numbers


@on_gpus
@drawn
@given(
    seed=st.integers(0, 2**64 - 1), purpose=st.integers(0, 2**32 - 1), draw=st.integers(0, 2**64 - 2),
    size=sizes, dtype=dtypes, in_memory=st.booleans(),
)  # fmt: skip
def test_random_numbers_equal_their_definitions(gpu, seed, purpose, draw, size, dtype, in_memory):
    def call(k, put):
        at = put(np.array(draw, np.uint64)) if in_memory else draw
        bits = k.random_bits(seed, purpose, at, put(np.zeros(size, np.uint32)))
        uniform = k.uniform(seed, purpose, at, put(unwritten(size, dtype)))
        normal = k.normal(seed, purpose, at, put(unwritten(size, dtype)))
        return bits, uniform, normal, at if in_memory else put(np.zeros(1))

    *exact, normal, (last, expected) = results(gpu, call)
    assert_equal(exact)
    tolerance = {np.float32: 1e-6, np.float64: 1e-14}[dtype]  # the definition rounds its angles
    np.testing.assert_allclose(*normal, rtol=tolerance, atol=1e-14)
    assert last == expected == (draw + 3 if in_memory else 0) or draw > 2**64 - 4


@on_gpus
def test_the_tail_of_an_array_that_is_not_aligned_is_written(gpu):
    with gpu() as xp:
        out = xp.asarray(unwritten(18, np.float32))
        cuda.uniform(1, 2, 3, out[1:16])
        out = out.get()
    assert np.isnan(out[[0, 16, 17]]).all()
    np.testing.assert_array_equal(out[1:16], reference.uniform(1, 2, 3, np.empty(15, np.float32)))


@on_gpus
@pytest.mark.parametrize("draw", range(4))
def test_many_normals_are_within_a_few_units_in_the_last_place(gpu, draw):
    with gpu() as xp:
        found = cuda.normal(5, 6, draw, xp.empty(200_000, np.float32)).get()
    exact = reference.normal(5, 6, draw, np.empty(200_000))
    assert (abs(found - exact) <= 3.5 * np.spacing(abs(exact).astype(np.float32))).all()


# --- the optimizer


def adam_state(put, shapes, dtype):
    """[parameters, firsts, seconds, steps]"""
    lists = [[put(normals(shape, dtype, 9)) for shape in shapes]]
    lists += [[put(np.zeros(shape, dtype)) for shape in shapes] for _ in range(2)]
    return [*lists, [put(np.array(step, np.int64)) for step in range(len(shapes))]]


@on_gpus
@drawn
@given(
    lengths=st.lists(sizes, min_size=1, max_size=5), dtype=dtypes, eps=st.sampled_from([1e-8, 1e-3]),
    epsilon_hat=st.booleans(), scale=st.sampled_from([None, 1024.0]), overflow=st.sampled_from([None, 0, 1]),
)  # fmt: skip
def test_adam_equals_its_definition(gpu, lengths, dtype, eps, epsilon_hat, scale, overflow):
    shapes = [(length,) for length in lengths]

    def call(k, put):
        parameters, *moments, steps = adam_state(put, shapes, dtype)
        flags = (
            (None if scale is None else put(np.array([scale], np.float32))),
            (None if overflow is None else put(np.array([overflow], np.int32))),
        )
        for step in range(3):
            gradients = [put(normals(shape, dtype, step) * dtype(scale or 1)) for shape in shapes]
            k.adam(parameters, gradients, *moments, steps, 0.01, 0.5, 0.999, eps, epsilon_hat, *flags)
        return *steps, *parameters, *moments[0], *moments[1]

    pairs = results(gpu, call)
    assert [found.item() for found, _ in pairs[: len(shapes)]] == [
        n + (0 if overflow else 3) for n in range(len(shapes))
    ]
    assert_close(pairs[len(shapes) :], 100)


@on_gpus
def test_adam_takes_more_parameters_than_a_table_holds_and_empty_ones(gpu):
    shapes = [(n % 3, 2) for n in range(150)]

    def call(k, put):
        parameters, *moments, steps = adam_state(put, shapes, np.float32)
        gradients = [put(normals(shape, np.float32, 1)) for shape in shapes]
        k.adam(parameters, gradients, *moments, steps, 0.01, 0.9, 0.999, 1e-8, False)
        overflow = put(np.array([0], np.int32))
        k.check_overflow(gradients, overflow)
        return *steps, overflow, *parameters

    pairs = results(gpu, call)
    assert_equal(pairs[:151])
    assert_close(pairs[151:], 40)


@on_gpus
@drawn
@given(lengths=st.lists(sizes, min_size=1, max_size=5), dtype=dtypes, decay=st.sampled_from([0.5, 0.999]))
def test_a_moving_average_equals_its_definition(gpu, lengths, dtype, decay):
    def call(k, put):
        averages, values = ([put(normals((n,), dtype, seed)) for n in lengths] for seed in (1, 2))
        for _ in range(3):
            k.move_average(averages, values, decay)
        return averages

    assert_close(results(gpu, call), 10)


@on_gpus
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3e38, 0])
@pytest.mark.parametrize("place", [(0, 0), (1, 1500), (2, 1099)])
def test_an_overflow_is_found_wherever_it_is_and_is_kept(gpu, value, place):
    def call(k, put):
        gradients = [normals((length,), np.float32) for length in (7, 2000, 1100)]
        overflow = put(np.zeros(1, np.int32))
        gradients[place[0]][place[1]] = value
        k.check_overflow([put(g) for g in gradients], overflow)
        first = put(np.zeros(1, np.int32)) + overflow
        k.check_overflow([put(np.zeros(3, np.float32))], overflow)
        return first, overflow

    for found, expected in results(gpu, call):
        assert found == expected == (not np.isfinite(value))


@on_gpus
def test_the_scale_halves_after_an_overflow_and_doubles_after_good_steps(gpu):
    def call(k, put):
        state = put(np.array([8], np.float32)), put(np.array([0], np.int32)), put(np.array([0], np.int64))
        history = []
        for overflow in (0, 0, 0, 1, 0, 1, 0, 0):
            state[1][...] = overflow
            k.update_scale(*state, 3)
            history += [put(np.zeros(1)) + a for a in state]
        return history

    pairs = results(gpu, call)
    assert_equal(pairs)
    assert [e.item() for _, e in pairs[::3]] == [8, 8, 16, 8, 8, 4, 4, 4]
    assert [e.item() for _, e in pairs[2::3]] == [1, 2, 0, 0, 1, 0, 1, 2]


# --- arithmetic


@st.composite
def broadcasts(draw):
    """(shape of out, order of its axes in memory, shapes of two operands, their steps)."""
    shape = draw(st.lists(st.integers(1, 6), max_size=5))
    operands = []
    for _ in range(2):
        kept = shape[draw(st.integers(0, len(shape))) :]
        operands.append([n if draw(st.booleans()) else 1 for n in kept])
    return tuple(shape), draw(st.permutations(range(len(shape)))), operands, draw(st.sampled_from([1, 2, -1]))


def strided(array, order, step):
    """The same numbers, with other strides: axes in memory as in `order`, `step` apart along the last axis."""
    if array.ndim == len(order):
        array = array.transpose(order).copy().transpose(np.argsort(order))
    return array[..., ::step] if array.ndim and step != 1 else array


@on_gpus
@settings(max_examples=40, deadline=None)
@given(case=broadcasts(), dtype=dtypes, ufunc=st.sampled_from(sorted(arithmetic.UFUNCS, key=str)), number=st.booleans())
def test_arithmetic_on_any_strides_equals_numpys(gpu, case, dtype, ufunc, number):
    shape, order, shapes, step = case
    with gpu() as xp:
        arrays = [abs(normals(tuple(s), dtype, seed)) + dtype(0.1) for seed, s in enumerate(shapes)][: ufunc.nin]
        moved = [xp.asarray(a) for a in arrays]
        if step == -1:
            moved, arrays = ([a[..., ::-1] if a.ndim else a for a in some] for some in (moved, arrays))
        if number:
            arrays[-1] = moved[-1] = dtype(1.7)
        whole = unwritten((*shape[:-1], abs(step) * shape[-1]) if shape else (), dtype)
        backing = xp.asarray(whole.transpose(order))
        out = backing.transpose(np.argsort(order))
        view = out[..., ::step] if shape else out
        assert arithmetic.apply(ufunc, moved, view) is view
        found = out.get()
    expected = whole.copy()
    (expected[..., ::step] if shape else expected)[...] = ufunc(*arrays)
    np.testing.assert_allclose(found, expected, rtol=4 * np.finfo(dtype).eps)


@on_gpus
@settings(max_examples=30, deadline=None)
@given(case=broadcasts(), dtype=st.sampled_from([np.float32, np.float64, np.int64, np.uint8]))
def test_copies_and_fills_of_any_strides_equal_numpys(gpu, case, dtype):
    shape, order, (source, _), step = case
    with gpu() as xp:
        values = (normals(tuple(source), np.float64) * 50 + 100).astype(dtype)
        whole = np.full((*shape[:-1], abs(step) * shape[-1]) if shape else (), 7, dtype)
        for write in ("copy", "fill"):
            out = xp.asarray(whole.transpose(order)).transpose(np.argsort(order))
            view = out[..., ::step] if shape else out
            expected = whole.copy()
            expected_view = expected[..., ::step] if shape else expected
            if write == "copy":
                arithmetic.copy(xp.asarray(values), view)
                expected_view[...] = values
            else:
                arithmetic.fill(3, view)
                expected_view[...] = 3
            np.testing.assert_array_equal(out.get(), expected)


@on_gpus
def test_arithmetic_says_what_it_cannot_do(gpu):
    with gpu() as xp:
        out = xp.asarray(np.zeros((2, 3), np.float32))
        with pytest.raises(TypeError, match="float64"):
            arithmetic.apply(np.add, [out, xp.asarray(np.zeros((2, 3)))], out)
        with pytest.raises(ValueError, match="cannot be broadcast"):
            arithmetic.apply(np.exp, [xp.asarray(np.zeros(2, np.float32))], out)
        odd = xp.asarray(np.zeros((4,) * 7, np.float32))[tuple([slice(0, 4, 2)] * 7)]
        with pytest.raises(ValueError, match="7 dimensions"):
            arithmetic.fill(0, odd)


# --- batches and logs


@on_gpus
@drawn
@given(count=st.integers(1, 5), height=st.integers(1, 28), width=st.integers(1, 28))
def test_gathered_images_equal_their_definition_and_count_on(gpu, count, height, width):
    random = np.random.default_rng(count)
    images = random.integers(0, 256, (11, height, width), np.uint8)
    order = random.permutation(11)

    def call(k, put):
        position = put(np.array([1], np.int64))
        batches = [
            k.gather_images(put(images), put(order), position, put(unwritten((count, 1, height, width), np.float32)))
            for _ in range(2)
        ]
        return *batches, position

    pairs = results(gpu, call)
    assert_equal(pairs)
    assert pairs[-1][0] == 1 + 2 * count


@on_gpus
@pytest.mark.parametrize("columns", [1, 4, 8])
def test_rows_of_a_log_are_written_one_after_another(gpu, columns):
    def call(k, put):
        log, row = put(unwritten((3, columns), np.float32)), put(np.array([0], np.int64))
        for step in range(5):
            k.write_row([put(np.array(10 * step + c, np.float32)) for c in range(columns)], log, row)
        return log, row

    pairs = results(gpu, call)
    assert_equal(pairs)
    assert pairs[0][0][:, 0].tolist() == [30, 40, 20]


# --- what holds for all


def test_sums_have_the_same_bits_whichever_thread_is_first():
    def bits(backwards):
        with emulation.active(backwards=backwards) as xp:
            arrays = [a for shape in RECIPES[-2:] for a in batch_norms(cuda, xp.asarray, shape, np.float32, 0.2)]
            arrays += batch_norms(cuda, xp.asarray, (33, 45, 1), np.float64, 0.2)
            arrays += batch_norms(cuda, xp.asarray, (7, 3, 300), np.float64, 0.2)
            for size in (5, 3000, 40_000):
                arrays.append(cuda.mean(xp.asarray(normals((size,), np.float32)), xp.empty(1, np.float32)))
            parameters, *moments, steps = adam_state(xp.asarray, [(3000,), (5,), (1024,)], np.float32)
            cuda.adam(parameters, parameters, *moments, steps, 0.01, 0.9, 0.999, 1e-8, False)
            return [sha256(a.get()).hexdigest() for a in (*arrays, *parameters, *steps)]  # short, when they differ

    assert bits(False) == bits(True)


def test_there_is_a_cuda_kernel_for_every_kernel_of_the_cpu():
    assert set(cpu.__all__) == set(cuda.__all__)
