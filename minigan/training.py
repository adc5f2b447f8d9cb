"""A training run: its state, and a step from one state to the next.

Everything that decides the next step is in the state, so a run resumed from its checkpoint continues
with the same bits as one that never stopped. The loop over the steps is `loop.py`.
"""

import functools
import hashlib
import math
import time
from dataclasses import asdict

import numpy as np

from minigan import backend, data, gan, nonfinite, random, recipes
from minigan.capture import Captured
from minigan.ema import MovingAverage
from minigan.errors import UserError
from minigan.optim import Adam, LossScale
from minigan.tensor import Tensor, no_grad

LOG_ROWS = 512  # of losses, kept on the device until they are read
GPU_PROBES = 10  # times the recipe's interval between two on a GPU, where a step is replayed and a probe is not
MOST_AT_ONCE = 128  # steps that a GPU is given at a time: some tens of milliseconds of work


class Run:
    """The state of a training run, from its first step or from a checkpoint."""

    def __init__(self, settings, device="cpu", graph=True):
        self.settings, self.device, self.graph = settings, device, graph
        self.recipe = recipe = recipes.RECIPES[settings.recipe]
        self.step, self.seconds = 0, 0.0
        self.images = data.load_images(settings.dataset, recipe.splits)
        self.dataset_hash = hashlib.sha256(self.images).hexdigest()
        self.batches = data.Batches(self.images, settings.batch_size, settings.seed, device, settings.shuffle)
        self.noise = random.Generator(settings.seed, random.NOISE)
        self.dropout = random.Generator(settings.seed, random.DROPOUT)
        generator, discriminator = recipes.build(recipe, settings.seed, self.dropout)
        scales = [LossScale(device) for _ in range(2)] if backend.precision(device) == "fp16" else (None, None)
        self.players = gan.Players(
            generator.to(device),
            discriminator.to(device),
            Adam(generator.parameters(), lr=settings.lr_g, **recipe.adam),
            Adam(discriminator.parameters(), lr=settings.lr_d, **recipe.adam),
            recipe.criterion,
            settings.loss,
            *scales,
        )
        self.average = None
        if settings.ema:
            self.average = MovingAverage(self.players.generator, recipe.generator().to(device), settings.ema)
        fixed = random.Generator(settings.seed, random.FIXED_LATENTS)
        self.fixed_latents = fixed.normal((recipe.samples, *recipe.latent_shape))
        self._captured_steps = {}  # (batch size, updates of D) -> the captured step
        self._log = backend.zeros_on(device, (LOG_ROWS, 4))
        self._log_row = backend.zeros_on(device, (1,), np.int64)
        self._rows_enqueued = 0  # rows that `take_steps` has asked for
        self._read_at = 0.0  # when the last rows were read; 0 while no steps are under way

    @property
    def last_step(self):
        """The number of steps after which the run is complete."""
        if self.settings.steps is not None:
            return self.settings.steps
        return self.settings.epochs * self.batches.per_epoch

    @property
    def epoch(self):
        """The epoch of the next step, from 1."""
        return self.step // self.batches.per_epoch + 1

    def advance(self):
        """Takes one step; returns its row of metrics.csv, as numbers."""
        (row,) = self.rows_of(self.enqueue(1))
        return row

    def enqueue(self, count):
        """Enqueues `count` steps, at most MOST_AT_ONCE; on a GPU, without waiting for them. Returns what `rows_of` takes."""
        if not self._read_at:
            self._read_at = time.perf_counter()
        steps = [(self.step + n + 1, (self.step + n) // self.batches.per_epoch + 1) for n in range(count)]
        first_row = self._rows_enqueued
        self.take_steps(count)
        return steps, first_row, backend.read_later(self._log)

    def rows_of(self, enqueued, last=True):
        """The rows of metrics.csv of steps that `enqueue` enqueued, as tuples of numbers; waits until they are done.

        last: whether no others are under way. The seconds of steps done together are shared out evenly.
        """
        steps, first_row, read = enqueued
        log = read()
        now = time.perf_counter()
        each = (now - self._read_at) / len(steps)
        self._read_at = 0.0 if last else now
        rows = []
        for n, (step, epoch) in enumerate(steps):
            self.seconds += each
            rows.append((step, epoch, *map(float, log[(first_row + n) % LOG_ROWS]), self.seconds))
        return rows

    def take_steps(self, count):
        """Takes `count` steps; on a GPU they are only enqueued."""
        for _ in range(count):
            self.batches.seek(self.step)
            only_early = self.settings.d_steps_epochs
            d_steps = self.settings.d_steps if only_early is None or self.epoch <= only_early else 1
            key = self.batches.size(self.step), d_steps
            if key not in self._captured_steps:
                step = functools.partial(self._take_step, *key)
                self._captured_steps[key] = Captured(step) if self.graph else step
            self._captured_steps[key]()
            self.batches.note_taken()
            self.step += 1
            self._rows_enqueued += 1

    def _take_step(self, batch_size, d_steps):
        """One step of the game, from the next batch to the log of losses, all of it on the device.

        Logs the loss of D, the loss of G, and the mean probabilities that D gave real and generated images.
        """
        real = self.as_seen(Tensor(self.batches.take(batch_size)))
        shape = (batch_size, *self.recipe.latent_shape)
        latents = [Tensor(self.noise.normal(shape, device=self.device)) for _ in range(d_steps)]
        step_of_game = gan.simultaneous_step if self.recipe.simultaneous else gan.alternating_step
        outcome = step_of_game(self.players, real, latents)
        if self.average:
            self.average.update()
        with no_grad():
            scores = (t.sigmoid() if self.recipe.returns_logits else t for t in (outcome.d_real, outcome.d_fake))
            values = [t.data for t in (outcome.loss_d, outcome.loss_g, *(t.mean() for t in scores))]
        backend.kernels(self._log).write_row(values, self._log, self._log_row)
        return ()  # no outputs: what Captured replays returns a tuple

    @property
    def counts(self):
        """What every step counts on: (steps, seconds, draws of noise, draws of dropout masks, rows enqueued)."""
        return self.step, self.seconds, self.noise.draw, self.dropout.draw, self._rows_enqueued

    @counts.setter
    def counts(self, counts):
        self.step, self.seconds, self.noise.draw, self.dropout.draw, self._rows_enqueued = counts
        self._log_row[...], self._read_at = self._rows_enqueued, 0.0
        self.batches.forget()  # if a step failed halfway

    def as_seen(self, real):
        """Real images (N, 1, 28, 28) with pixels from -1 to 1 as D is shown them: the same, unless told otherwise."""
        return real if self.settings.normalise else real * 0.5 + 0.5

    def samples(self):
        """Images of the fixed latents: uint8 (samples, 28, 28), drawn in the mode the recipe says.

        Train mode moves the running statistics, as in the paper's notebook. But a sample drawn only
        because the run ends here must leave no trace: continued later, it has the bits of a longer run.
        """
        generator = self.players.generator
        before = None if self.wants_sample() else {name: a.copy() for name, a in generator.state_dict().items()}
        images = gan.generate(generator.train(self.recipe.sample_in_train_mode), self.fixed_latents, self.device)
        if before is not None:
            generator.load_state_dict(before)
        generator.train()
        return images

    def wants_sample(self, step=None):
        """Whether samples are drawn after the step; by default the one just taken."""
        step = self.step if step is None else step
        every = self.settings.sample_every or self.recipe.sample_every_steps
        if every:
            return step % every == 0
        epoch, rest = divmod(step, self.batches.per_epoch)
        return rest == 0 and (epoch == 1 or epoch % (self.recipe.sample_every_epochs or 1) == 0)

    def wants_checkpoint(self, step=None):
        """Whether the state is saved after the step; by default the one just taken."""
        step = self.step if step is None else step
        by_epoch = step % (self.settings.checkpoint_every * self.batches.per_epoch) == 0
        return by_epoch or bool(self.settings.checkpoint_steps and step % self.settings.checkpoint_steps == 0)

    def wants_probe(self, step=None):
        """Whether the run's signals are taken after the step; by default the one just taken."""
        step = self.step if step is None else step
        every = self.settings.probe_every
        if every is None:
            every = self.recipe.probe_every * (GPU_PROBES if self.device == "gpu" else 1)
        return every > 0 and step % every == 0

    def pauses_after(self, step):
        """Whether something is to be drawn, saved or probed after the step."""
        wanted = self.wants_sample(step) or self.wants_checkpoint(step) or self.wants_probe(step)
        return wanted or step == self.last_step

    def steps_until_pause(self):
        """How many steps may be taken before something is to be drawn, saved or probed: on the CPU at most one."""
        most = MOST_AT_ONCE if self.device == "gpu" else 1
        return next((n for n in range(1, most) if self.pauses_after(self.step + n)), most)

    def state(self):
        """All that decides the steps to come, in plain containers and arrays."""
        players = self.players
        average = {"average": self.average.network.state_dict()} if self.average else {}
        return {
            "recipe": self.recipe.name,
            "settings": asdict(self.settings),
            "dataset": self.dataset_hash,
            "step": self.step,
            "seconds": self.seconds,
            "generator": players.generator.state_dict(),
            "discriminator": players.discriminator.state_dict(),
            **average,
            "optimizer_g": players.optimizer_g.state_dict(),
            "optimizer_d": players.optimizer_d.state_dict(),
            "draws": {"noise": self.noise.draw, "dropout": self.dropout.draw},
            "environment": self.environment(),
            "scales": [scale and scale.state_dict() for scale in (players.scale_g, players.scale_d)],
        }

    def environment(self):
        """What the bits of the steps to come depend on besides the state."""
        precision = backend.precision(self.device)
        device = {"device": self.device, "threads": backend.thread_count(), "precision": precision}
        return device if self.device == "cpu" else {**device, "gpu": backend.gpu_name()}

    def restore(self, state, path):
        """Takes over a checkpoint's state. Raises UserError where it is of another run or damaged."""
        if not isinstance(state.get("dataset"), str) or state["dataset"] != self.dataset_hash:
            raise UserError(f"{path} was trained on other images than those of --dataset {self.settings.dataset}")
        try:
            players = self.players
            players.generator.load_state_dict(state["generator"])
            players.discriminator.load_state_dict(state["discriminator"])
            if self.average:
                self.average.network.load_state_dict(state["average"])
            for name in ("optimizer_g", "optimizer_d"):
                optimizer = getattr(players, name)
                own = optimizer.settings  # the run's, not the file's
                optimizer.load_state_dict(state[name])
                optimizer.settings = own
            self.noise.draw, self.dropout.draw = int(state["draws"]["noise"]), int(state["draws"]["dropout"])
            if type(state["step"]) is not int or not math.isfinite(state["seconds"]):
                raise ValueError("an impossible count")
            self.step, self.seconds = state["step"], float(state["seconds"])
            if not all(0 <= count < 2**60 for count in (self.step, self.noise.draw, self.dropout.draw)):
                raise ValueError("an impossible count")
            for scale, saved in zip((players.scale_g, players.scale_d), state.get("scales", (None, None)), strict=True):
                if scale and saved:
                    scale.load_state_dict(saved)
            dict(state["environment"])  # which reproduction.py reads
            if seen := nonfinite.in_arrays(self):
                raise ValueError(seen)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(
                f"{path} is damaged: its state does not fit {self.recipe.name} ({str(error):.1000})"
            ) from None
