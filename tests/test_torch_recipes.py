"""Both recipes against their PyTorch twins: weights exchanged both ways, and training steps from the same start."""

import numpy as np
import pytest

from minigan import backend, gan, kernels, nn, optim, random, recipes
from minigan.tensor import Tensor, grad, no_grad

torch = pytest.importorskip("torch")
import torch_twins  # noqa: E402
from torch.nn import functional as F  # noqa: E402

NAMES = sorted(recipes.RECIPES)
BATCH = 3


def without_dropout(network):
    """The network with every dropout's p set to 0; works on ours and on PyTorch's."""
    for module in network.modules():
        if hasattr(module, "p"):
            module.p = 0.0
    return network


def networks(name, dtype="float64", seed=0):
    """(ours, theirs), each a (generator, discriminator), with the same weights."""
    ours = [network.to(dtype) for network in recipes.build(recipes.RECIPES[name], seed)]
    theirs = [network.to(getattr(torch, dtype)) for network in torch_twins.TWINS[name]()]
    for a, b in zip(ours, theirs):
        b.load_state_dict(torch_twins.to_torch(a.state_dict()))
    return ours, theirs


def inputs(name, dtype="float64", seed=0):
    """(latents, images) of a small batch."""
    draw = np.random.default_rng(seed)
    latents = draw.standard_normal((BATCH, *recipes.RECIPES[name].latent_shape)).astype(dtype)
    return latents, draw.uniform(-1, 1, (BATCH, 1, 28, 28)).astype(dtype)


def assert_close(found, expected, tolerance, what=""):
    found, expected = np.asarray(found), expected.detach().numpy()
    assert found.shape == expected.shape and found.dtype == expected.dtype, what
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * max(abs(expected).max(), 1e-30), err_msg=what)


def assert_same_state(ours, theirs, tolerance):
    """Parameters, running statistics and counts."""
    theirs = theirs.state_dict()
    assert list(ours.state_dict()) == list(theirs)
    for name, array in ours.state_dict().items():
        assert_close(array, theirs[name], tolerance, name)


# --- weights


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", NAMES)
def test_networks_with_our_weights_give_the_same_outputs_in_pytorch(name, mode):
    ours, theirs = networks(name)
    for a, b, x in zip(ours, theirs, inputs(name)):
        without_dropout(a).train(), without_dropout(b).train()
        a(Tensor(x)), b(torch.tensor(x))  # moves the running statistics away from 0 and 1
        a.train(mode == "train"), b.train(mode == "train")
        assert_close(a(Tensor(x)).data, b(torch.tensor(x)), 1e-11)
        assert_same_state(a, b, 1e-11)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float64", 1e-11)])
@pytest.mark.parametrize("name", NAMES)
def test_networks_with_pytorchs_weights_give_the_same_outputs_here(name, dtype, tolerance):
    _, theirs = networks(name, dtype)
    latents, images = inputs(name, dtype)
    torch.manual_seed(0)
    for b, x in zip(theirs, (latents, images)):
        for parameter in b.parameters():
            torch.nn.init.normal_(parameter, 0.1, 0.1)
        without_dropout(b).train()(torch.tensor(x))
    recipe = recipes.RECIPES[name]
    for a, b, x in zip((recipe.generator(), recipe.discriminator()), theirs, (latents, images)):
        without_dropout(a).to(dtype).load_state_dict(b.state_dict())
        assert_same_state(a, b, 0)
        for training in (False, True):
            a.train(training), b.train(training)
            assert_close(a(Tensor(x)).data, b(torch.tensor(x)), tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_networks_on_the_reference_kernels_are_the_same_networks(name):
    ours, theirs = networks(name)
    for a, b, x in zip(ours, theirs, inputs(name)):
        without_dropout(a), without_dropout(b)
        with kernels.use("reference"):
            out = a(Tensor(x))
            found = grad((out * out).sum(), list(a.parameters()))
        expected = b(torch.tensor(x))
        assert_close(out.data, expected, 1e-11)
        for g, h in zip(found, torch.autograd.grad((expected * expected).sum(), list(b.parameters()))):
            assert_close(g.data, h, 1e-9)


# --- training steps


class GivenDropout(torch.nn.Module):
    """Dropout with the masks that our generator of a seed draws."""

    def __init__(self, p, generator):
        super().__init__()
        self.p, self.generator = p, generator

    def forward(self, x):
        kept = torch.tensor(self.generator.uniform(tuple(x.shape), np.float64) >= self.p)
        return x * kept / (1 - self.p)


def torch_step(name, networks, optimizers, loss, real, latents):
    """A training step of the paper as one would write it in PyTorch; returns (loss of D, loss of G)."""
    (g, d), (step_g, step_d) = networks, optimizers
    bce = F.binary_cross_entropy_with_logits if name == "jeganathan2025" else F.binary_cross_entropy

    def against(label, out):
        return bce(out, torch.full_like(out, label))

    def loss_of_g(out):
        return -against(0.0, out) if loss == "minimax" else against(1.0, out)

    if name == "jeganathan2025":
        for z in latents[:-1]:
            with torch.no_grad():
                fake = g(z)
            step_d(torch.autograd.grad(against(1.0, d(real)) + against(0.0, d(fake)), list(d.parameters())))
        fake = g(latents[-1])
        on_real, on_fake = d(real), d(fake)
        loss_g, loss_d = loss_of_g(on_fake), against(1.0, on_real) + against(0.0, on_fake)
        grads_g = torch.autograd.grad(loss_g, list(g.parameters()), retain_graph=True)
        grads_d = torch.autograd.grad(loss_d, list(d.parameters()))
        step_g(grads_g), step_d(grads_d)
    else:
        for z in latents:
            fake = g(z)
            loss_d = against(1.0, d(real)) + against(0.0, d(fake.detach()))
            step_d(torch.autograd.grad(loss_d, list(d.parameters())))
        loss_g = loss_of_g(d(fake))
        step_g(torch.autograd.grad(loss_g, list(g.parameters())))
    return loss_d, loss_g


def torch_optimizer(name, network, lr):
    """The paper's Adam in PyTorch, as a function of gradients, and its first moments."""
    recipe = recipes.RECIPES[name]
    if name == "jeganathan2025":
        keras = torch_twins.KerasAdam(network.parameters(), lr, recipe.adam["betas"], recipe.adam["eps"])
        return keras.step, lambda: [m for m, _ in keras.moments]
    adam = torch.optim.Adam(network.parameters(), lr, recipe.adam["betas"], recipe.adam["eps"])

    def step(grads):
        for parameter, g in zip(network.parameters(), grads):
            parameter.grad = g
        adam.step()

    return step, lambda: [adam.state[parameter]["exp_avg"] for parameter in network.parameters()]


def players_of(name, ours, loss="nonsaturating"):
    recipe = recipes.RECIPES[name]
    g, d = ours
    optimizer_g = optim.Adam(g.parameters(), recipe.lr_g, **recipe.adam)
    optimizer_d = optim.Adam(d.parameters(), recipe.lr_d, **recipe.adam)
    return gan.Players(g, d, optimizer_g, optimizer_d, recipe.criterion, loss)


def play(name):
    return gan.simultaneous_step if recipes.RECIPES[name].simultaneous else gan.alternating_step


def assert_same_training(name, ours, theirs, loss, steps, tolerance, dtype="float64", latents_a_step=1):
    recipe, players = recipes.RECIPES[name], players_of(name, ours, loss)
    optimizers = [torch_optimizer(name, network, lr)[0] for network, lr in zip(theirs, (recipe.lr_g, recipe.lr_d))]
    before = {key: array.copy() for network in ours for key, array in network.state_dict().items()}
    for step in range(steps):
        _, real = inputs(name, dtype, 100 + step)
        latents = [inputs(name, dtype, 10 * step + i)[0] for i in range(latents_a_step)]
        outcome = play(name)(players, Tensor(real), [Tensor(z) for z in latents])
        loss_d, loss_g = torch_step(
            name, theirs, optimizers, loss, torch.tensor(real), [torch.tensor(z) for z in latents]
        )
        assert_close(outcome.loss_d.data, loss_d, tolerance, f"loss of D, step {step}")
        assert_close(outcome.loss_g.data, loss_g, tolerance, f"loss of G, step {step}")
        for a, b in zip(ours, theirs):
            assert_same_state(a, b, tolerance)
    after = {key: array for network in ours for key, array in network.state_dict().items()}
    assert all((after[key] != before[key]).any() for key in after), "everything was trained"


@pytest.mark.parametrize("loss", ["nonsaturating", "minimax"])
@pytest.mark.parametrize("name", NAMES)
def test_three_training_steps_equal_pytorchs(name, loss):
    ours, theirs = networks(name)
    for network in (*ours, *theirs):
        without_dropout(network)
    assert_same_training(name, ours, theirs, loss, steps=3, tolerance=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_with_extra_updates_of_the_discriminator_equals_pytorchs(name):
    ours, theirs = networks(name, seed=1)
    for network in (*ours, *theirs):
        without_dropout(network)
    assert_same_training(name, ours, theirs, "nonsaturating", steps=1, tolerance=1e-9, latents_a_step=3)


def test_three_training_steps_equal_pytorchs_under_the_same_dropout_masks():
    ours, theirs = networks("jeganathan2025", seed=2)
    masks = random.Generator(2, random.DROPOUT)
    for position, module in enumerate(theirs[1]):
        if isinstance(module, torch.nn.Dropout):
            theirs[1][position] = GivenDropout(module.p, masks)
    assert_same_training("jeganathan2025", ours, theirs, "nonsaturating", steps=3, tolerance=1e-9)
    assert masks.draw == 3 * 2 * 2, "two masks for real images and two for generated ones, each step"


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_in_float32_equals_pytorchs(name):
    ours, theirs = networks(name, "float32")
    for network in (*ours, *theirs):
        without_dropout(network)
    latents, real = inputs(name, "float32")
    recipe, players = recipes.RECIPES[name], players_of(name, ours)
    (step_g, moments_g), (step_d, moments_d) = (
        torch_optimizer(name, network, lr) for network, lr in zip(theirs, (recipe.lr_g, recipe.lr_d))
    )
    outcome = play(name)(players, Tensor(real), [Tensor(latents)])
    losses = torch_step(name, theirs, (step_g, step_d), "nonsaturating", torch.tensor(real), [torch.tensor(latents)])
    assert_close(outcome.loss_d.data, losses[0], 1e-4)
    assert_close(outcome.loss_g.data, losses[1], 1e-4)
    # Adam's first step is lr times the gradient's sign, which rounding decides where the gradient is almost 0.
    for optimizer, moments, network in (
        (players.optimizer_g, moments_g(), theirs[0]), (players.optimizer_d, moments_d(), theirs[1]),
    ):  # fmt: skip
        for i, (a, b, moment) in enumerate(zip(optimizer.params, network.parameters(), moments, strict=True)):
            assert_close(optimizer.state[i]["exp_avg"], moment, 1e-4)
            clear = (abs(moment) > 1e-3 * abs(moment).max()).numpy()
            assert clear.mean() > 0.5
            assert abs(a.data - b.detach().numpy())[clear].max() < recipe.lr_g / 100, "a hundredth of a step"


# --- the work that a step does not do


def count_weight_gradients(run):
    """How often `run` calls the kernel of a convolution's (or Linear's) weight gradient."""
    calls = []

    def counting(x, y, stride, padding, dilation, out):
        calls.append(out.shape)
        return backend.kernel_sets.cpu.conv2d_weight(x, y, stride, padding, dilation, out)

    with kernels.use(conv2d_weight=counting):
        run()
    return len(calls)


def layers_with_weights(network):
    return sum(isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) for module in network.modules())


@pytest.mark.parametrize("name", NAMES)
def test_the_generators_gradient_never_forms_the_discriminators_weight_gradients(name):
    recipe = recipes.RECIPES[name]
    g, d = recipes.build(recipe, seed=0)
    loss = gan.generator_loss(recipe.criterion, d(g(Tensor(inputs(name, "float32")[0]))))
    assert count_weight_gradients(lambda: grad(loss, list(g.parameters()))) == layers_with_weights(g)
    assert count_weight_gradients(loss.backward) == layers_with_weights(g) + layers_with_weights(d), "asked for all"


@pytest.mark.parametrize("name", NAMES)
def test_a_step_forms_each_weight_gradient_once_for_each_pass_that_needs_it(name):
    ours = recipes.build(recipes.RECIPES[name], seed=0)
    latents, real = inputs(name, "float32")
    step = lambda: play(name)(players_of(name, ours), Tensor(real), [Tensor(latents)])  # noqa: E731
    passes = 2 if recipes.RECIPES[name].simultaneous else 1  # of D: the other way sees real and fake in one
    assert count_weight_gradients(step) == layers_with_weights(ours[0]) + passes * layers_with_weights(ours[1])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_recorded_without_gradients(name):
    ours = recipes.build(recipes.RECIPES[name], seed=0)
    with no_grad():
        for network, x in zip(ours, inputs(name, "float32")):
            out = network(Tensor(x))
            assert out.is_leaf and not out.requires_grad
