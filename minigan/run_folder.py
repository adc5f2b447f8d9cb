"""The folder a run leaves behind, written as it goes.

config.json, metrics.csv, samples/step_000500.png, losses.png, evolution.gif, report.html, checkpoint.pkl and the ones
before it. Rows reach the disk before the checkpoint that counts on them; every other file is replaced whole.
"""

import contextlib
import csv
import io
import json
import os
import re
import sys
import time
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np

from minigan import checkpoint, environment, files, plots, report, rows
from minigan.errors import UserError

FLUSH_EVERY = 50  # rows of metrics.csv
REPORT_SHARE = 0.03  # of the time, at most, goes into reports while the run goes on


class RunFolder:
    """Where a run writes. `create` refuses a folder that holds a run; `reopen` continues one. Both inside `locked`."""

    def __init__(self, path):
        self.path = Path(path)
        self.checkpoint, self.metrics = self.path / checkpoint.NAME, self.path / "metrics.csv"
        self.samples, self.config = self.path / "samples", self.path / "config.json"
        self.curves, self.animation = self.path / "losses.png", self.path / "evolution.gif"
        self.report = self.path / "report.html"
        self._metrics_file = io.StringIO()  # in place of metrics.csv, until that is opened
        self._next_report = 0.0  # not before then
        self._check_folder = lambda: None  # raises UserError where it is no longer the one that was locked

    @contextlib.contextmanager
    def locked(self):
        """A block in which no other process writes the folder, which is made if need be.

        Raises UserError where one does, or where nothing can be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        with files.locked(self.path) as self._check_folder:
            for folder in (self.path, self.samples):
                files.remove_leftovers(folder)
            yield

    def create(self, run):
        """Makes the folder and saves the run in it, so that from now on --resume finds something.

        Raises UserError if the folder holds a run already or cannot be written.
        """
        if self.checkpoint.exists() or self.metrics.exists() or self.config.exists():
            raise UserError(
                f"--out {self.path} already holds a run: add --resume to continue it, or choose another --out"
            )
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            checkpoint.save(self.checkpoint, run.state())
            self._write_config(run)
            self._metrics_file = open(self.metrics, "w", newline="")
        except OSError as error:
            raise UserError(f"--out {self.path} cannot be written: {error.strerror}") from None
        self._writer = csv.writer(self._metrics_file, lineterminator="\n")
        self._writer.writerow(rows.COLUMNS)
        self._metrics_file.flush()  # so that who looks at the run now finds columns without rows, not an empty file

    def reopen(self, run, loaded_from=None):
        """Opens the metrics for the rows after the run's step, dropping those already there.

        loaded_from: the checkpoint that the run goes on from, where it is an older one; it takes the damaged one's place.
        Rows that are damaged or missing are left out, which is said on standard error; the run does not need them.
        Raises UserError where nothing can be written.
        """
        try:
            kept = self._rows_up_to(run.step)
            if len(kept) < run.step:
                self._keep_damaged_metrics(run.step - len(kept))
            if loaded_from not in (None, self.checkpoint):
                checkpoint.replace_damaged(self.checkpoint, loaded_from)
            self.samples.mkdir(exist_ok=True)
            files.write_atomically(self.metrics, ("\n".join([",".join(rows.COLUMNS), *kept]) + "\n").encode())
            self._write_config(run)
            self._metrics_file = open(self.metrics, "a", newline="")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        self._writer = csv.writer(self._metrics_file, lineterminator="\n")

    def _rows_up_to(self, step):
        """The lines of metrics.csv that are the rows of steps 1 .. step, with all columns."""
        found, last = [], 0
        lines = self.metrics.read_text(errors="replace").splitlines()[1:] if self.metrics.is_file() else ()
        for line in lines:
            with contextlib.suppress(ValueError):
                number = int(line.partition(",")[0])
                if last < number <= step:
                    found.append(rows.padded(line, number))
                    last = number
        return found

    def _keep_damaged_metrics(self, lost):
        damaged = self.metrics.with_name("metrics.damaged.csv")
        kept_as = ""
        if self.metrics.exists():
            self.metrics.replace(damaged)
            kept_as = f"; what was there is kept as {damaged.name}"
        print(
            f"minigan: {self.metrics} lacks the rows of {lost:,} steps, or they are damaged: going on without them{kept_as}",
            file=sys.stderr,
        )

    def _write_config(self, run):
        config = {**asdict(run.settings), "environment": {**environment.versions(run.device), **run.environment()}}
        files.write_atomically(self.config, (json.dumps(config, indent=2) + "\n").encode())

    def write_row(self, row, signals=None):
        """One step's metrics, and the signals {name: value} where it was probed."""
        self._writer.writerow(rows.cells(row, signals))
        if row[0] % FLUSH_EVERY == 0:
            self._metrics_file.flush()

    def save(self, run):
        """The checkpoint; the rows up to it are on the disk first, since a resume relies on them."""
        self._check_folder()
        self._metrics_file.flush()
        os.fsync(self._metrics_file.fileno())
        checkpoint.save(self.checkpoint, run.state(), run.settings.keep)

    def write_sample(self, run):
        """The picture of the run's fixed latents now."""
        plots.save_grid(self.samples / f"step_{run.step:06d}.png", run.samples())

    def write_pictures(self, run):
        """The loss curves and the animation of all that has been written so far."""
        self._metrics_file.flush()
        if run.step == 0:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # no rows yet, where those before were lost
            columns = np.loadtxt(self.metrics, delimiter=",", skiprows=1, usecols=(0, 2, 3), max_rows=run.step, ndmin=2)
        if len(columns):
            steps, loss_d, loss_g = columns.T
            plots.save_losses(self.curves, steps, loss_d, loss_g, f"{run.recipe.name}, seed {run.settings.seed}")
        found = [(re.fullmatch(r"step_(\d+)\.png", path.name), path) for path in self.samples.iterdir()]
        pictures = sorted((int(match[1]), path) for match, path in found if match)
        plots.save_animation(self.animation, [path for step, path in pictures if step <= run.step])

    def write_report(self, now=True):
        """The page for a person to look at; while the run goes on (now=False), only if there has been time enough."""
        if not self._metrics_file.closed:
            self._metrics_file.flush()
        begun = time.monotonic()
        if now or begun >= self._next_report:
            report.write(self.path)
            ended = time.monotonic()
            self._next_report = ended + (ended - begun) / REPORT_SHARE

    def redraw(self, run):
        """The pictures of a run that is complete. Raises UserError where its rows are not all there."""
        if len(self._rows_up_to(run.step)) < run.step:
            raise UserError(f"{self.metrics} is damaged or missing: restore it, or go on to more --steps without it")
        self.write_pictures(run)
        self.write_report()

    def close(self):
        """Closes the metrics file."""
        self._metrics_file.close()

    def has_pictures(self):
        """Whether curves, animation and report are there (a process may be killed before it draws them)."""
        return self.curves.exists() and self.animation.exists() and self.report.exists()
