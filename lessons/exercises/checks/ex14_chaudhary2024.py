"""Checks of exercise 14."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen

from minigan import nn, optim
from minigan.tensor import Tensor

MAY_IMPORT = ("minigan.tensor", "minigan.nn", "minigan.functions")

# The oracle: G(z) = tanh(z w + b), D(x) = sigmoid(tanh(x w + b) v + c), differentiated by hand. Parameters are lists of
# arrays in the order and layout of the Modules below.


def made(g, z):
    """G's images (M, 2)."""
    weight, bias = g
    return np.tanh(z @ weight.T + bias)


def g_gradients(g, z, dx):
    """Those of G's parameters, from that of its images."""
    ds = dx * (1 - made(g, z) ** 2)
    return [ds.T @ z, ds.sum(0)]


def judged(d, x, label):
    """The mean BCE of D's answers against the label; its gradients in D's parameters, and that in x."""
    weight, bias, last_weight, last_bias = d
    h = np.tanh(x @ weight.T + bias)
    s = h @ last_weight.T + last_bias  # (N, 1) logits
    ds = (1 / (1 + np.exp(-s)) - label) / len(x)
    dh = ds @ last_weight * (1 - h**2)
    return np.mean(np.logaddexp(0, s) - label * s), [dh.T @ x, dh.sum(0), ds.T @ h, ds.sum(0)], dh @ weight


def added(a, b, times=1.0):
    """a + times b, array by array."""
    return [x + times * y for x, y in zip(a, b, strict=True)]


def d_loss(d, real, fake, labels=(1, 0)):
    """D's loss, its gradients in D, and that in the generated images."""
    loss_real, grads_real, _ = judged(d, real, labels[0])
    loss_fake, grads_fake, dx = judged(d, fake, labels[1])
    return loss_real + loss_fake, added(grads_real, grads_fake), dx


# The networks.


class Watched(nn.Sequential):
    """A Sequential that counts how often it is run."""

    runs = 0

    def forward(self, x):
        self.runs += 1
        return super().forward(x)


def networks(rng):
    """(G, D), tiny, in float64."""
    g = Watched(nn.Linear(3, 2), nn.Tanh())
    d = Watched(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1), nn.Sigmoid())
    for parameter in (*g.parameters(), *d.parameters()):
        parameter.data = rng.normal(size=parameter.shape)
    return g, d


def values(network):
    """Copies of its parameters."""
    return [p.data.copy() for p in network.parameters()]


def shown(**networks):
    """The parameters by name, for the message."""
    return {f"{n}'s {k}": p.data.copy() for n, network in networks.items() for k, p in network.named_parameters()}


def stays(network, before, name, during):
    """Raises Mistake where a parameter is not what it was."""
    for (key, parameter), value in zip(network.named_parameters(), before, strict=True):
        expect(
            np.array_equal(parameter.data, value),
            f"{during} has moved {name}'s {key}: only the other player moves in it",
        )


def moved(network, expected, name, during, given, slips):
    """Raises Mistake unless its parameters are as expected. slips: {sentence: list of all parameters}."""
    for i, (key, parameter) in enumerate(network.named_parameters()):
        agree(
            parameter.data, expected[i], f"{name}'s {key} after {during}", given,
            {sentence: wrong[i] for sentence, wrong in slips.items()},
        )  # fmt: skip


def plain(loss, name):
    """Raises Mistake where a loss is a Tensor."""
    expect(
        type(loss).__name__ != "Tensor",
        f"{name} is a Tensor, which keeps the whole graph of its step alive for as long as the loss is kept: return a number, loss.item()",
    )


def mode_kept(during, **networks):
    """Raises Mistake where a network is not in training mode any more."""
    for name, network in networks.items():
        expect(
            all(module.training for module in network.modules()),
            f"{during} leaves {name} in eval mode: its batch normalisation or dropout would go wrong from then on",
        )


def stale(network, rng):
    """Leaves gradients in `.grad`, as an earlier step might; returns them."""
    for parameter in network.parameters():
        parameter.grad = Tensor(rng.normal(size=parameter.shape))
    return [p.grad.data.copy() for p in network.parameters()]


@check(points=3)
def discriminator(student, rng):
    """discriminator_step moves D, and D alone, along the gradient of its loss"""
    g, d = networks(rng)
    n, m = rng.permutation([2, 3, 4])[:2]
    real, z, lr = frozen(rng.normal(size=(n, 2))), frozen(rng.normal(size=(m, 3))), rng.uniform(0.2, 0.6)
    old_g, old_d, given = values(g), values(d), shown(D=d)
    x = made(old_g, z)
    given |= {"real": real, "fake": x, "optimizer": f"SGD(D's parameters, lr={lr!r})"}
    left = stale(d, rng)
    loss = student.discriminator_step(d, optim.SGD(d.parameters(), lr=lr), Tensor(real), g(Tensor(z)))
    plain(loss, "D's loss")
    mode_kept("discriminator_step", D=d, G=g)
    value, grads, _ = d_loss(old_d, real, x)
    on_real, on_fake = judged(old_d, real, 1), judged(old_d, x, 0)
    exchanged = d_loss(old_d, real, x, labels=(0, 1))
    after = added(old_d, grads, -lr)
    agree(
        loss, value, "D's loss", given,
        slips={
            "the labels are exchanged: real images should get 1, generated ones 0": exchanged[0],
            "generated images got the label 1: that is G's wish, not D's": d_loss(old_d, real, x, labels=(1, 1))[0],
            "the generated images are left out": on_real[0],
            "the real images are left out": on_fake[0],
            "it is half the loss: the two means are added, not averaged": value / 2,
            "it is the sum over the images, not their mean": n * on_real[0] + m * on_fake[0],
            "it is the mean over all images together: each kind has a mean of its own": (n * on_real[0] + m * on_fake[0]) / (n + m),
            "its sign is wrong": -value,
            "it is the loss of the D that has moved": d_loss(after, real, x)[0],
        },
    )  # fmt: skip
    moved(
        d, after, "D", "its step", given,
        slips={
            "it has not moved: the optimizer got no gradients, or they were emptied before its step": old_d,
            "it went uphill": added(old_d, grads, lr),
            "gradients left in .grad by an earlier step were added: zero_grad first": added(after, left, -lr),
            "it moved along gradients left in .grad by an earlier step: its own have not got there": added(old_d, left, -lr),
            "it took the step twice": added(after, d_loss(after, real, x)[1], -lr),
            "the gradient is that of the real images alone": added(old_d, on_real[1], -lr),
            "the gradient is that of the generated images alone": added(old_d, on_fake[1], -lr),
            "the labels are exchanged: real images should get 1, generated ones 0": added(old_d, exchanged[1], -lr),
        },
    )  # fmt: skip
    stays(g, old_g, "G", "D's step")
    for key, parameter in g.named_parameters():
        expect(
            parameter.grad is None,
            f"D's step has left a gradient in G's {key}, where it would be added to G's own: this loss is not G's business. "
            "Cut the graph at the images, fake.detach()",
        )


@check(points=3)
def generator(student, rng):
    """generator_step moves G, and G alone, so that D takes its images for real"""
    g, d = networks(rng)
    z, lr = frozen(rng.normal(size=(rng.integers(2, 5), 3))), rng.uniform(0.2, 0.6)
    old_g, old_d, given = values(g), values(d), shown(G=g, D=d)
    given |= {"z": z, "fake": "G(z)", "optimizer": f"SGD(G's parameters, lr={lr!r})"}
    left, fake = stale(g, rng), g(Tensor(z))
    try:
        loss = student.generator_step(g, d, optim.SGD(g.parameters(), lr=lr), fake)
    except RuntimeError as error:
        if "does not depend on" not in str(error):
            raise
        raise Mistake(
            f"G's loss does not depend on G's parameters: is the graph cut at the images? In G's step, fake must not be detached ({error})"
        ) from None
    plain(loss, "G's loss")
    mode_kept("generator_step", D=d, G=g)
    x = made(old_g, z)
    (value, _, dx), (minimax, _, minimax_dx) = judged(old_d, x, 1), judged(old_d, x, 0)
    grads, other = g_gradients(old_g, z, dx), g_gradients(old_g, z, minimax_dx)
    after = added(old_g, grads, -lr)
    agree(
        loss, value, "G's loss", given,
        slips={
            "the label is 0, which is what D wants; G wants D to say 1": minimax,
            "it is the minimax loss, log(1 - D(fake))": -minimax,
            "it is the sum over the images, not their mean": value * len(z),
            "its sign is wrong": -value,
            "it is the loss of the G that has moved": judged(old_d, made(after, z), 1)[0],
        },
    )  # fmt: skip
    stays(d, old_d, "D", "G's step")
    moved(
        g, after, "G", "its step", given,
        slips={
            "it has not moved: the optimizer got no gradients, or fake was detached": old_g,
            "it went uphill": added(old_g, grads, lr),
            "gradients left in .grad by an earlier step were added: zero_grad first": added(after, left, -lr),
            "it moved along gradients left in .grad by an earlier step: its own have not got there, as if fake were detached": added(old_g, left, -lr),
            "the label is 0, which is what D wants; G wants D to say 1": added(old_g, other, -lr),
            "it is the minimax loss, log(1 - D(fake))": added(old_g, other, lr),
            "it took the step twice": added(after, g_gradients(after, z, judged(old_d, made(after, z), 1)[2]), -lr),
        },
    )  # fmt: skip
    expect(g.runs == 1, f"G was run {g.runs - 1} times: its images are there already, in fake")


def played(old_g, old_d, lr_g, lr_d, real, latents, slip=""):
    """(loss of D, loss of G, G's parameters, D's) after a training step, or after a slip of it."""
    g, d, loss_d, dx = old_g, old_d, None, None
    if slip == "G first":
        g = added(g, g_gradients(g, latents[-1], judged(d, made(g, latents[-1]), 1)[2]), -lr_g)
    spent = {"last only": latents[-1:], "first only": latents[:1]}.get(slip, latents)
    for z in spent:
        loss_d, grads, dx = d_loss(d, real, made(g, z))
        before, d = d, added(d, grads, -lr_d)
        if slip == "G each time":
            g = added(g, g_gradients(g, z, judged(d, made(g, z), 1)[2]), -lr_g)
    z = latents[0] if slip == "first for G" else spent[-1]
    loss_g, _, dx_g = judged(before if slip == "simultaneous" else d, made(g, z), 1)
    grads = g_gradients(g, z, dx_g)
    if slip == "no detach":
        grads = added(grads, g_gradients(g, z, dx))
    if slip not in ("G first", "G each time"):
        g = added(g, grads, -lr_g)
    return loss_d, loss_g, g, d


ORDER = {
    "simultaneous": "G played against the D of before its step: ask the D that has just moved",
    "G first": "G moved first: D's steps come before it",
    "G each time": "G moved after each step of D: it moves once, at the end",
    "last only": "only the last latents were used: D has a step for each",
    "first only": "only the first latents were used: D has a step for each",
    "first for G": "G's step was on the images of the first latents, not of the last",
    "no detach": "G got the gradient of D's loss, too: cut the graph at the images, or empty .grad",
}


def trained(student, *arguments):
    """What training_step returns; two of the engine's errors are said in the words of this exercise."""
    try:
        return student.training_step(*arguments)
    except RuntimeError as error:
        if "does not depend on" not in str(error):
            raise
        raise Mistake(
            "in training_step, a loss does not depend on the parameters that are to move: is the graph cut at the images that G's step "
            f"gets? It needs fake as G has made it, not fake.detach() ({error!s:.80})"
        ) from None
    except ValueError as error:
        if "zip()" not in str(error):
            raise
        raise Mistake(
            "in training_step, an optimizer got the gradients of another number of parameters than it has: are optimizer_g and "
            f"optimizer_d exchanged? ({error})"
        ) from None


@check(points=3)
def step(student, rng):
    """training_step lets D move once for each latents, then G, against the D that has moved"""
    for count in (1, 2, 3):
        g, d = networks(rng)
        n, m = rng.permutation([2, 3, 4])[:2]
        real, lr_g, lr_d = frozen(rng.normal(size=(n, 2))), rng.uniform(0.2, 0.6), rng.uniform(0.7, 1.2)
        latents = [frozen(rng.normal(size=(m, 3))) for _ in range(count)]
        old_g, old_d, given = values(g), values(d), shown(G=g, D=d)
        given |= {"real": real, "latents": latents, "optimizers": f"SGD, lr={lr_g!r} for G and {lr_d!r} for D"}
        optimizers = optim.SGD(g.parameters(), lr=lr_g), optim.SGD(d.parameters(), lr=lr_d)
        tensors = [Tensor(z) for z in latents]
        losses = trained(student, g, d, *optimizers, Tensor(real), tensors)
        expect(
            len(tensors) == count,
            f"training_step has changed the list of latents: of {count} Tensors it has left {len(tensors)}",
        )
        mode_kept("training_step", D=d, G=g)
        played_so = {s: played(old_g, old_d, lr_g, lr_d, real, latents, slip) for slip, s in ORDER.items()}
        right = played(old_g, old_d, lr_g, lr_d, real, latents)
        expect(
            isinstance(losses, (tuple, list)) and len(losses) == 2,
            f"training_step should return (loss of D, loss of G); it returned {losses!r:.80}",
        )
        first = d_loss(old_d, real, made(old_g, latents[0]))[0]
        for i, name in enumerate(("loss of D", "loss of G")):
            others = {"the two losses are exchanged": right[1 - i]}
            if i == 0 and count > 1:
                others["it is that of D's first step, not of its last"] = first
            slips = others | {s: wrong[i] for s, wrong in played_so.items()}
            plain(losses[i], f"the {name}")
            agree(losses[i], right[i], f"the {name} with {count} latents", given, slips)
        for network, name, i in ((d, "D", 3), (g, "G", 2)):
            slips = {s: wrong[i] for s, wrong in played_so.items()}
            moved(network, right[i], name, f"a training step with {count} latents", given, slips)
        expect(
            g.runs == count,
            f"G was run {g.runs} times for {count} latents: the images that D has seen serve G's step, too",
        )


@check(points=1)
def again(student, rng):
    """training_step after training_step, with Adam"""
    g, d = networks(rng)
    copies = networks(rng)
    for network, copy in zip((g, d), copies):
        for parameter, other in zip(network.parameters(), copy.parameters()):
            other.data = parameter.data.copy()
    given = shown(G=g, D=d) | {"optimizers": "Adam(lr=0.1, betas=(0.5, 0.999)) for both"}
    adams, theirs = (
        [optim.Adam(n.parameters(), lr=0.1, betas=(0.5, 0.999)) for n in pair] for pair in ((g, d), copies)
    )
    for number in range(1, 4):
        real, z = frozen(rng.normal(size=(3, 2))), frozen(rng.normal(size=(4, 3)))
        trained(student, g, d, *adams, Tensor(real), [Tensor(z)])
        now_g, now_d = values(copies[0]), values(copies[1])
        theirs[1].step([Tensor(a) for a in d_loss(now_d, real, made(now_g, z))[1]])
        grads = g_gradients(now_g, z, judged(values(copies[1]), made(now_g, z), 1)[2])
        theirs[0].step([Tensor(a) for a in grads])
        given |= {f"real {number}": real, f"latents {number}": [z]}
        for network, copy, name in ((d, copies[1], "D"), (g, copies[0], "G")):
            moved(network, values(copy), name, f"training step {number}", given, {})
