"""The folder a run leaves behind, written as it goes.

config.json, metrics.csv, samples/step_000500.png, losses.png, evolution.gif, report.html, checkpoint.pkl and the ones
before it. Rows reach the disk before the checkpoint that counts on them; every other file is replaced whole.
"""

import csv
import io
import json
import os
import re
import time
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
        self.checkpoint, self.metrics = self.path / "checkpoint.pkl", self.path / "metrics.csv"
        self.samples, self.config = self.path / "samples", self.path / "config.json"
        self.curves, self.animation = self.path / "losses.png", self.path / "evolution.gif"
        self.report = self.path / "report.html"
        self._rows = io.StringIO()  # in place of metrics.csv, until that is opened
        self._next_report = 0.0  # not before then

    def locked(self):
        """A block in which no other process writes the folder, which is made if need be.

        Raises UserError where one does, or where nothing can be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        return files.locked(self.path)

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
            self._rows = open(self.metrics, "w", newline="")
        except OSError as error:
            raise UserError(f"--out {self.path} cannot be written: {error.strerror}") from None
        self._writer = csv.writer(self._rows, lineterminator="\n")
        self._writer.writerow(rows.COLUMNS)

    def reopen(self, run, loaded_from=None):
        """Opens the metrics for the rows after the run's step, dropping those already there.

        loaded_from: the checkpoint that the run goes on from, where it is an older one; it takes the damaged one's place.
        Raises UserError where the rows up to it are not all there, or nothing can be written.
        """
        try:
            kept = self._rows_up_to(run.step)
            if loaded_from not in (None, self.checkpoint):
                checkpoint.restore_newest(self.checkpoint, loaded_from)
            self.samples.mkdir(exist_ok=True)
            files.write_atomically(self.metrics, ("\n".join([",".join(rows.COLUMNS), *kept]) + "\n").encode())
            self._write_config(run)
            self._rows = open(self.metrics, "a", newline="")
        except OSError as error:
            raise UserError(f"{self.path} cannot be written: {error.strerror}") from None
        self._writer = csv.writer(self._rows, lineterminator="\n")

    def _rows_up_to(self, step):
        """The lines of metrics.csv for steps 1 .. step, each checked to be that step's, with all columns."""
        if step == 0:
            return []
        if not self.metrics.is_file():
            raise UserError(f"{self.metrics} is missing: restore it to go on")
        lines = self.metrics.read_text(errors="replace").splitlines()[1 : step + 1]
        for number, line in enumerate(lines, 1):
            try:
                lines[number - 1] = rows.padded(line, number)
            except ValueError:
                raise UserError(
                    f"{self.metrics} is damaged: line {number + 1} is not the row of step {number}"
                ) from None
        if len(lines) < step:
            raise UserError(f"{self.metrics} ends before step {step}, where the checkpoint was saved: restore the file")
        return lines

    def _write_config(self, run):
        config = {**asdict(run.settings), "environment": {**environment.versions(run.device), **run.environment()}}
        files.write_atomically(self.config, (json.dumps(config, indent=2) + "\n").encode())

    def write_row(self, row, signals=None):
        """One step's metrics, and the signals {name: value} where it was probed."""
        self._writer.writerow(rows.cells(row, signals))
        if row[0] % FLUSH_EVERY == 0:
            self._rows.flush()

    def save(self, run):
        """The checkpoint; the rows up to it are on the disk first, since a resume relies on them."""
        self._rows.flush()
        os.fsync(self._rows.fileno())
        checkpoint.save(self.checkpoint, run.state(), run.settings.keep)

    def write_sample(self, run):
        """The picture of the run's fixed latents now."""
        plots.save_grid(self.samples / f"step_{run.step:06d}.png", run.samples())

    def write_pictures(self, run):
        """The loss curves and the animation of all that has been written so far."""
        self._rows.flush()
        if run.step == 0:
            return
        columns = np.loadtxt(self.metrics, delimiter=",", skiprows=1, usecols=(0, 2, 3), max_rows=run.step, ndmin=2)
        steps, loss_d, loss_g = columns.T
        plots.save_losses(self.curves, steps, loss_d, loss_g, f"{run.recipe.name}, seed {run.settings.seed}")
        found = [(re.fullmatch(r"step_(\d+)\.png", path.name), path) for path in self.samples.iterdir()]
        pictures = sorted((int(match[1]), path) for match, path in found if match)
        plots.save_animation(self.animation, [path for step, path in pictures if step <= run.step])
        self.write_report(now=run.step == run.last_step)

    def write_report(self, now=True):
        """The page for a person to look at; while the run goes on (now=False), only if there has been time enough."""
        if not self._rows.closed:
            self._rows.flush()
        begun = time.monotonic()
        if now or begun >= self._next_report:
            report.write(self.path)
            ended = time.monotonic()
            self._next_report = ended + (ended - begun) / REPORT_SHARE

    def redraw(self, run):
        """The pictures of a run that is complete. Raises UserError where its rows are not all there."""
        self._rows_up_to(run.step)
        self.write_pictures(run)

    def close(self):
        """Closes the metrics file."""
        self._rows.close()

    def has_pictures(self):
        """Whether curves, animation and report are there (a process may be killed before it draws them)."""
        return self.curves.exists() and self.animation.exists() and self.report.exists()
