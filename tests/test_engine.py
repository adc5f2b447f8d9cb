"""The engine: gradients of every primitive op to second order, and what the walk over the graph promises."""

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from minigan import conv, functions, nn
from minigan import tensor as engine
from minigan.anomaly import detect_anomaly
from minigan.errors import ShapeError
from minigan.gradcheck import gradcheck
from minigan.tensor import Tensor, concatenate, grad, no_grad, where

SHAPES = array_shapes(min_dims=1, max_dims=3, max_side=4)


def tensor(shape, seed=0, positive=False):
    values = np.random.default_rng(seed).standard_normal(shape)
    return Tensor(np.abs(values) + 0.5 if positive else values, requires_grad=True)


UNARY = {
    "exp": lambda a: a.exp(),
    "tanh": lambda a: a.tanh(),
    "sigmoid": lambda a: a.sigmoid(),
    "softplus": lambda a: a.softplus(),
    "neg": lambda a: -a * a,
    "cube": lambda a: a**3,
    "sum": lambda a: (a * a).sum(0, keepdim=True) * a,
    "mean": lambda a: a.mean() * a,
    "logsumexp": lambda a: a.logsumexp(-1),
    "reshape": lambda a: a.reshape(-1) ** 2,
    "permute": lambda a: a.T * a.T,
    "pad": lambda a: a.pad([(1, 2)] * a.ndim) ** 2,
    "slice": lambda a: a[..., :-1] * a[..., 1:],
    "gather": lambda a: a[np.array([0, 0, -1])] ** 2,
    "concatenate": lambda a: concatenate([a, a * a], -1),
    "where": lambda a: where(a.data > 0, a * a, a.exp()),
    "clamp": lambda a: a.clamp(-10, 10) ** 2,
    "abs": lambda a: a.abs() * a,
    "expand": lambda a: a.unsqueeze(0).expand(3, *a.shape) ** 2,
    "to": lambda a: a.to("float64") * 2.0,
}
POSITIVE = {
    "log": lambda a: a.log(),
    "sqrt": lambda a: a.sqrt(),
    "power": lambda a: a**-1.5,
    "variance": lambda a: a.var(0, correction=0),
}
BINARY = {
    "add": lambda a, b: (a + b) ** 2,
    "sub": lambda a, b: (a - b) ** 2,
    "mul": lambda a, b: a * b * b,
    "div": lambda a, b: a / (b * b + 1),
}


@pytest.mark.parametrize("name", UNARY)
@given(SHAPES)
def test_unary_gradients_to_second_order(name, shape):
    gradcheck(UNARY[name], tensor(shape), order=2)


@pytest.mark.parametrize("name", POSITIVE)
@given(SHAPES)
def test_gradients_of_functions_of_positive_numbers(name, shape):
    gradcheck(POSITIVE[name], tensor(shape, positive=True), order=2)


@pytest.mark.parametrize("name", BINARY)
@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
def test_broadcast_gradients_to_second_order(name, shapes):
    gradcheck(BINARY[name], [tensor(s, i) for i, s in enumerate(shapes.input_shapes)], order=2)


@given(st.tuples(*[st.integers(1, 4)] * 3), st.sampled_from([(), (2,), (1, 3)]), st.sampled_from([(), (2,), (4, 1, 1)]))
def test_matmul_gradients_with_batches(sizes, batch_a, batch_b):
    n, k, m = sizes
    try:
        np.broadcast_shapes(batch_a, batch_b)
    except ValueError:
        return
    gradcheck(lambda a, b: (a @ b).tanh(), [tensor((*batch_a, n, k)), tensor((*batch_b, k, m), 1)], order=2)


@pytest.mark.parametrize("a, b", [((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((4, 2, 3), (3,)), ((3,), (4, 3, 2))])
def test_matmul_of_vectors_has_numpys_shape(a, b):
    a, b = tensor(a), tensor(b, 1)
    np.testing.assert_allclose((a @ b).data, a.data @ b.data)


FUSED = {
    "leaky_relu": (lambda: functions.LeakyReLU(0.2), [(3, 4, 5)]),
    "batch_norm": (lambda: functions.BatchNorm(1e-3), [(4, 3, 5), (3,), (3,)]),
    "bce_with_logits": (functions.BinaryCrossEntropyWithLogits, [(4, 3), (4, 3)]),
}


@pytest.mark.parametrize("name", FUSED)
def test_fused_op_equals_its_reference_and_differentiates_twice(name):
    make, shapes = FUSED[name]
    inputs = [tensor(shape, seed) for seed, shape in enumerate(shapes)]
    fused, reference = make()(*inputs), make().reference(*inputs)
    np.testing.assert_allclose(fused.data, reference.data, rtol=1e-12, atol=1e-14)
    g = Tensor(np.random.default_rng(9).standard_normal(fused.shape))
    for a, b in zip(grad(fused, inputs, g), grad(reference, inputs, g)):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-13)
    gradcheck(lambda *t: make()(*t), inputs, order=2)


def test_a_fused_op_whose_inputs_depend_on_each_other_counts_each_path_once():
    x = tensor((4, 3))

    def function(x):
        p = x.sigmoid()
        return functions.BinaryCrossEntropyWithLogits()(p, p * p)

    gradcheck(function, x, order=2)


def test_binary_cross_entropy_of_probabilities_differentiates_twice():
    p, y = (Tensor(1 / (1 + np.exp(-tensor((4, 3), seed).data)), requires_grad=True) for seed in (1, 2))
    gradcheck(functions.binary_cross_entropy, [p, y], order=2)


class Counting(engine.Op):
    """Doubles its input and counts its vjps."""

    calls = 0

    def forward(self, a):
        return a * 2

    def vjp(self, needs, g, out, a):
        type(self).calls += 1
        return (g * 2,)


def test_grad_visits_only_the_path_to_what_is_asked_for():
    wanted, other = tensor((2,)), tensor((2,), 1)
    loss = (wanted * Counting()(other)).sum()
    Counting.calls = 0
    grad(loss, [wanted])
    assert Counting.calls == 0
    grad(loss, [other])
    assert Counting.calls == 1


def test_a_graph_can_be_walked_twice_with_the_same_result():
    x = tensor((3,))
    loss = (x.exp() * x).sum()
    first, second = grad(loss, [x])[0].data.copy(), grad(loss, [x])[0].data
    np.testing.assert_array_equal(first, second)


def test_backward_adds_to_grad_of_every_leaf():
    a, b = tensor((2, 3)), tensor((3,), 1)
    (a * b).sum().backward()
    (a * b).sum().backward()
    np.testing.assert_allclose(a.grad.data, 2 * np.broadcast_to(b.data, (2, 3)))
    np.testing.assert_allclose(b.grad.data, 2 * a.data.sum(0))


def test_a_tensor_used_many_times_collects_all_its_gradients():
    x = Tensor(np.array(3.0), requires_grad=True)
    y = x * x + x * x * x + x
    assert grad(y, x)[0].item() == 2 * 3 + 3 * 9 + 1


def test_graphs_die_without_the_garbage_collector():
    def middle_of_a_dead_graph():
        x = tensor((5,))
        loss = functions.BatchNorm(1e-5)((x * x).reshape(5, 1), tensor((1,)), tensor((1,))).exp().sum()
        middle = weakref.ref(loss.inputs[0])
        (g,) = grad(loss, [x], create_graph=True)
        grad((g * g).sum(), [x])
        assert middle() is not None
        return middle

    middle_of_a_dead_graph()  # a kernel's first use leaves garbage of Numba's
    gc.collect()
    gc.disable()
    try:
        middle = middle_of_a_dead_graph()
        assert middle() is None
        assert gc.collect() == 0  # nothing was left for it to find
    finally:
        gc.enable()


def test_depth_of_a_graph_is_not_limited_by_recursion():
    x = tensor((1,))
    y = x
    for _ in range(50_000):
        y = y + 1.0
    assert grad(y, x)[0].item() == 1.0
    del y


def test_no_grad_and_detach_leave_the_graph():
    x = tensor((2,))
    with no_grad():
        assert not (x * x).requires_grad
    assert (x * x).requires_grad and not (x * x).detach().requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_and_never_mixed(dtype):
    x = Tensor(np.ones((2, 2), dtype), requires_grad=True)
    y = (2 * x + 1.5) / 3 - x**2
    for step in (y.tanh(), y.mean(), y.sigmoid(), y.var(0), y @ y, y.logsumexp(1), y.clamp(-1, 1)):
        assert step.dtype == dtype
        assert grad(step.sum(), x)[0].dtype == dtype
    other = Tensor(np.ones(2, "float32" if dtype == "float64" else "float64"))
    with pytest.raises(TypeError, match="float32.*float64|float64.*float32"):
        x + other


def test_python_floats_become_float32_and_arrays_keep_their_dtype():
    assert Tensor([1.0, 2.0]).dtype == np.float32
    assert Tensor(np.zeros(2)).dtype == np.float64
    assert Tensor([1, 2]).dtype.kind == "i"


def test_array_with_tensor_is_a_tensor():
    x = tensor((3,))
    assert isinstance(np.ones(3) * x, Tensor) and isinstance(x * np.ones(3), Tensor)


def test_errors_say_what_to_do():
    x = tensor((2, 3))
    with pytest.raises(ValueError, match="grad_outputs"):
        grad(x * 2.0, x)
    with pytest.raises(RuntimeError, match="allow_unused"):
        grad(x.sum(), [tensor((2,))])
    with pytest.raises(RuntimeError, match="does not require a gradient"):
        grad(x.sum(), [Tensor(np.zeros(2))])
    with pytest.raises(ValueError, match="inner lengths"):
        x @ x
    with pytest.raises(TypeError, match="floats"):
        Tensor([1, 2], requires_grad=True)


def test_what_would_pass_silently_raises():
    x = tensor((2, 3))
    for wrong in (lambda: x.sum(5), lambda: x.permute(2, 3), lambda: x.squeeze(4), lambda: concatenate([x], 2)):
        with pytest.raises(IndexError):
            wrong()
    with pytest.raises(TypeError, match="int64"):
        Tensor([1, 2]) * 0.5
    single, double = (Tensor(np.ones((1, 1, 4, 4), dtype)) for dtype in ("float32", "float64"))
    for a, b in ((single, double), (double, single), (single.to("float16"), single.to("float16"))):
        with pytest.raises(TypeError, match="float"):
            conv.conv2d(a, b)
    with pytest.raises(TypeError, match="Tensor"):
        nn.ReLU()(np.ones(3))
    with pytest.raises(ValueError, match="nothing to check"):
        gradcheck(lambda a: a * 2.0, Tensor(np.ones(3)))


def test_grads_of_two_leaves_never_share_memory():
    a, b = tensor((3,)), tensor((3,), 1)
    (a + b).sum().backward()
    a.grad.data *= 0.5
    np.testing.assert_array_equal(b.grad.data, np.ones(3))


def test_edges_of_functions():
    zero = Tensor(np.zeros(1), requires_grad=True)
    assert grad(grad(zero**2, zero, create_graph=True)[0], zero)[0].item() == 2.0
    assert grad((zero**1).sum(), zero)[0].item() == 1.0 and grad((zero**0).sum(), zero)[0].item() == 0.0
    assert np.isnan(Tensor(np.array(np.nan)).clamp(0, 1).item())
    assert Tensor(np.full(2, -np.inf)).logsumexp(0).item() == -np.inf
    assert not Tensor([0.0]) and Tensor(1.0)
    x = tensor((4,))
    np.testing.assert_array_equal(x[Tensor([0, 2])].data, x.data[[0, 2]])
    np.testing.assert_array_equal((x < 0) | (x >= 0), True)


def test_an_anomaly_is_traced_to_the_op_that_made_it():
    x = Tensor(np.array([1.0, 0.0]), requires_grad=True)
    with (
        detect_anomaly(),
        np.errstate(divide="ignore"),
        pytest.raises(FloatingPointError, match=r"Log\(float64\(2,\)\)"),
    ):
        (x.log() * 0.0).exp()


def test_a_length_below_minus_one_is_refused():
    with pytest.raises(ShapeError, match=r"\(-2, 3\)"):
        Tensor(np.zeros((2, 3))).reshape(-2, 3)


def test_a_slice_of_a_sequential_is_a_sequential_of_the_same_modules():
    whole = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    part = whole[1:]
    assert isinstance(part, nn.Sequential) and part[-1] is whole[2]
    assert list(part.state_dict()) == ["2.weight", "2.bias"]  # PyTorch's names, too


def test_classes_that_are_no_tensor_are_refused():
    with pytest.raises(TypeError, match="Tensor"):
        functions.cross_entropy(Tensor(np.zeros((2, 3))), np.array([0, 1]))
