"""What a training shows on the terminal: a bar with the time left and the losses, and sentences above it."""

import os
import sys
import time

from tqdm import tqdm

from minigan.terminal import LastingStderr

SHOW_EVERY = 50  # steps between two looks at the losses
SHOW_SECONDS = 2.0  # or this long, where steps are slow
REFRESH_SECONDS = 0.2, 15  # of the bar at least: on a terminal, and in a log


class Progress:
    """A progress bar over a run's steps. quiet: nothing is shown. A context: the bar ends with it."""

    def __init__(self, run, quiet=False):
        self.silent = quiet or sys.stderr is None
        self._run, self._first = run, run.step
        self._bar = tqdm(
            total=run.last_step, initial=run.step, unit="step", disable=self.silent, dynamic_ncols=True,
            file=LastingStderr(), mininterval=REFRESH_SECONDS[0 if os.isatty(2) else 1],
        )  # fmt: skip
        self._timed_from, self._started = run.step, time.monotonic()
        self._shown = self._started

    def show(self, row):
        """Moves the bar to the step of a row of metrics, with its losses now and then."""
        step, loss_d, loss_g = row[0], row[2], row[3]
        if self._bar.n == self._first:  # it may have compiled the kernels, which says nothing about the rest
            self._started, self._timed_from = time.monotonic(), step
            self._bar.start_t = self._bar.last_print_t = time.time()
        self._bar.update(step - self._bar.n)
        slow = time.monotonic() - self._shown > SHOW_SECONDS
        if step % SHOW_EVERY == 0 or self._run.step == self._run.last_step or slow:
            self._shown = time.monotonic()
            losses = f"loss D {loss_d:.3f} G {loss_g:.3f}"
            if step > self._timed_from:
                rate = (step - self._timed_from) * self._run.settings.batch_size / (time.monotonic() - self._started)
                losses += f", {rate:.0f} images/s"
            self._bar.set_postfix_str(losses, refresh=False)

    def say(self, sentence):
        """Writes a sentence above the bar; None: nothing."""
        if sentence and not self.silent:
            self._bar.write(f"minigan: {sentence}", file=LastingStderr())

    def close(self):
        """Ends the bar."""
        self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
