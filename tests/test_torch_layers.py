"""Layers, losses, optimizers and initial values against PyTorch: values, gradients, and one gradient of a gradient."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import functions, init, nn, optim, random, recipes
from minigan.tensor import Tensor, grad

torch = pytest.importorskip("torch")
import torch_twins  # noqa: E402
from torch.nn import functional as F  # noqa: E402

drawn = settings(max_examples=30, deadline=None)


def normals(shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def as_torch(*arrays):
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def as_ours(*arrays):
    return [Tensor(np.array(array), requires_grad=True) for array in arrays]


def assert_alike(found, expected, tolerance=1e-11):
    """Arrays, or lists of them: alike in shape, dtype and, relative to the largest element, value."""
    if isinstance(found, (list, tuple)):
        assert len(found) == len(expected)
        for pair in zip(found, expected):
            assert_alike(*pair, tolerance)
        return
    found = found.numpy() if isinstance(found, Tensor) else np.asarray(found)
    expected = expected.detach().numpy()
    assert found.shape == expected.shape and found.dtype == expected.dtype
    size = max(abs(expected[np.isfinite(expected)]).max(initial=0), 1e-300)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * size)


def assert_same_function(ours, theirs, x, tolerance=1e-11):
    """Two modules: the same value at x, and the same gradients of input and parameters."""
    theirs.load_state_dict(torch_twins.to_torch(ours.state_dict()))
    (a,), (b,) = as_ours(x), as_torch(x)
    out, expected = ours(a), theirs(b)
    assert_alike(out, expected, tolerance)
    cotangent = normals(out.shape, seed=99).astype(x.dtype)  # not x: batchnorm's gradient would be 0
    found = grad(out, [a, *ours.parameters()], Tensor(cotangent))
    expected = torch.autograd.grad(expected, [b, *theirs.parameters()], torch.tensor(cotangent))
    assert_alike(found, expected, tolerance)


def assert_same_function_in_both_dtypes(ours, theirs, x):
    assert_same_function(ours, theirs, x.astype(np.float32), 2e-5)
    assert_same_function(ours.to("float64"), theirs.double(), x)


# --- layers


@st.composite
def layers(draw):
    """(batch, channels in, channels out, size, kernel, stride, padding, dilation) of a convolution that fits."""
    pairs = [[draw(st.integers(1, high)) for _ in "hw"] for high in (4, 3, 3)]
    kernel, stride, dilation = map(tuple, pairs)
    padding = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding)]
    size = tuple(length + draw(st.integers(0, 8)) for length in least)
    counts = [draw(st.integers(1, high)) for high in (4, 4, 10)]
    return *counts, size, kernel, stride, padding, dilation


@drawn
@given(layers(), st.booleans())
def test_conv2d_equals_pytorchs(layer, bias):
    batch, inputs, outputs, size, kernel, stride, padding, dilation = layer
    arguments = (inputs, outputs, kernel, stride, padding, dilation)
    ours, theirs = nn.Conv2d(*arguments, bias=bias), torch.nn.Conv2d(*arguments, bias=bias)
    assert_same_function_in_both_dtypes(ours, theirs, normals((batch, inputs, *size)))


@drawn
@given(layers(), st.booleans(), st.data())
def test_conv_transpose2d_equals_pytorchs(layer, bias, data):
    batch, inputs, outputs, size, kernel, stride, padding, dilation = layer
    output_padding = tuple(data.draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation))
    least = [  # input sizes that give at least one row and column of output
        max(1, math.ceil((1 + 2 * p - d * (k - 1) - 1 - o) / s) + 1)
        for k, s, p, d, o in zip(kernel, stride, padding, dilation, output_padding)
    ]
    size = tuple(max(pair) for pair in zip(size, least))
    arguments = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
    ours = nn.ConvTranspose2d(inputs, outputs, kernel, bias=bias, **arguments)
    theirs = torch.nn.ConvTranspose2d(inputs, outputs, kernel, bias=bias, **arguments)
    assert_same_function_in_both_dtypes(ours, theirs, normals((batch, inputs, *size)))


@drawn
@given(st.tuples(*[st.integers(0, 3)] * 4), st.integers(1, 3), st.integers(1, 2), st.integers(4, 9), st.integers(4, 9))
def test_asymmetric_padding_equals_f_pad_and_its_adjoint_cuts(padding, stride, dilation, height, width):
    left, right, top, bottom = padding
    ours = nn.Conv2d(2, 3, 3, stride, padding, dilation).to("float64")
    padded = torch.nn.Sequential(torch.nn.ZeroPad2d(padding), torch.nn.Conv2d(2, 3, 3, stride, 0, dilation)).double()
    padded.load_state_dict({f"1.{name}": torch.tensor(array) for name, array in ours.state_dict().items()})
    x = normals((2, 2, height + 2, width + 2))
    (a,), (b,) = as_ours(x), as_torch(x)
    out, expected = ours(a), padded(b)
    assert_alike(out, expected)
    u = normals(out.shape, 1)
    wanted = torch.autograd.grad(expected, [b, *padded.parameters()], torch.tensor(u))
    assert_alike(grad(out, [a, *ours.parameters()], Tensor(u)), wanted)

    transposed = nn.ConvTranspose2d(3, 2, 3, stride, padding, dilation=dilation).to("float64")
    y = normals((2, 3, height, width))
    weight, bias = (torch.tensor(p.data) for p in transposed.parameters())
    whole = F.conv_transpose2d(torch.tensor(y), weight, bias, stride, dilation=dilation)
    cut = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
    if min(cut.shape) > 0:
        assert_alike(transposed(Tensor(y)), cut)


@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 7), (4, 3, 6, 5)])
@pytest.mark.parametrize("arguments", [{}, {"eps": 1e-3, "momentum": 0.01}], ids=["default", "keras"])
def test_batch_norm_equals_pytorchs_in_training_and_in_use(shape, arguments):
    kind = "BatchNorm2d" if len(shape) == 4 else "BatchNorm1d"
    ours = getattr(nn, kind)(shape[1], **arguments)
    theirs = getattr(torch.nn, kind)(shape[1], **arguments)
    init.normal_(ours.weight, 1, 0.5), init.normal_(ours.bias)
    ours.to("float64"), theirs.double()
    for batch in range(3):
        assert_same_function(ours, theirs, normals(shape, batch) * 3 + batch)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        assert_alike(list(ours.state_dict().values()), list(theirs.state_dict().values()))
    ours.eval(), theirs.eval()
    before = {name: array.copy() for name, array in ours.state_dict().items()}
    assert_same_function(ours, theirs, normals(shape, 9) * 2 + 1)
    for name, array in ours.state_dict().items():
        np.testing.assert_array_equal(array, before[name], f"{name} moved in eval mode")


@pytest.mark.parametrize("shape", [(4, 3), (2, 3, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize(
    "name, arguments",
    [("ReLU", ()), ("LeakyReLU", ()), ("LeakyReLU", (0.2,)), ("Tanh", ()), ("Sigmoid", ()), ("Flatten", ())],
)
def test_layers_without_parameters_equal_pytorchs(name, arguments, shape):
    x = normals(shape) * 3
    x.flat[0] = 0  # where a gradient at the kink is a choice
    assert_same_function_in_both_dtypes(getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments), x)


@pytest.mark.parametrize("name", ["ReLU", "LeakyReLU", "Tanh", "Sigmoid"])
def test_an_activation_of_a_single_number_is_a_single_number(name):
    assert_same_function(getattr(nn, name)(), getattr(torch.nn, name)(), np.array(0.3))


def test_activations_of_infinities_equal_pytorchs():
    for name in ("ReLU", "LeakyReLU", "Tanh", "Sigmoid"):
        assert_same_function(getattr(nn, name)(), getattr(torch.nn, name)(), np.array([-np.inf, np.inf, 1.0]))


@drawn
@given(st.integers(1, 70), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_linear_equals_pytorchs(batch, inputs, outputs, bias):
    ours, theirs = nn.Linear(inputs, outputs, bias), torch.nn.Linear(inputs, outputs, bias)
    assert_same_function_in_both_dtypes(ours, theirs, normals((batch, inputs)))


@pytest.mark.parametrize("dim, sizes", [(1, (2, 3, 2)), (-1, (5, 1)), (2, (1, 5))])
def test_unflatten_equals_pytorchs_and_undoes_flatten(dim, sizes):
    x = normals((4, 12, 5))
    assert_same_function(nn.Unflatten(dim, sizes), torch.nn.Unflatten(dim, sizes), x)
    back = nn.Flatten(dim % 3, dim % 3 + len(sizes) - 1)(nn.Unflatten(dim, sizes)(Tensor(x)))
    np.testing.assert_array_equal(back.data, x)
    assert_same_function(nn.Flatten(0, 1), torch.nn.Flatten(0, 1), x)


def test_dropout_zeroes_a_fraction_p_and_keeps_the_mean():
    layer, n, p = nn.Dropout(0.3, random.Generator(1, random.DROPOUT)), 200_000, 0.3
    x = Tensor(np.full(n, 2.0), requires_grad=True)
    out = layer(x)
    dropped = out.data == 0
    assert abs(dropped.mean() - p) < 4 * math.sqrt(p * (1 - p) / n)
    np.testing.assert_allclose(out.data[~dropped], 2 / 0.7)
    assert abs(np.corrcoef(dropped[1:], dropped[:-1])[0, 1]) < 4 / math.sqrt(n)
    (g,) = grad(out.sum(), x)
    np.testing.assert_allclose(g.data, np.where(dropped, 0, 1 / 0.7))
    assert (layer(x).data == 0).tolist() != dropped.tolist(), "every call draws a new mask"


def test_dropout_does_nothing_in_use_or_at_p_0():
    x = Tensor(normals((50,)))
    np.testing.assert_array_equal(nn.Dropout(0.9).eval()(x).data, x.data)
    np.testing.assert_array_equal(nn.Dropout(0.0)(x).data, x.data)
    with pytest.raises(ValueError, match="probability"):
        nn.Dropout(1.0)


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_state_dict_has_the_names_shapes_and_order_of_pytorchs(name):
    recipe = recipes.RECIPES[name]
    for ours, theirs in zip((recipe.generator(), recipe.discriminator()), torch_twins.TWINS[name]()):
        found = [(key, array.shape, array.dtype.name) for key, array in ours.state_dict().items()]
        expected = [(k, tuple(t.shape), str(t.dtype).split(".")[1]) for k, t in theirs.state_dict().items()]
        assert found == expected
        assert [k for k, _ in ours.named_parameters()] == [k for k, _ in theirs.named_parameters()]


# --- losses

REDUCTIONS = ["mean", "sum", "none"]


def assert_same_loss(name, reduction, x, y, tolerance=1e-12):
    """The loss, its gradient, and for floats the target's gradient too."""
    ours, theirs = getattr(nn, name)(reduction=reduction), getattr(torch.nn, name)(reduction=reduction)
    differentiable = y.dtype.kind == "f"
    (a,), (b,) = as_ours(x), as_torch(x)
    target, their_target = Tensor(y, requires_grad=differentiable), torch.tensor(y, requires_grad=differentiable)
    found, expected = ours(a, target), theirs(b, their_target)
    assert_alike(found, expected, tolerance)
    inputs, their_inputs = ([a, target], [b, their_target]) if differentiable else ([a], [b])
    u = np.asarray(normals(found.shape, 2), x.dtype)
    assert_alike(
        grad(found, inputs, Tensor(u)), torch.autograd.grad(expected, their_inputs, torch.tensor(u)), tolerance
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_equal_pytorchs(reduction):
    x, y, p = normals((6, 5)) * 4, normals((6, 5), 1), np.random.default_rng(0).random((6, 5))
    assert_same_loss("MSELoss", reduction, x, y)
    assert_same_loss("BCEWithLogitsLoss", reduction, x, p)
    assert_same_loss("BCELoss", reduction, p, np.random.default_rng(1).random((6, 5)))
    assert_same_loss("CrossEntropyLoss", reduction, x, np.array([0, 4, 2, 2, 1, 3]))


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-6), (np.float64, 1e-8)])  # PyTorch's 1e-12 is a float32
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_bce_loss_of_certain_and_nearly_certain_probabilities_equals_pytorchs(reduction, dtype, tolerance):
    near = np.array([0, 1, 1e-30, 1e-20, 1e-13, 1e-11, 1e-3, 1 - 1e-7, 0.5], dtype)
    p, y = np.repeat(near, 3), np.tile(np.array([0, 1, 0.25], dtype), len(near))
    (a,), (b,) = as_ours(p), as_torch(p)
    found = nn.BCELoss(reduction)(a, Tensor(y))
    expected = F.binary_cross_entropy(b, torch.tensor(y), reduction=reduction)
    assert_alike(found, expected, tolerance)
    u = np.asarray(normals(found.shape, 2), dtype)
    (g,) = grad(found, a, Tensor(u))
    (h,) = torch.autograd.grad(expected, b, torch.tensor(u))
    np.testing.assert_allclose(g.data, h, rtol=tolerance)  # each element: they range over 12 decades


def test_bce_loss_of_certain_probabilities_is_large_but_finite():
    loss = nn.BCELoss(reduction="none")(Tensor(np.array([0.0, 1.0, 0.0, 1.0])), Tensor(np.array([1.0, 0.0, 0.0, 1.0])))
    np.testing.assert_array_equal(loss.data, [100, 100, 0, 0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bce_loss_of_a_tiny_probability_keeps_its_digits(dtype):
    p = np.array([1e-9, 1e-6, 1e-4, 1e-2], dtype)
    loss = nn.BCELoss(reduction="none")(Tensor(p), Tensor(np.zeros_like(p)))
    np.testing.assert_allclose(loss.data, -np.log1p(-p.astype(np.float64)), rtol=4 * np.finfo(dtype).eps)


def test_bce_loss_has_the_same_gradient_when_that_can_be_differentiated_again():
    p, y = np.array([0.0, 1.0, 0.0, 1.0, 1e-20, 0.3]), np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.4])
    (a,), (b,) = as_ours(p), as_torch(p)
    (expected,) = torch.autograd.grad(F.binary_cross_entropy(b, torch.tensor(y)), b, create_graph=True)
    (found,) = grad(functions.binary_cross_entropy(a, Tensor(y)), a, create_graph=True)
    np.testing.assert_allclose(found.data, expected.detach(), rtol=1e-7)  # PyTorch's 1e-12 is a float32


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bce_with_logits_of_huge_logits_equals_pytorchs_and_is_finite(dtype):
    z = np.repeat(np.array([1e4, -1e4, 100, -100, 0, 1e-6], dtype), 3)
    y = np.tile(np.array([0, 1, 0.3], dtype), 6)
    assert_same_loss("BCEWithLogitsLoss", "none", z, y, 1e-6 if dtype == np.float32 else 1e-12)
    (a,) = as_ours(z)
    loss = nn.BCEWithLogitsLoss(reduction="none")(a, Tensor(y))
    (g,) = grad(loss, a, Tensor(np.ones_like(z)), create_graph=True)
    (second,) = grad(g, a, Tensor(np.ones_like(z)))
    assert np.isfinite(loss.data).all() and np.isfinite(g.data).all() and np.isfinite(second.data).all()


def test_bce_with_logits_at_logit_0_has_gradient_half_minus_target_and_curvature_a_quarter():
    y = np.array([0.0, 0.3, 1.0])
    for create_graph in (False, True):
        (z,) = as_ours(np.zeros(3))
        (g,) = grad(nn.BCEWithLogitsLoss(reduction="sum")(z, Tensor(y)), z, create_graph=create_graph)
        np.testing.assert_allclose(g.data, 0.5 - y, rtol=1e-15)
    (second,) = grad(g.sum(), z)
    np.testing.assert_allclose(second.data, 0.25, rtol=1e-15)


# --- gradients of gradients


@pytest.mark.parametrize("name", ["Conv2d", "ConvTranspose2d"])
@drawn
@given(layer=layers())
def test_gradients_of_a_convolutions_gradients_equal_pytorchs(name, layer):
    batch, inputs, outputs, size, kernel, stride, padding, dilation = layer
    if name == "ConvTranspose2d":  # large enough for what the padding cuts off
        size = tuple(n + 2 * p for n, p in zip(size, padding))
    arguments = {"stride": stride, "padding": padding, "dilation": dilation}
    ours = getattr(nn, name)(inputs, outputs, kernel, **arguments).to("float64")
    theirs = getattr(torch.nn, name)(inputs, outputs, kernel, **arguments).double()
    theirs.load_state_dict(torch_twins.to_torch(ours.state_dict()))
    x = normals((batch, inputs, *size))
    u = normals(ours(Tensor(x)).shape, 7)
    (a, v), (b, w) = as_ours(x, u), as_torch(x, u)
    wanted, their_wanted = [a, *ours.parameters()], [b, *theirs.parameters()]
    first = grad(ours(a), wanted, v, create_graph=True)
    their_first = torch.autograd.grad(theirs(b), their_wanted, w, create_graph=True)
    directions = [normals(g.shape, 8) for g in first]
    total = sum((g * d).sum() for g, d in zip(first, directions))
    their_total = sum((g * torch.tensor(d)).sum() for g, d in zip(their_first, directions))
    found = grad(total, [a, ours.weight, v])
    assert_alike(found, torch.autograd.grad(their_total, [b, theirs.weight, w]))


def test_a_gradient_penalty_has_pytorchs_gradient():
    ours = recipes.chaudhary_discriminator().to("float64")
    theirs = torch_twins.TWINS["chaudhary2024"]()[1].double()
    theirs.load_state_dict(torch_twins.to_torch(ours.state_dict()))
    x = normals((4, 1, 28, 28))

    (a,) = as_ours(x)
    (g,) = grad(ours(a).sum(), a, create_graph=True)
    norms = (g * g).sum((1, 2, 3)).sqrt()
    penalty = ((norms - 1) * (norms - 1)).mean()
    found = grad(penalty, list(ours.parameters()))

    (b,) = as_torch(x)
    (h,) = torch.autograd.grad(theirs(b).sum(), b, create_graph=True)
    expected = ((h.flatten(1).norm(dim=1) - 1) ** 2).mean()
    assert_alike(penalty, expected)
    assert_alike(found, torch.autograd.grad(expected, list(theirs.parameters())), 1e-9)


# --- optimizers


def take_steps(ours, theirs, params, their_params, steps):
    """The same gradients to both optimizers; then the same parameters."""
    for step in steps:
        for p, q in zip(params, their_params):
            g = normals(p.shape, 10 + step) * 10.0 ** (step % 3 - 1)
            p.grad, q.grad = Tensor(g), torch.tensor(g)
        ours.step(), theirs.step()
        assert_alike(params, their_params)


def parameters():
    arrays = [normals((3, 4)), normals((130, 140), 1), normals((1,))]  # one large enough for the parallel kernel
    return [nn.Parameter(array.copy()) for array in arrays], as_torch(*arrays)


OPTIMIZERS = [
    ("Adam", {}),
    ("Adam", {"lr": 0.05, "betas": (0.5, 0.999), "eps": 1e-3}),
    ("Adam", {"lr": 0.05, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}),
]


@pytest.mark.parametrize("name, arguments", OPTIMIZERS)
def test_optimizers_take_pytorchs_steps(name, arguments):
    params, their_params = parameters()
    ours, theirs = getattr(optim, name)(params, **arguments), getattr(torch.optim, name)(their_params, **arguments)
    take_steps(ours, theirs, params, their_params, range(10))


@pytest.mark.parametrize("name, arguments", OPTIMIZERS)
def test_an_optimizer_continues_from_pytorchs_state_and_the_other_way_round(name, arguments):
    params, their_params = parameters()
    ours, theirs = getattr(optim, name)(params, **arguments), getattr(torch.optim, name)(their_params, **arguments)
    take_steps(ours, theirs, params, their_params, range(3))
    ours = getattr(optim, name)(params, lr=123)
    ours.load_state_dict(theirs.state_dict())
    take_steps(ours, theirs, params, their_params, range(3, 6))

    saved = ours.state_dict()
    state = {position: {key: torch.tensor(value) for key, value in s.items()} for position, s in saved["state"].items()}
    group = {**theirs.state_dict()["param_groups"][0], **saved["param_groups"][0]}
    group.pop("epsilon_hat", None)
    theirs = getattr(torch.optim, name)(their_params, lr=123)
    theirs.load_state_dict({"state": state, "param_groups": [group]})
    take_steps(ours, theirs, params, their_params, range(6, 9))


def test_adam_with_epsilon_hat_takes_the_steps_of_keras():
    params, theirs = parameters()
    settings = {"lr": 0.01, "betas": (0.9, 0.99), "eps": 0.1}
    ours, keras = optim.Adam(params, **settings, epsilon_hat=True), torch_twins.KerasAdam(theirs, **settings)
    for step in range(10):
        grads = [normals(p.shape, step) for p in params]
        ours.step([Tensor(g) for g in grads])
        keras.step([torch.tensor(g) for g in grads])
        assert_alike(params, theirs)


def test_a_parameter_without_a_gradient_stays_as_it_is():
    params, _ = parameters()
    optimizer = optim.Adam(params)
    before = [p.data.copy() for p in params]
    params[1].grad = Tensor(np.ones((130, 140)))
    optimizer.step()
    np.testing.assert_array_equal(params[0].data, before[0])
    np.testing.assert_array_equal(params[2].data, before[2])
    assert (params[1].data != before[1]).all()


@pytest.mark.parametrize("name", ["Adam", "SGD"])
def test_optimizers_step_parameters_of_any_memory_layout(name):
    array, g = normals((4, 3)).T, normals((3, 4), 1)
    ours, (theirs,) = nn.Parameter(array), as_torch(array.copy())
    theirs.grad = torch.tensor(g)
    getattr(optim, name)([ours], lr=0.1).step([Tensor(g)])
    getattr(torch.optim, name)([theirs], lr=0.1).step()
    assert_alike(ours, theirs)


def test_adam_continues_from_moments_of_any_memory_layout():
    x = normals((2, 3, 4, 5))
    theirs = torch.tensor(x).to(memory_format=torch.channels_last).requires_grad_()
    ours, their_adam = nn.Parameter(x.copy()), torch.optim.Adam([theirs])
    our_adam = optim.Adam([ours])
    take_steps(our_adam, their_adam, [ours], [theirs], range(2))
    our_adam.load_state_dict(their_adam.state_dict())
    take_steps(our_adam, their_adam, [ours], [theirs], range(2, 4))


# --- initial values


@pytest.mark.parametrize("shape", [(300, 200), (40, 60, 5, 5)])
@pytest.mark.parametrize("name", ["xavier_uniform_", "xavier_normal_", "kaiming_uniform_", "kaiming_normal_"])
@pytest.mark.parametrize("argument", [0.0, 1.0, math.sqrt(5)])
def test_initial_weights_have_pytorchs_spread(name, shape, argument):
    if name.startswith("xavier"):
        argument += 1  # a gain of 0 is no test
    ours = getattr(init, name)(Tensor(np.empty(shape, np.float32)), argument, generator=random.Generator(5)).data
    theirs = getattr(torch.nn.init, name)(torch.empty(shape), argument).numpy()
    error = 4 / math.sqrt(2 * ours.size)  # four standard errors of a standard deviation, relative
    assert abs(ours.std() / theirs.std() - 1) < 2 * error
    assert abs(ours.mean()) < 4 * ours.std() / math.sqrt(ours.size)
    if "uniform" in name:  # then the largest of n values lies within a few n-ths of the bound
        assert abs(abs(ours).max() / abs(theirs).max() - 1) < 20 / ours.size
        assert abs(ours.std() / abs(ours).max() - 1 / math.sqrt(3)) < error
    else:
        assert 4 < abs(ours).max() / ours.std() < 6


def test_plain_initial_values():
    generator, n = random.Generator(6), 100_000
    x = init.normal_(Tensor(np.empty(n, np.float32)), 1.0, 0.02, generator).data
    assert abs(x.mean() - 1) < 4 * 0.02 / math.sqrt(n) and abs(x.std() / 0.02 - 1) < 4 / math.sqrt(2 * n)
    x = init.uniform_(Tensor(np.empty(n, np.float32)), -3, 1, generator).data
    assert -3 <= x.min() < -2.999 and 0.999 < x.max() < 1 and abs(x.mean() + 1) < 0.02
    assert (init.zeros_(Tensor(x.copy())).data == 0).all() and (init.ones_(Tensor(x.copy())).data == 1).all()
    assert (init.constant_(Tensor(x.copy()), 7).data == 7).all()


@pytest.mark.parametrize(
    "name, arguments", [("Linear", (50, 300)), ("Conv2d", (20, 60, 5)), ("ConvTranspose2d", (60, 20, 5))]
)
def test_new_layers_start_within_pytorchs_bounds(name, arguments):
    random.manual_seed(0)
    ours, theirs = getattr(nn, name)(*arguments), getattr(torch.nn, name)(*arguments)
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        bound = abs(q.detach().numpy()).max()
        spread = 12 / p.data.size if p.data.size > 100 else 0.6
        assert p.shape == tuple(q.shape)
        assert abs(abs(p.data).max() / bound - 1) < spread
        assert p.data.std() == pytest.approx(q.detach().numpy().std(), rel=0.02 if p.data.size > 1000 else 0.5)


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_recipes_start_from_their_papers_initial_values(name):
    keras = name == "jeganathan2025"
    for network in recipes.build(recipes.RECIPES[name], seed=3):
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
                w = module.weight.data
                error = 4 / math.sqrt(2 * w.size)
                if keras:
                    taps = math.prod(w.shape[2:])
                    bound = math.sqrt(6 / (taps * (w.shape[0] + w.shape[1])))
                    assert (1 - 20 / w.size) * bound <= abs(w).max() <= bound * (1 + 1e-6)
                    assert abs(w.std() * math.sqrt(3) / bound - 1) < error
                    assert module.bias is None or (module.bias.data == 0).all()
                else:
                    assert abs(w.std() / 0.02 - 1) < error and abs(w).max() > 0.04 and module.bias is None
            elif isinstance(module, nn.BatchNorm2d):
                w = module.weight.data
                spread = 0 if keras else 0.02
                assert abs(w.mean() - 1) <= 4 * spread / math.sqrt(w.size)
                assert abs(w.std() - spread) <= 4 * spread / math.sqrt(2 * w.size)
                assert (module.bias.data == 0).all()
