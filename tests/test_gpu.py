"""The engine, layers, optimizers and samplers on the GPU: what they compute there, the CPU computes too.

On an emulated GPU always, on a real one where there is one. Where both work in float64 the numbers agree to
float64's rounding, so a difference is a mistake and no matter of tolerance.
"""

import numpy as np
import pytest
import test_engine as engine
from gpus import on_gpus

from minigan import functions, nn, optim, random, recipes, sampling
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.kernels import reference
from minigan.tensor import Op, Tensor, concatenate, grad, no_grad

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}  # of the largest number


def numbers(shape, seed=0, dtype="float64"):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(dtype)


def assert_close(found, expected, tolerance, what=""):
    found = found.numpy() if isinstance(found, Tensor) else found
    expected = expected.numpy() if isinstance(expected, Tensor) else expected
    assert found.shape == expected.shape and found.dtype == expected.dtype, what
    largest = abs(expected).max(initial=1e-30)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * largest, err_msg=what)


def value_and_gradients(function, arrays, device):
    """The function's value at tensors on the device, and the gradients of its product with random numbers."""
    tensors = [Tensor(a.copy()).to(device).requires_grad_() for a in arrays]
    out = function(*tensors)
    cotangent = Tensor(numbers(out.shape, 99, out.dtype)).to(device)
    found = [out, *grad(out, tensors, cotangent)]
    assert {t.device for t in found} == {device}
    return found


def assert_devices_agree(function, arrays, tolerance=1e-12):
    for found, expected in zip(*(value_and_gradients(function, arrays, device) for device in ("gpu", "cpu"))):
        assert_close(found, expected, tolerance)


# --- devices


@on_gpus
def test_a_tensor_moves_and_its_gradient_comes_back(gpu):
    with gpu() as xp:
        x = Tensor(numbers((3, 4)), requires_grad=True)
        assert x.device == "cpu" and x.to("cpu") is x
        for moved in (x.to("gpu"), x.to("cuda"), x.cuda()):
            assert moved.device == "gpu" and isinstance(moved.data, xp.ndarray) and moved.to("gpu") is moved
            assert isinstance(moved.numpy(), np.ndarray)
        there = x.cuda()
        back = (there * there).cpu()
        assert back.device == "cpu" and type(back.data) is np.ndarray
        (back * 2.0).sum().backward()
        assert x.grad.device == "cpu"
        np.testing.assert_array_equal(x.grad.data, 4 * x.data)
        (second,) = grad((grad((there * there * there).sum(), there, create_graph=True)[0] * 1.0).sum(), x)
        np.testing.assert_allclose(second.data, 6 * x.data)


@on_gpus
def test_numbers_and_comparisons_come_from_the_gpu(gpu):
    with gpu():
        x = Tensor(np.array([[1.5, -2.0]], np.float32)).cuda()
        assert x.sum().item() == -0.5 and float(x[0, 0]) == 1.5 and bool(x[0, 1] < 0)
        assert "1.5" in repr(x) and x.dtype == np.float32
        np.testing.assert_array_equal((x > 0).get(), [[True, False]])
        y = x.to("float64")
        assert y.device == "gpu" and y.dtype == np.float64 and x.to("int64").data.get().tolist() == [[1, -2]]


@on_gpus
def test_operands_on_two_devices_are_refused(gpu):
    with gpu():
        x = Tensor(np.ones(3, np.float32))
        with pytest.raises(TypeError):
            x.cuda() + x
        with pytest.raises(TypeError):
            x + x.cuda()


@on_gpus
def test_a_module_moves_and_its_state_loads_on_either_device(gpu):
    with gpu():
        for target, source in (("gpu", "cpu"), ("cpu", "gpu"), ("gpu", "gpu")):
            a, b = (nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)) for _ in range(2))
            a[0].weight.data += 1
            a.to(source), b.to(target)
            assert {t.device for t in b.parameters()} == {target}
            b.load_state_dict(a.state_dict())
            for name, array in b.state_dict().items():
                assert Tensor(array).device == target
                np.testing.assert_array_equal(Tensor(array).numpy(), Tensor(a.state_dict()[name]).numpy())
            before = b[0].weight.numpy().copy()
            a[0].weight.data += 1
            np.testing.assert_array_equal(b[0].weight.numpy(), before)
        assert (
            b.cpu() is b and b[0].weight.device == "cpu" and b.cuda()[1].running_mean is b[1]._buffers["running_mean"]
        )


# --- ops


UNARY = {**engine.UNARY, **engine.POSITIVE}


@on_gpus
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_tensor_equal_the_cpus(gpu, name):
    with gpu():
        for shape in ((4,), (2, 3), (3, 1, 4)):
            x = numbers(shape)
            assert_devices_agree(UNARY[name], [abs(x) + 0.5 if name in engine.POSITIVE else x])


@on_gpus
@pytest.mark.parametrize("name", engine.BINARY)
def test_functions_of_two_tensors_equal_the_cpus(gpu, name):
    with gpu():
        for a, b in (((3, 4), (3, 4)), ((2, 1, 3), (4, 1)), ((3,), (2, 3)), ((), (2, 2))):
            assert_devices_agree(engine.BINARY[name], [numbers(a), numbers(b, 1)])


@on_gpus
@pytest.mark.parametrize("a, b", [((2, 3), (3, 4)), ((4, 2, 3), (3,)), ((3,), (3,)), ((2, 2, 3), (2, 3, 1))])
def test_matrix_products_equal_the_cpus(gpu, a, b):
    with gpu():
        assert_devices_agree(lambda x, y: x @ y, [numbers(a), numbers(b, 1)])


@on_gpus
def test_indexing_and_joining_equal_the_cpus(gpu):
    x = numbers((4, 3, 2))
    picks = np.array([2, 0, 2])
    cases = [
        lambda t: t[1:, ::2] * t[:-1, ::-2], lambda t: t[..., 0] ** 2, lambda t: t[None, 2] ** 2, lambda t: t[picks] ** 2,
        lambda t: t[picks, 1] ** 2, lambda t: t[Tensor(picks).to(t.device)] ** 2, lambda t: concatenate([t, t * t], 1),
        lambda t: t.transpose(0, 2).reshape(6, 4) ** 2, lambda t: t.flatten(1).T @ t.flatten(1),
    ]  # fmt: skip
    with gpu():
        for case in cases:
            assert_devices_agree(case, [x])


@on_gpus
def test_second_derivatives_of_functions_on_the_gpu(gpu):
    with gpu():
        for name in ("exp", "tanh", "sigmoid", "softplus", "logsumexp", "slice", "mean", "concatenate"):
            gradcheck(engine.UNARY[name], Tensor(numbers((3, 4)), requires_grad=False).cuda().requires_grad_(), order=2)


@on_gpus
def test_a_wrong_gradient_is_found_on_the_gpu(gpu):
    class Cube(Op):
        def forward(self, a):
            return a * a * a

        def vjp(self, needs, g, out, a):
            return (g * a * a * 2.0,)

    with gpu(), pytest.raises(GradcheckError, match="input 0 is wrong"):
        gradcheck(Cube(), Tensor(numbers((3, 2))).cuda().requires_grad_())


# --- fused functions and layers


def batch_norm(slope, batches=1):
    return lambda x, weight, bias: functions.BatchNorm(1e-3, batches, slope)(x, weight, bias)


FUSED = {
    "leaky_relu": (lambda x: functions.leaky_relu(x, 0.2), [(3, 4, 5)]),
    "relu": (lambda x: functions.relu(x) * x, [(7, 3)]),
    "batch_norm": (batch_norm(1.0), [(4, 3, 5), (3,), (3,)]),
    "batch_norm and leaky_relu": (batch_norm(0.2), [(4, 3, 2, 2), (3,), (3,)]),
    "batch_norm of single pixels": (batch_norm(1.0), [(6, 5), (5,), (5,)]),
    "two batches in one": (batch_norm(1.0, 2), [(6, 2, 3), (2,), (2,)]),
    "add_bias": (functions.add_bias, [(3, 4, 2), (4,)]),
    "bce": (lambda x, y: functions.binary_cross_entropy(x.sigmoid(), y.sigmoid(), "none"), [(4, 3), (4, 3)]),
    "bce_with_logits": (functions.BinaryCrossEntropyWithLogits(), [(4, 3), (4, 3)]),
}


@on_gpus
@pytest.mark.parametrize("name", FUSED)
def test_fused_functions_equal_the_cpus(gpu, name):
    function, shapes = FUSED[name]
    with gpu():
        for dtype, tolerance in TOLERANCE.items():
            assert_devices_agree(function, [numbers(shape, i, dtype) for i, shape in enumerate(shapes)], tolerance)


@on_gpus
@pytest.mark.parametrize("name", FUSED)
def test_second_derivatives_of_fused_functions_on_the_gpu(gpu, name):
    function, shapes = FUSED[name]
    with gpu():
        tensors = [Tensor(numbers(shape, i)).cuda().requires_grad_() for i, shape in enumerate(shapes)]
        gradcheck(function, tensors, order=2)


LAYERS = {
    "Linear": (lambda: nn.Linear(6, 5), (4, 6)),
    "Conv2d": (lambda: nn.Conv2d(3, 5, 3, 2, 1), (2, 3, 7, 6)),
    "Conv2d, dilated, without a bias": (lambda: nn.Conv2d(2, 3, (2, 3), 1, (1, 0, 2, 1), 2, bias=False), (2, 2, 6, 7)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(3, 4, 4, 2, 1), (2, 3, 4, 5)),
    "ConvTranspose2d, with output padding": (lambda: nn.ConvTranspose2d(3, 2, 3, 3, 1, 2), (2, 3, 3, 2)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (4, 3, 5, 5)),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), (4, 6)),
    "BatchNorm2d in use": (lambda: nn.BatchNorm2d(3).eval(), (4, 3, 5, 5)),
    "LeakyReLU": (lambda: nn.LeakyReLU(0.3), (5, 6)),
    "ReLU": (lambda: nn.ReLU(), (5, 6)),
    "Tanh": (lambda: nn.Tanh(), (5, 6)),
    "Sigmoid": (lambda: nn.Sigmoid(), (5, 6)),
    "Dropout": (lambda: nn.Dropout(0.3, random.Generator(1)), (5, 6)),
    "Flatten": (lambda: nn.Flatten(), (5, 2, 3)),
    "Unflatten": (lambda: nn.Unflatten(1, (3, 2)), (5, 6)),
    "normalised, then activated": (lambda: nn.Sequential(nn.BatchNorm2d(3), nn.LeakyReLU(0.2)), (4, 3, 2, 3)),
}  # fmt: skip


def applied(make, shape, device, dtype):
    """(the layer's output, the gradients of its input and parameters, its state) after a call on the device."""
    layer = make().to(dtype)
    for i, parameter in enumerate(layer.parameters()):
        parameter.data[...] = numbers(parameter.shape, i + 1, dtype)
    layer.to(device)
    x = Tensor(numbers(shape, 0, dtype)).to(device).requires_grad_()
    out = layer(x)
    found = [out, *grad(out, [x, *layer.parameters()], Tensor(numbers(out.shape, 99, dtype)).to(device))]
    assert {t.device for t in found} == {device}
    return found + [Tensor(array) for array in layer.state_dict().values()]


@on_gpus
@pytest.mark.parametrize("name", LAYERS)
def test_layers_equal_the_cpus(gpu, name):
    with gpu():
        for dtype, tolerance in TOLERANCE.items():
            for found, expected in zip(
                *(applied(*LAYERS[name], device, dtype) for device in ("gpu", "cpu")), strict=True
            ):
                assert_close(found, expected, tolerance, dtype)


@on_gpus
@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith(("Linear", "Conv"))])
def test_second_derivatives_of_layers_on_the_gpu(gpu, name):
    make, shape = LAYERS[name]
    with gpu():
        layer = make().to("float64").to("gpu")
        names = [n for n, _ in layer.named_parameters()]

        def function(x, *values):
            for n, value in zip(names, values):
                object.__setattr__(layer, n, value)
            return layer(x)

        inputs = [numbers(shape), *(numbers(p.shape, i + 1) for i, p in enumerate(layer.parameters()))]
        gradcheck(function, [Tensor(a).cuda().requires_grad_() for a in inputs], order=2, names=["the input", *names])


@on_gpus
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [nn.BCELoss, nn.BCEWithLogitsLoss, nn.MSELoss])
def test_losses_equal_the_cpus(gpu, loss, reduction):
    def function(x, y):
        return loss(reduction)(x.sigmoid() if loss is nn.BCELoss else x, y)

    with gpu():
        for dtype, tolerance in TOLERANCE.items():
            arrays = [numbers((4, 3), 0, dtype), numbers((4, 3), 1, dtype)]
            assert_devices_agree(function, [arrays[0], 1 / (1 + np.exp(-arrays[1]))], tolerance)


@on_gpus
def test_cross_entropy_equals_the_cpus(gpu):
    classes = np.array([0, 2, 2, 1])
    with gpu():
        assert_devices_agree(lambda x: nn.CrossEntropyLoss()(x, Tensor(classes).to(x.device)), [numbers((4, 3))])


@on_gpus
@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_networks_in_float64_equal_the_cpus(gpu, name):
    recipe = recipes.RECIPES[name]
    latents, found = numbers((2, *recipe.latent_shape)), {}
    with gpu():
        for device in ("gpu", "cpu"):
            g, d = (network.to("float64").to(device) for network in recipes.build(recipe, seed=0))
            with no_grad():
                fake = g(Tensor(latents).to(device))
                found[device] = [fake, d(fake), *map(Tensor, g.state_dict().values())]
        for a, b in zip(found["gpu"], found["cpu"]):
            assert_close(a, b, 1e-10)


# --- optimizers


OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "SGD with momentum and decay": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": lambda p: optim.Adam(p, lr=0.1),
    "Adam as in Keras, with decay": lambda p: optim.Adam(p, 0.1, (0.5, 0.9), 1e-7, 0.01, epsilon_hat=True),
}


def stepped(make, device, steps, state=None):
    """(parameters, optimizer) after so many steps, from the third of which on a parameter has no gradient."""
    parameters = [nn.Parameter(numbers(shape, 5)).to(device) for shape in ((3, 4), (5,), ())]
    parameters = [nn.Parameter(p.data) for p in parameters]
    optimizer = make(parameters)
    for step in range(steps):
        grads = [Tensor(numbers(p.shape, 10 + step)).to(device) for p in parameters]
        optimizer.step([g if step < 2 or i else None for i, g in enumerate(grads)])
    return parameters, optimizer


@on_gpus
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_equal_the_cpus(gpu, name):
    with gpu():
        (found, gpus), (expected, cpus) = (stepped(OPTIMIZERS[name], device, 4) for device in ("gpu", "cpu"))
        for a, b in zip(found, expected):
            assert a.device == "gpu"
            assert_close(a, b, 1e-13)
        a, b = gpus.state_dict(), cpus.state_dict()
        assert a["param_groups"] == b["param_groups"] and a["state"].keys() == b["state"].keys()
        for position, state in b["state"].items():
            for key, value in state.items():
                assert_close(Tensor(a["state"][position][key]), Tensor(value), 1e-13, key)


@on_gpus
@pytest.mark.parametrize("source, target", [("gpu", "cpu"), ("cpu", "gpu"), ("gpu", "gpu")])
def test_an_optimizers_state_loads_on_either_device(gpu, source, target):
    with gpu():
        _, saved = stepped(OPTIMIZERS["Adam"], source, 3)
        (expected, _), (moved, optimizer) = (
            stepped(OPTIMIZERS["Adam"], target, 3),
            stepped(OPTIMIZERS["Adam"], target, 0),
        )
        for a, b in zip(moved, expected):
            a.data[...] = b.data
        optimizer.load_state_dict(saved.state_dict())
        reached, _ = stepped(OPTIMIZERS["Adam"], target, 4)
        grads = [Tensor(numbers(p.shape, 13)).to(target) for p in moved]
        optimizer.step([None, *grads[1:]])
        for a, b in zip(moved, reached):
            assert_close(a, b, 1e-13)


# --- random numbers and samples


@on_gpus
def test_random_integers_are_the_same_and_normals_almost(gpu):
    with gpu() as xp:
        from minigan.kernels import cuda

        for seed, purpose, draw, count in ((0, 0, 0, 7), (2**63 + 5, 3, 2**33, 1000)):
            bits = cuda.random_bits(seed, purpose, draw, xp.zeros(count, np.uint32)).get()
            np.testing.assert_array_equal(bits, reference.random_bits(seed, purpose, draw, np.zeros(count, np.uint32)))
        there, here = (random.Generator(3, random.NOISE) for _ in range(2))
        for shape in ((5, 3), (1000,), ()):
            np.testing.assert_array_equal(there.uniform(shape, device="gpu").get(), here.uniform(shape))
            assert_close(there.normal(shape, device="gpu").get(), here.normal(shape), 1e-6)
        assert there.draw == here.draw == 6


@on_gpus
def test_a_generator_draws_on_with_either_device(gpu):
    with gpu():
        mixed, plain = random.Generator(3), random.Generator(3)
        for device in ("gpu", "cpu", "gpu", "gpu", "cpu"):
            found = Tensor(mixed.uniform((9,), device=device)).numpy()
            np.testing.assert_array_equal(found, plain.uniform((9,)))
        mixed.draw = plain.draw = 1
        np.testing.assert_array_equal(mixed.uniform((3,), device="gpu").get(), plain.uniform((3,)))


@on_gpus
def test_a_seeds_images_are_the_cpus(gpu):
    recipe = recipes.RECIPES["chaudhary2024"]
    with gpu():
        images = []
        for device in ("gpu", "cpu"):
            generator, _ = recipes.build(recipe, seed=0)
            images.append(sampling.draw(generator.to(device).eval(), recipe.latent_shape, 3, 5, device, batch_size=2))
        assert images[0].dtype == np.uint8 and images[0].shape == (3, 28, 28)
        assert abs(images[0].astype(int) - images[1]).max() <= 1
