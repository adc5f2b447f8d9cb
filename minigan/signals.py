"""Live signals of a run: what a look at both networks between two steps tells, without a trace in the training.

A probe draws latents and images of its own, by the run's seed and step; it moves no weight, no running statistic and no
count of random draws. What its numbers mean for the run is `doctor.py`'s business.
"""

import contextlib
import math

import numpy as np

from minigan import backend, data, gan, random
from minigan.errors import UserError
from minigan.functions import batches_in_one
from minigan.judge import load as load_judge
from minigan.nn import Dropout
from minigan.tensor import Tensor, concatenate, no_grad

FRESH = 64  # samples whose classes are counted
GAME_IMAGES = 16  # real images that D is shown, and as many generated ones, in batches of the run's size; at least one
REFERENCE_IMAGES = 256  # real ones, for their mean distance
NEAR = 0.01  # an output this near to 0 or 1 is saturated


class Probe:
    """Takes the signals of a run. judge: a classifier of ten digits; by default minigan's, if the images are MNIST's."""

    def __init__(self, run, judge=None):
        self.run, self.judge = run, judge or _own_judge(run)
        seed = run.settings.seed
        self.latents = random.Generator(seed, random.PROBE_LATENTS)
        self.images = random.Generator(seed, random.PROBE_IMAGES)
        self.dropout = random.Generator(seed, random.PROBE_DROPOUT)
        self.real_distance = mean_distance(self._real_images(REFERENCE_IMAGES, draw=0)) or 1.0  # 0: all are the same

    def __call__(self):
        """{name: value} of the signals after the step just taken, names as in `rows.SIGNALS`.

        d_accuracy: share of real and generated images on the right side of 1/2. d_saturation: share of D's
        probabilities within 0.01 of 0 or 1. gradient_d, gradient_g: L2 norms of the gradients of both losses over all
        parameters. diversity: mean distance between fresh samples over that between real images. classes_fixed,
        classes_fresh: how many of the samples the judge takes for each digit; entropy_fixed, entropy_fresh: of those
        counts, in nats, at most ln 10; None where the images are no digits. update_d, update_g: the optimizer's last
        step over the weights, L2 norms.
        """
        run = self.run
        batch = run.settings.batch_size
        count = max(1, GAME_IMAGES // batch) * batch
        self.latents.draw = self.dropout.draw = run.step
        latents = self.latents.normal((max(FRESH, count), *run.recipe.latent_shape))
        real = data.to_signed(self._real_images(count, draw=run.step))[:, None]  # (N, 1, 28, 28)
        players = run.players
        with _left_as_it_was(players, self.dropout), np.errstate(over="ignore", invalid="ignore"):
            shown, drawn = (Tensor(backend.to_device(a, run.device)) for a in (real, latents[:count]))
            signals = self._game(run.as_seen(shown), drawn)
            players.generator.train(run.recipe.sample_in_train_mode)
            fixed, fresh = (
                gan.generate(players.generator, z, run.device) for z in (run.fixed_latents, latents[:FRESH])
            )
            signals["diversity"] = mean_distance(fresh) / self.real_distance
            if self.judge:
                classes = self._classes(self.judge, np.concatenate([fixed, fresh]))
                for name, those in (("fixed", classes[: len(fixed)]), ("fresh", classes[len(fixed) :])):
                    counts = tuple(np.bincount(those, minlength=10).tolist())
                    signals |= {f"classes_{name}": counts, f"entropy_{name}": entropy(counts)}
        for name, optimizer in (("update_d", players.optimizer_d), ("update_g", players.optimizer_g)):
            signals[name] = relative_step(optimizer)
        return signals

    def _game(self, real, latents):
        """D's accuracy and saturation, and both gradients' norms, on batches like those of training."""
        p, batches = self.run.players, len(real) // self.run.settings.batch_size
        with batches_in_one(batches):
            fake = p.generator(latents)
        with batches_in_one(2 * batches):
            both = p.discriminator(concatenate([real, fake]))
        d_real, d_fake = both[: len(real)], both[len(real) :]
        losses = (
            (gan.discriminator_loss(p.criterion, d_real, d_fake), p.discriminator, p.scale_d),
            (gan.generator_loss(p.criterion, d_fake, p.loss), p.generator, p.scale_g),
        )
        norms = [_norm(p.gradients(loss, list(network.parameters()), scale), scale) for loss, network, scale in losses]
        with no_grad():
            scores = (both.sigmoid() if self.run.recipe.returns_logits else both).numpy().reshape(2, -1)
        right = np.concatenate([scores[0] > 0.5, scores[1] < 0.5])
        return {
            "d_accuracy": float(right.mean()),
            "d_saturation": float((abs(scores - 0.5) >= 0.5 - NEAR).mean()),
            "gradient_d": norms[0],
            "gradient_g": norms[1],
        }

    def _classes(self, judge, images):
        """What digit the judge takes each image for: (N,)."""
        with no_grad():
            logits = judge(Tensor(backend.to_device(data.to_signed(images)[:, None], self.run.device)))
        return logits.numpy().argmax(1)

    def _real_images(self, count, draw):
        """So many of the images trained on, uint8 (count, 28, 28)."""
        self.images.draw = draw
        images = self.run.images
        return images[(self.images.uniform((count,), np.float64) * len(images)).astype(np.int64)]


def relative_step(optimizer):
    """The L2 norm of an Adam's last step over that of the parameters: by what share of themselves they moved.

    From the moments, so that the parameters need not have been kept; 0 before the first step.
    """
    lr, (beta1, beta2), eps = (optimizer.settings[name] for name in ("lr", "betas", "eps"))
    moved = size = 0.0
    for position, state in optimizer.state.items():
        parameter, first, second, step = map(
            backend.to_numpy, (optimizer.params[position].data, state["exp_avg"], state["exp_avg_sq"], state["step"])
        )
        size += _square(parameter)
        if not step:  # left out so far
            continue
        root_correction2 = math.sqrt(1 - beta2 ** step.item())
        small = eps if optimizer.settings["epsilon_hat"] else eps * root_correction2
        change = first / (np.sqrt(second) + parameter.dtype.type(small))
        rate = lr * root_correction2 / (1 - beta1 ** step.item())
        moved += rate * rate * _square(change)
    return math.sqrt(moved / size) if moved else 0.0


def mean_distance(images):
    """The mean Euclidean distance between two of the images, uint8 (N, 28, 28), over all pairs, in pixel values."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    products = flat @ flat.T  # of whole numbers, exact: the same bits whatever multiplies
    lengths = products.diagonal()
    squares = (lengths[:, None] + lengths - 2 * products)[np.triu_indices(len(images), 1)]
    return float(np.sqrt(squares).mean())


def entropy(counts):
    """Of the shares of the counts, in nats."""
    total = sum(counts)
    return math.fsum(n / total * math.log(total / n) for n in counts if n)


def _square(array):
    """The sum of the squares, a float: in 64 bits, as those of large weights overflow in 32."""
    return float(np.square(array, dtype=np.float64).sum())


def _norm(gradients, scale):
    """The L2 norm of a list of gradients, of a loss that was multiplied by the scale."""
    squares = math.fsum(_square(g.numpy()) for g in gradients)
    return math.sqrt(squares) / (float(backend.to_numpy(scale.scale)[0]) if scale else 1)


@contextlib.contextmanager
def _left_as_it_was(players, dropout):
    """Inside the block, running statistics may move and dropout draws from another generator; then all is put back."""
    modules = [module for network in (players.generator, players.discriminator) for module in network.modules()]
    buffers = [(array, array.copy()) for module in modules for array in module._buffers.values()]
    droppers = [(module, module.generator) for module in modules if isinstance(module, Dropout)]
    try:
        for module, _ in droppers:
            module.generator = dropout
        yield
    finally:
        for module, generator in droppers:
            module.generator = generator
        for array, before in buffers:
            array[...] = before
        players.generator.train()


def _own_judge(run):
    """minigan's classifier of digits; None where the images are not MNIST's, or its weights are missing."""
    if run.settings.dataset != "mnist":
        return None
    try:
        return load_judge().to(run.device)
    except UserError:  # training needs no judge
        return None
