"""A training run: its settings, its state, and the loop.

Everything that decides the next step is in the state, so a run resumed from its checkpoint continues
with the same bits as one that never stopped. Where the run writes is `run_folder.py`.
"""

import contextlib
import functools
import hashlib
import math
import os
import sys
import time
from dataclasses import asdict

import numpy as np
from tqdm import tqdm

from minigan import backend, data, gan, nonfinite, nonfinite_cause, random, recipes, rows, signals
from minigan.capture import Captured
from minigan.doctor import Doctor
from minigan.ema import MovingAverage
from minigan.errors import UserError
from minigan.gan import generate
from minigan.optim import Adam, LossScale
from minigan.settings import FREE_SETTINGS, LOSSES, Settings, default_settings, impossible_settings, settings_of
from minigan.skipping import Skipping
from minigan.tensor import Tensor, no_grad
from minigan.terminal import LastingStderr, StopSignals

__all__ = [
    "FREE_SETTINGS", "LOSSES", "Run", "Settings", "default_settings", "generate", "impossible_settings", "settings_of",
    "train",
]  # fmt: skip
SHOW_EVERY = 50  # steps between two looks at the losses
SHOW_SECONDS = 2.0  # or this long, where steps are slow
LOG_ROWS = 512  # of losses, kept on the device until they are read
STRIDE = 128  # steps that a GPU is given at a time: some tens of milliseconds of work
SAVE_SECONDS = 60.0  # a crash costs no more than this, whatever the recipe's checkpoints are


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
        self._plays = {}  # (batch size, updates of D) -> the captured step
        self._log = backend.zeros_on(device, (LOG_ROWS, 4))
        self._log_row = backend.zeros_on(device, (1,), np.int64)
        self._rows_begun = 0  # rows that `play` has asked for
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
        (row,) = self.rows(self.begin(1))
        return row

    def begin(self, count):
        """Begins `count` steps, at most STRIDE; on a GPU, without waiting for them. What it returns `rows` takes."""
        if not self._read_at:
            self._read_at = time.perf_counter()
        steps = [(self.step + n + 1, (self.step + n) // self.batches.per_epoch + 1) for n in range(count)]
        first_row = self._rows_begun
        self.play(count)
        return steps, first_row, backend.read_later(self._log)

    def rows(self, begun, last=True):
        """The rows of metrics.csv of steps that `begin` began, as tuples of numbers; waits until they are done.

        last: whether no others are under way. The seconds of steps done together are shared out evenly.
        """
        steps, first_row, read = begun
        log = read()
        now = time.perf_counter()
        each = (now - self._read_at) / len(steps)
        self._read_at = 0.0 if last else now
        rows = []
        for n, (step, epoch) in enumerate(steps):
            self.seconds += each
            rows.append((step, epoch, *map(float, log[(first_row + n) % LOG_ROWS]), self.seconds))
        return rows

    def play(self, count):
        """Takes `count` steps; on a GPU they are only enqueued."""
        for _ in range(count):
            self.batches.seek(self.step)
            only_early = self.settings.d_steps_epochs
            d_steps = self.settings.d_steps if only_early is None or self.epoch <= only_early else 1
            key = self.batches.size(self.step), d_steps
            if key not in self._plays:
                step = functools.partial(self._play, *key)
                self._plays[key] = Captured(step) if self.graph else step
            self._plays[key]()
            self.batches.took()
            self.step += 1
            self._rows_begun += 1

    def _play(self, batch_size, d_steps):
        """One step of the game, from the next batch to the log of losses, all of it on the device.

        Logs the loss of D, the loss of G, and the mean probabilities that D gave real and generated images.
        """
        real = self.as_seen(Tensor(self.batches.take(batch_size)))
        shape = (batch_size, *self.recipe.latent_shape)
        latents = [Tensor(self.noise.normal(shape, device=self.device)) for _ in range(d_steps)]
        play = gan.simultaneous_step if self.recipe.simultaneous else gan.alternating_step
        outcome = play(self.players, real, latents)
        if self.average:
            self.average.update()
        with no_grad():
            scores = (t.sigmoid() if self.recipe.returns_logits else t for t in (outcome.real, outcome.fake))
            values = [t.data for t in (outcome.loss_d, outcome.loss_g, *(t.mean() for t in scores))]
        backend.kernels(self._log).write_row(values, self._log, self._log_row)
        return ()

    @property
    def counts(self):
        """What every step counts on: (steps, seconds, draws of noise, draws of dropout masks, rows begun)."""
        return self.step, self.seconds, self.noise.draw, self.dropout.draw, self._rows_begun

    @counts.setter
    def counts(self, counts):
        self.step, self.seconds, self.noise.draw, self.dropout.draw, self._rows_begun = counts
        self._log_row[...], self._read_at = self._rows_begun, 0.0
        self.batches.seek(self.step + 1)  # so that the next step looks for its batch anew, if one failed halfway

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
        images = generate(generator.train(self.recipe.sample_in_train_mode), self.fixed_latents, self.device)
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
        every = signals.usual_interval(self.recipe.name, self.device) if every is None else every
        return every > 0 and step % every == 0

    def is_stop(self, step):
        """Whether something is to be drawn, saved or probed after the step."""
        wanted = self.wants_sample(step) or self.wants_checkpoint(step) or self.wants_probe(step)
        return wanted or step == self.last_step

    def stride(self):
        """How many steps may be taken before something is to be drawn, saved or probed: on the CPU at most one."""
        most = STRIDE if self.device == "gpu" else 1
        return next((n for n in range(1, most) if self.is_stop(self.step + n)), most)

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
            players.optimizer_g.load_state_dict(state["optimizer_g"])
            players.optimizer_d.load_state_dict(state["optimizer_d"])
            for optimizer, lr in ((players.optimizer_g, self.settings.lr_g), (players.optimizer_d, self.settings.lr_d)):
                optimizer.settings = {
                    **optimizer.settings,
                    "lr": lr,
                    "weight_decay": 0.0,
                    **self.recipe.adam,
                }  # not the file's
            self.noise.draw, self.dropout.draw = int(state["draws"]["noise"]), int(state["draws"]["dropout"])
            if type(state["step"]) is not int or not math.isfinite(state["seconds"]):
                raise ValueError("an impossible count")
            self.step, self.seconds = state["step"], float(state["seconds"])
            if not all(0 <= count < 2**60 for count in (self.step, self.noise.draw, self.dropout.draw)):
                raise ValueError("an impossible count")
            for scale, saved in zip((players.scale_g, players.scale_d), state.get("scales", (None, None)), strict=True):
                if scale and saved:
                    scale.load_state_dict(saved)
            dict(state["environment"])
            if seen := nonfinite.in_arrays(self):
                raise ValueError(seen)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UserError(
                f"{path} is damaged: its state does not fit {self.recipe.name} ({str(error):.1000})"
            ) from None


def train(run, folder, quiet=False, doctor=None):
    """Runs to the last step. Returns the number of a signal that came meanwhile, which stops it early; or None.

    On a signal the step is finished and the state saved first. Where a number is not finite, the step is
    skipped, if the settings say so; else UserError is raised with what made it, and the last checkpoint,
    in which all numbers are finite, is kept. doctor: a Doctor who is shown every row, those of
    a resumed run's past included; what he finds is said at once.
    """
    bar = tqdm(
        total=run.last_step, initial=run.step, unit="step", disable=quiet or sys.stderr is None, dynamic_ncols=True,
        file=LastingStderr(),
        mininterval=0.2 if os.isatty(2) else 15,
    )  # fmt: skip
    first = timed_from = run.step
    saved = shown = started = time.monotonic()
    begun = None  # steps that a GPU is at, whose rows are not written yet

    probe, doctor = signals.Probe(run), doctor or Doctor()
    for past in rows.read(folder.metrics) if run.step else ():
        with contextlib.suppress(ValueError):  # of a probe of which cells were lost nothing is said
            doctor.add(past)

    skipping = Skipping(run) if run.settings.on_nonfinite == "skip" else None
    doctor.skipping = skipping is not None

    def say(sentence):
        if sentence and not bar.disable:
            bar.write(f"minigan: {sentence}", file=LastingStderr())

    def fail(step, wrong):
        folder.write_report()
        silent = bar.disable
        bar.close()
        if skipping:
            raise UserError(
                f"step {step:,}: {wrong}, which no step has left there, so that memory or the machine may be at fault; "
                "the last checkpoint is kept: go on with --resume"
            )
        raise UserError(nonfinite_cause.stopped(run, folder.checkpoint, step, wrong, lambda: stop.received, silent))

    def write(taken):
        for row in taken:
            probing = run.wants_probe(row[0])
            wrong = nonfinite.in_row(row) or (nonfinite.in_arrays(run) if probing or skipping else None)
            seen = probe() if probing and not wrong else {}
            folder.write_row(row, seen)
            finding = doctor.add(dict(zip(rows.STEP_COLUMNS, row)) | seen)
            if skipping and wrong:
                try:
                    say(skipping.undo(row[0], wrong))
                except UserError:
                    folder.write_report()
                    raise
                continue
            if skipping:
                skipping.went_well()
            elif wrong := wrong or nonfinite.in_signals(seen, run):
                fail(row[0], wrong)
            say(finding and finding.sentence)
        return taken[-1]

    def save():
        if wrong := nonfinite.in_arrays(run):
            fail(run.step, wrong)
        folder.save(run)

    with StopSignals() as stop, bar, np.errstate(over="ignore", invalid="ignore"):
        while run.step < run.last_step and not stop.received:
            if skipping:
                skipping.keep()
            before, begun = begun, run.begin(1 if skipping else run.stride())
            row = write(run.rows(before, last=False)) if before else None
            overdue = time.monotonic() - saved > SAVE_SECONDS
            if skipping or run.device == "cpu" or run.is_stop(run.step) or overdue or run.step == run.last_step:
                row, begun = write(run.rows(begun)), None
            if run.step == run.last_step or run.wants_sample():
                if skipping:
                    skipping.keep()
                folder.write_sample(run)
                if skipping and nonfinite.in_arrays(run):  # statistics that drawing has moved
                    skipping.put_back()
                    say(f"the samples of step {run.step:,} are not finite; drawing them leaves no trace")
            if begun is None and (run.wants_checkpoint() or run.step == run.last_step or overdue):
                save()
                saved = time.monotonic()
                if run.step % run.batches.per_epoch == 0 or run.step == run.last_step:
                    folder.write_pictures(run)
            if row is None:
                continue
            if bar.n == first:  # it may have compiled the kernels, which says nothing about the rest
                started, timed_from = time.monotonic(), row[0]
                bar.start_t = bar.last_print_t = time.time()
            bar.update(row[0] - bar.n)
            slow = time.monotonic() - shown > SHOW_SECONDS
            if row[0] % SHOW_EVERY == 0 or run.step == run.last_step or slow:
                shown = time.monotonic()
                losses = f"loss D {row[2]:.3f} G {row[3]:.3f}"
                if row[0] > timed_from:
                    rate = (row[0] - timed_from) * run.settings.batch_size / (time.monotonic() - started)
                    losses += f", {rate:.0f} images/s"
                bar.set_postfix_str(losses, refresh=False)
        if run.step < run.last_step:
            if begun:
                write(run.rows(begun))
            save()
            folder.write_pictures(run)
            folder.write_report()
        if skipping and skipping.count:
            say(f"{skipping.count:,} of {run.step - first:,} steps were skipped")
    folder.close()
    return stop.received
