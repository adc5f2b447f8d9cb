"""Captured steps: a replay is the eager step to the bit, whatever the recipe and the rules."""

import numpy as np
import pytest

from minigan import backend, kernels, recipes, training
from minigan.anomaly import detect_anomaly
from minigan.capture import Captured
from minigan.kernels import launch, pool
from minigan.nn import BatchNorm1d
from minigan.settings import default_settings
from minigan.tensor import Tensor, where

STEPS = 4


def eager(self, *inputs):
    return tuple(t.detach() for t in self.function(*inputs))


def results(name, **chosen):
    """Losses and scores of each step, and all bits of the state after them."""
    run = training.Run(default_settings(recipes.RECIPES[name], **chosen))
    rows = [run.advance()[:-1] for _ in range(STEPS)]
    state = run.state()
    arrays = [state["generator"], state["discriminator"]]
    arrays += [a for optimizer in ("optimizer_g", "optimizer_d") for a in state[optimizer]["state"].values()]
    return rows, [(n, np.asarray(v).tobytes()) for group in arrays for n, v in group.items()], state["draws"]


@pytest.mark.parametrize(
    "name, chosen",
    [
        ("chaudhary2024", {"batch_size": 4}),
        ("chaudhary2024", {"batch_size": 3, "d_steps": 2, "loss": "minimax"}),
        ("jeganathan2025", {"batch_size": 6}),
        ("jeganathan2025", {"batch_size": 5, "d_steps": 2, "loss": "minimax"}),
    ],
)
def test_replayed_steps_equal_eager_ones_to_the_bit(name, chosen, monkeypatch):
    replayed = results(name, **chosen)
    monkeypatch.setattr(Captured, "__call__", eager)
    assert replayed == results(name, **chosen)


def test_a_captured_function_is_called_once_for_each_shape():
    calls = []

    def function(a, b):
        calls.append(a.shape)
        return a * b + where(a > b, 1.0, a), a.reshape(-1)

    captured = Captured(function)
    for seed, length in enumerate((3, 3, 5, 3, 5)):
        a, b = np.random.default_rng(seed).standard_normal((2, length, 2))
        product, flat = captured(Tensor(a), Tensor(b))
        np.testing.assert_array_equal(product.data, a * b + np.where(a > b, 1.0, a))
        np.testing.assert_array_equal(flat.data, a.reshape(-1))
    assert calls == [(3, 2), (5, 2)]


def test_another_dtype_is_captured_anew():
    captured = Captured(lambda a: (a.tanh(),))
    for dtype in (np.float32, np.float64, np.float32):
        x = np.linspace(-1, 1, 5).astype(dtype)
        (found,) = captured(Tensor(x))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.data, Tensor(x).tanh().data)


def test_an_absolute_value_and_running_statistics_are_computed_again():
    norm = BatchNorm1d(2).eval()
    captured = Captured(lambda a: (a.abs(), norm(a)))
    for value in (1.0, -2.0, 3.0):
        norm.running_mean[...] = norm.running_var[...] = abs(value)
        x = Tensor(np.array([[value, -value]], np.float32))
        for found, expected in zip(captured(x), captured.function(x), strict=True):
            np.testing.assert_array_equal(found.data, expected.data)


def test_outputs_of_one_call_outlive_the_next():
    captured = Captured(lambda a: (a * 2,))
    first, second = (captured(Tensor(np.full((200, 200), value, np.float32)))[0] for value in (1, 2))
    assert (first.data == 2).all() and (second.data == 4).all()


def test_replaced_kernels_and_the_search_for_nan_are_not_captured():
    calls = []

    def function(a):
        calls.append(1)
        return (a.sigmoid(),)

    captured, x = Captured(function), Tensor(np.zeros(3, np.float32))
    with kernels.use("reference"):
        captured(x), captured(x)
    with detect_anomaly():
        captured(x), captured(x)
    assert len(calls) == 4


def test_another_number_of_threads_is_captured_anew():
    calls = []
    captured = Captured(lambda a: (calls.append(1), (a * 2,))[1])
    before = backend.thread_count()
    try:
        for threads in (1, before, 1, before):
            backend.set_threads(threads)
            captured(Tensor(np.ones(3)))
    finally:
        backend.set_threads(before)
    assert len(calls) == len({1, before})


def test_memory_of_dead_arrays_is_used_again_inside_a_graph():
    shape = (300, 300)
    with launch.record() as graph:
        array = pool.empty(shape)
        launch.launch(np.copyto, array, 1)
        for _ in range(10):
            following = pool.empty(shape)
            launch.launch(np.add, array, 1, following)
            array = following
    kept = array
    assert (kept == 11).all()
    kept[...] = 0
    del array, following
    graph.replay()
    assert (kept == 11).all()
    assert graph.memory_bytes() <= 2 * 4 * 300 * 300


def test_recording_ends_when_its_block_fails_and_does_not_nest():
    with pytest.raises(ZeroDivisionError), launch.record():
        1 / 0
    assert launch.recording() is None
    with launch.record(), pytest.raises(RuntimeError, match="recorded already"), launch.record():
        pass
