"""Captured functions on the GPU: what a CUDA graph can hold, and what is refused with a message that names it.

On an emulated GPU, which refuses what CUDA and CuPy refuse in a capture, always; on a real one where there is one.
"""

import numpy as np
import pytest
from gpus import on_gpus, real

from minigan import backend, functions, nn, recipes, training
from minigan.anomaly import detect_anomaly
from minigan.capture import Captured
from minigan.kernels import launch
from minigan.kernels.cuda import loader, memory
from minigan.settings import default_settings
from minigan.tensor import Tensor, concatenate, grad, no_grad, where


def on_gpu(shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32)).cuda()


# --- what is refused


REFUSED = {
    "reading a loss": ("a copy from the GPU", lambda x: (x * x.mean().item(),)),
    "deciding by a number": ("a copy from the GPU", lambda x: (x * 2.0 if x.mean() else x,)),
    "printing": ("a copy from the GPU", lambda x: (repr(x), x)[1:]),
    "a copy to the CPU": ("a copy from the GPU", lambda x: (x.cpu().cuda(),)),
    "a matrix product of cuBLAS": ("MatMul", lambda x: (x @ x,)),
    "where": ("Where", lambda x: (where(np.ones((4, 4), bool) if x.device == "cpu" else x.data, x, x),)),
    "softplus": ("Softplus", lambda x: (x.softplus(),)),
    "logsumexp": ("LogSumExp", lambda x: (x.logsumexp(1),)),
    "a power": ("Pow", lambda x: (x**3,)),
    "a sum": ("Sum", lambda x: (x.sum(0),)),
    "padding": ("Pad", lambda x: (x.pad([(1, 1), (0, 0)]),)),
    "another dtype": ("ToDtype", lambda x: (x.to("float64"),)),
    "a comparison": ("greater", lambda x: (x > 0, x)[1:]),
    "a sign": ("sign", lambda x: (x.abs(),)),
    "picking": ("GetItem", lambda x: (x[backend.array_module("gpu").asarray(np.array([0, 1]))],)),
}


@on_gpus
@pytest.mark.parametrize("what", REFUSED)
def test_what_a_graph_cannot_hold_is_refused_by_name(gpu, what):
    name, function = REFUSED[what]
    with gpu():
        captured, x = Captured(function), on_gpu((4, 4))
        for _ in range(2):  # the second time as the first
            with pytest.raises(RuntimeError, match=name):
                captured(x)
            assert launch.recording() is None
        function(x)  # outside a capture it works


@on_gpus
def test_the_gradient_of_what_is_refused_is_refused(gpu):
    def gradient(x):
        with no_grad():
            x = x.detach()
        x.requires_grad_()
        return grad((x.exp() * x).sum(), x)

    with gpu(), pytest.raises(RuntimeError, match="Sum"):
        Captured(gradient)(on_gpu((4, 4)))


@on_gpus
def test_a_capture_works_after_one_that_was_refused(gpu):
    with gpu():
        x = on_gpu((4, 4))
        with pytest.raises(RuntimeError):
            Captured(lambda t: (t.softplus(),))(x)
        captured = Captured(lambda t: (t.tanh(),))
        for _ in range(3):
            np.testing.assert_array_equal(captured(x)[0].numpy(), x.tanh().numpy())


# --- what is captured


def mixture(a, b):
    """A function of every kind of launch that a step makes."""
    joined = concatenate([a * b + 1.5, (a - b).exp()])  # (2 N, 5)
    halves = joined[: len(a)] / joined[len(a) :]
    return functions.leaky_relu(halves.T, 0.2), -halves.sigmoid(), joined.tanh().mean(), joined.reshape(-1)


@on_gpus
def test_replays_compute_with_new_inputs_and_each_shape_is_captured_once(gpu):
    calls = []

    def function(a, b):
        calls.append(a.shape)
        return mixture(a, b)

    with gpu():
        captured = Captured(function)
        for seed, length in enumerate((3, 3, 6, 3, 6)):
            inputs = on_gpu((length, 5), seed), on_gpu((length, 5), seed + 10)
            for found, expected in zip(captured(*inputs), mixture(*inputs), strict=True):
                assert found.device == "gpu"
                np.testing.assert_array_equal(found.numpy(), expected.numpy())
        assert calls == [(3, 5), (6, 5)]


@on_gpus
def test_outputs_of_one_call_outlive_the_next(gpu):
    with gpu():
        captured = Captured(lambda a: (a * 2.0, a.tanh()))
        values = [on_gpu((200, 200), seed) for seed in range(4)]
        results = [captured(value) for value in values]
        for value, (double, bounded) in zip(values, results):
            np.testing.assert_array_equal(double.numpy(), 2 * value.numpy())
            np.testing.assert_array_equal(bounded.numpy(), value.tanh().numpy())


@on_gpus
def test_memory_of_dead_arrays_is_used_again_inside_a_graph_that_is_large_for_the_gpu(gpu, monkeypatch):
    monkeypatch.setattr(memory, "SHARE_APART", 10**18)
    with gpu():
        x = on_gpu((100, 100))
        with launch.record() as graph:
            y = x
            for _ in range(10):
                y = y.tanh()
            kept = y.data
            del y
        assert 0 < graph.memory_bytes() <= 2 * 100 * 100 * 4
        replay, expected = backend.capture(graph), x
        for _ in range(10):
            expected = expected.tanh()
        np.testing.assert_array_equal(kept.get(), expected.numpy())
        kept[...] = 0
        replay()
        backend.synchronize("gpu")
        np.testing.assert_array_equal(kept.get(), expected.numpy())


@pytest.mark.gpu
def test_arrays_of_a_graph_that_is_small_for_the_gpu_lie_apart(monkeypatch):  # the emulated one's always lie close
    with real():
        x, each = on_gpu((100, 100)), 100 * 100 * 4
        large = loader.device()._replace(memory_bytes=3 * each * memory.SHARE_APART)
        monkeypatch.setattr(loader, "device", lambda: large)
        with launch.record() as graph:
            y = x
            for _ in range(10):
                y = y.tanh()
        del y
        assert graph.memory_bytes() == 3 * each


@on_gpus
def test_what_is_current_after_another_stream_was_is_our_stream(gpu):
    with gpu() as xp:
        array = backend.zeros_on("gpu", (3,))
        with loader.side_streams()[0]:
            pass
        for value in range(3):
            backend.fill(array, value)
            with xp.cuda.Stream(non_blocking=True):
                pass
            assert backend.read_later(array)().tolist() == [value] * 3


@on_gpus
def test_arrays_that_outlive_the_recording_are_not_overwritten(gpu):
    with gpu():
        x = on_gpu((50, 50))
        with launch.record() as graph:
            early = x.tanh()
            late = early
            for _ in range(6):
                late = (late * 2.0).tanh()
        replay, first, last = backend.capture(graph), early.numpy().copy(), late.numpy().copy()
        for _ in range(2):
            replay()
            backend.synchronize("gpu")
            np.testing.assert_array_equal(early.numpy(), first)
            np.testing.assert_array_equal(late.numpy(), last)
        np.testing.assert_array_equal(first, x.tanh().numpy())


@on_gpus
def test_a_view_in_another_order_is_captured(gpu):
    with gpu():
        captured = Captured(lambda a: (a.permute(1, 0, 2).reshape(3, 8) * 1.0, a[::2, 1:].transpose(0, 2).exp()))
        for seed in range(3):
            x = on_gpu((2, 3, 4), seed)
            for found, expected in zip(captured(x), captured.function(x), strict=True):
                np.testing.assert_array_equal(found.numpy(), expected.numpy())


@on_gpus
def test_another_dtype_or_device_is_captured_anew(gpu):
    with gpu():
        captured, x = Captured(lambda a: (a.tanh(),)), Tensor(np.linspace(-1, 1, 5))
        for _ in range(2):
            for t in (x, x.to("float32"), x.cuda(), x.to("float32").cuda()):
                (found,) = captured(t)
                assert found.dtype == t.dtype and found.device == t.device
                np.testing.assert_array_equal(found.numpy(), t.tanh().numpy())


@on_gpus
def test_a_network_in_use_is_captured_with_the_statistics_that_it_has_now(gpu):
    with gpu():
        network, x = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).to("gpu").eval(), on_gpu((2, 4))
        with no_grad():
            captured = Captured(lambda t: (network(t),))
            for _ in range(3):
                np.testing.assert_array_equal(captured(x)[0].numpy(), network(x).numpy())
                network[0].weight.data[...] += 1
                network[1].running_mean[...] += 1
                network[1].running_var[...] += 1


@on_gpus
def test_replaced_kernels_and_the_search_for_nan_are_not_captured(gpu):
    calls = []

    def function(a):
        calls.append(1)
        return (a.sigmoid(),)

    with gpu():
        captured, x = Captured(function), on_gpu((3,))
        with detect_anomaly():
            captured(x), captured(x)
        assert len(calls) == 2
        captured(x), captured(x)
        assert len(calls) == 3


# --- the recipes' steps


@on_gpus
@pytest.mark.parametrize("precision", ["float32", "fp16"])
@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_every_launch_of_a_step_is_a_kernel_of_ours_and_memory_is_bounded(
    gpu, small_recipes, few_images, name, precision, monkeypatch
):
    monkeypatch.setattr(memory, "SHARE_APART", 10**18)
    with gpu():
        backend.set_precision(precision, "gpu")
        run = training.Run(default_settings(recipes.RECIPES[name], batch_size=4, dataset=str(few_images)), "gpu")
        run.advance()
        (captured,) = run._captured_steps.values()
        (recorded,) = captured._recorded.values()
        graph = recorded[2]
        assert len(graph.launches) > 100
        assert all(isinstance(kernel, loader.Kernel) for kernel, _ in graph.launches)
        before = graph.memory_bytes()
        run.advance()
        assert graph.memory_bytes() == before, "a replay allocates nothing"
        assert 0 < before < sum(array_bytes(run))


def array_bytes(run):
    """Bytes of each array that an eager step makes."""
    sizes, empty = [], memory.empty

    def noted(shape, dtype=np.float32):
        array = empty(shape, dtype)
        sizes.append(array.nbytes)
        return array

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "empty", noted)
        run.batches.seek(0)
        run._take_step(4, 1)
    return sizes
