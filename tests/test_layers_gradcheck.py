"""Every layer and loss against central differences, to second order, on both sets of kernels.

Shapes are drawn by Hypothesis; inputs stay away from kinks, where no derivative exists.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigan import functions, kernels, nn, random
from minigan.errors import ShapeError
from minigan.gradcheck import gradcheck
from minigan.tensor import Tensor, grad

SETS = pytest.mark.parametrize("kernel_set", ["reference", "cpu"])
sizes = st.integers(1, 3)


def away_from_zero(shape, seed=0):
    """Random numbers whose absolute value is at least 0.1."""
    values = np.random.default_rng(seed).standard_normal(shape)
    return Tensor(values + np.copysign(0.1, values), requires_grad=True)


def check_layer(layer, x, kernel_set):
    """Second-order gradcheck with respect to the input and every parameter."""
    layer.to("float64")
    names = [name for name, _ in layer.named_parameters()]
    parameters = [away_from_zero(p.shape, 1 + i) for i, p in enumerate(layer.parameters())]

    def function(x, *values):
        for name, value in zip(names, values):
            object.__setattr__(layer, name, value)
        return layer(x)

    with kernels.use(kernel_set):
        gradcheck(function, [x, *parameters], order=2, names=["the input", *names])


@st.composite
def convolutions(draw):
    """(kernel, stride, padding, dilation), each (height, width), padding (left, right, top, bottom)."""
    pair = st.tuples(sizes, sizes)
    padding = draw(
        st.one_of(st.integers(0, 2), st.tuples(*[st.integers(0, 2)] * 2), st.tuples(*[st.integers(0, 2)] * 4))
    )
    return (
        draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        draw(pair),
        padding,
        draw(st.tuples(*[st.integers(1, 2)] * 2)),
    )


@SETS
@settings(max_examples=15)
@given(st.tuples(sizes, sizes, sizes), convolutions(), st.booleans())
def test_conv2d(kernel_set, channels, geometry, bias):
    batch, inputs, outputs = channels
    kernel, stride, padding, dilation = geometry
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel)]
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=bias)
    check_layer(layer, away_from_zero((batch, inputs, reach[0] + 2, reach[1] + 1)), kernel_set)


@SETS
@settings(max_examples=15)
@given(st.tuples(sizes, sizes, sizes), convolutions(), st.booleans(), st.integers(0, 1))
def test_conv_transpose2d(kernel_set, channels, geometry, bias, extra):
    batch, inputs, outputs = channels
    kernel, stride, _, dilation = geometry
    extra = tuple(min(extra, max(s, d) - 1) for s, d in zip(stride, dilation))
    layer = nn.ConvTranspose2d(inputs, outputs, kernel, stride, (0, 0, 0, 0), extra, bias, dilation)
    check_layer(layer, away_from_zero((batch, inputs, 3, 2)), kernel_set)


@SETS
def test_keras_same_padding_both_ways(kernel_set):
    check_layer(nn.Conv2d(2, 3, 5, 2, (1, 2, 1, 2)), away_from_zero((2, 2, 6, 8)), kernel_set)
    check_layer(nn.ConvTranspose2d(3, 2, 5, 2, (1, 2, 1, 2)), away_from_zero((2, 3, 3, 4)), kernel_set)


@SETS
@pytest.mark.parametrize("training", [True, False])
@given(st.integers(2, 4), sizes, st.sampled_from([(), (3,), (2, 3)]))
@settings(max_examples=10)
def test_batch_norm(kernel_set, training, batch, channels, pixels):
    layer = (nn.BatchNorm2d if len(pixels) == 2 else nn.BatchNorm1d)(channels, eps=1e-2).train(training)
    x = away_from_zero((batch, channels, *pixels))
    layer.register_buffer("running_var", layer.running_var * 2)
    before = {name: array.copy() for name, array in layer.state_dict().items() if "running" in name}

    class Frozen(nn.Module):
        """The layer with its running statistics put back before each call: gradcheck needs a pure function."""

        def forward(self, x):
            for name, array in before.items():
                getattr(layer, name)[...] = array
            for name in ("weight", "bias"):
                object.__setattr__(layer, name, getattr(self, name))
            return layer(x)

    frozen = Frozen()
    frozen.weight, frozen.bias = layer.weight, layer.bias
    layer.to("float64")
    check_layer(frozen, x, kernel_set)


@SETS
@pytest.mark.parametrize("layer", [
    nn.Linear(4, 3), nn.LeakyReLU(0.2), nn.ReLU(), nn.Tanh(), nn.Sigmoid(), nn.Flatten(), nn.Unflatten(1, (2, 2)),
], ids=repr)  # fmt: skip
@given(st.integers(1, 5))
@settings(max_examples=5)
def test_other_layers(kernel_set, layer, batch):
    check_layer(layer, away_from_zero((batch, 4)), kernel_set)


@SETS
def test_dropout(kernel_set):
    layer = nn.Dropout(0.3, random.Generator(1))

    class Repeated(nn.Module):
        """Dropout that draws the same mask in every call."""

        def forward(self, x):
            layer.generator.draw = 0
            return layer(x) ** 2

    check_layer(Repeated(), away_from_zero((6, 5)), kernel_set)


@SETS
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [nn.BCELoss, nn.BCEWithLogitsLoss, nn.MSELoss])
def test_losses(kernel_set, loss, reduction):
    x, y = away_from_zero((4, 3)), Tensor(np.random.default_rng(5).random((4, 3)), requires_grad=True)

    def function(x, y):
        return loss(reduction)(x.sigmoid() if loss is nn.BCELoss else x, y)

    with kernels.use(kernel_set):
        gradcheck(function, [x, y], order=2)


def test_cross_entropy():
    classes = Tensor(np.array([0, 2, 2, 1]))
    gradcheck(lambda x: nn.CrossEntropyLoss()(x, classes), away_from_zero((4, 3)), order=2)


def test_batches_in_one_are_normalised_as_if_each_came_alone():
    layer, alone = nn.BatchNorm2d(3).to("float64"), nn.BatchNorm2d(3).to("float64")
    draw = np.random.default_rng(0)
    first, second, g = (draw.standard_normal((4, 3, 2, 2)) for _ in range(3))
    x = Tensor(np.concatenate([first, second]), requires_grad=True)
    with functions.batches_in_one(2):
        out = layer(x)
    expected = [alone(Tensor(batch, requires_grad=True)) for batch in (first, second)]
    np.testing.assert_allclose(out.data, np.concatenate([t.data for t in expected]), rtol=1e-12)
    for name, array in layer.state_dict().items():
        np.testing.assert_allclose(array, alone.state_dict()[name], rtol=1e-12, err_msg=name)
    gradients = grad(out, [x, layer.weight, layer.bias], Tensor(np.concatenate([g, 2 * g])))
    for i, (t, factor) in enumerate(zip(expected, (1, 2))):
        (grad_x,) = grad(t, [t.inputs[0]], Tensor(factor * g))
        np.testing.assert_allclose(gradients[0].data[4 * i : 4 * i + 4], grad_x.data, rtol=1e-9, atol=1e-12)
    for i, parameter in ((1, alone.weight), (2, alone.bias)):
        total = sum(grad(t, parameter, Tensor(f * g))[0].data for t, f in zip(expected, (1, 2)))
        np.testing.assert_allclose(gradients[i].data, total, rtol=1e-9)
    with functions.batches_in_one(3), pytest.raises(ShapeError, match="3 batches"):
        layer(x)


@pytest.mark.parametrize("slope", [1.0, 0.2, 0.0])
@pytest.mark.parametrize("batches", [1, 2])
def test_second_derivatives_of_batch_norm_with_its_activation(batches, slope):
    tensors = [away_from_zero(shape, seed) for seed, shape in enumerate([(6, 2, 3), (2,), (2,)])]
    gradcheck(lambda *inputs: functions.BatchNorm(1e-3, batches, slope)(*inputs), tensors, order=2)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("activation", [nn.ReLU(), nn.LeakyReLU(0.3)])
def test_a_sequential_fuses_batch_norm_with_the_activation_behind_it(activation, training):
    draw = np.random.default_rng(0)
    norm = nn.BatchNorm2d(3).to("float64")
    state = {name: array.copy() for name, array in norm.state_dict().items()}
    x, g = Tensor(draw.standard_normal((4, 3, 5, 5)), requires_grad=True), Tensor(draw.standard_normal((4, 3, 5, 5)))
    found = []
    for network in (nn.Sequential(norm, activation), lambda t: activation(norm(t))):
        norm.load_state_dict(state)
        norm.train(training)
        out = network(x)
        found.append([out, *grad(out, [x, norm.weight, norm.bias], g), *map(Tensor, norm.state_dict().values())])
    assert len(found[0]) == 9
    for a, b in zip(*found):
        np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-12)
