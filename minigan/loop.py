"""The training loop: steps, and between them what is written, drawn, saved and said.

Where it writes is `run_folder.py`; what it shows on the terminal, `progress.py`.
"""

import contextlib
import time

import numpy as np

from minigan import nonfinite, nonfinite_cause, rows, signals
from minigan.doctor import Doctor
from minigan.errors import UserError
from minigan.progress import Progress
from minigan.skipping import Skipping
from minigan.terminal import StopSignals

SAVE_SECONDS = 60.0  # a crash costs no more than this, whatever the recipe's checkpoints are


def train(run, folder, quiet=False, doctor=None):
    """Trains a `training.Run` to its last step. Returns the number of a signal that stopped it early, or None.

    On a signal the step is finished and the state saved first. Where a number is not finite, the step is
    skipped, if the settings say so; else UserError is raised with what made it, and the last checkpoint,
    in which all numbers are finite, is kept. doctor: a Doctor who is shown every row, those of
    a resumed run's past included; what he finds is said at once.
    """
    with StopSignals() as stop, Progress(run, quiet) as progress, np.errstate(over="ignore", invalid="ignore"):
        _Loop(run, folder, progress, stop, doctor or Doctor()).go()
    folder.close()
    return stop.received


class _Loop:
    """What one call of `train` works with: the run and its folder, the terminal, the doctor, and steps under way."""

    def __init__(self, run, folder, progress, stop, doctor):
        self.run, self.folder, self.progress, self.stop, self.doctor = run, folder, progress, stop, doctor
        self.first = run.step
        self.probe = signals.Probe(run)
        self.skipping = Skipping(run) if run.settings.on_nonfinite == "skip" else None
        self.enqueued = None  # what `run.enqueue` returned for steps whose rows are not written yet
        self.saved = time.monotonic()
        for past in rows.read(folder.metrics) if run.step else ():
            with contextlib.suppress(ValueError):  # a row whose probe lost cells is passed over
                doctor.add(past)
        doctor.skipping = self.skipping is not None

    def go(self):
        """Takes all steps, or those until a signal comes."""
        run, folder = self.run, self.folder
        while run.step < run.last_step and not self.stop.received:
            overdue = time.monotonic() - self.saved > SAVE_SECONDS
            row = self.take_steps(wait=overdue)
            if run.step == run.last_step or run.wants_sample():
                self.draw()
            if self.enqueued is None and (overdue or run.wants_checkpoint() or run.step == run.last_step):
                self.save()
                if run.step % run.batches.per_epoch == 0 or run.step == run.last_step:
                    folder.write_pictures(run)
                    folder.write_report(now=run.step == run.last_step)
            if row:
                self.progress.show(row)
        if run.step < run.last_step:
            if self.enqueued:
                self.write(run.rows_of(self.enqueued))
            self.save()
            folder.write_pictures(run)
            folder.write_report()
        if self.skipping and self.skipping.count:
            self.progress.say(f"{self.skipping.count:,} of {run.step - self.first:,} steps were skipped")

    def take_steps(self, wait):
        """Takes one step; on a GPU enqueues several, and while they run writes the rows of those enqueued before.

        wait: whether to wait for the rows of the steps enqueued here. Returns the last row that was written, or None.
        """
        run = self.run
        if self.skipping:
            self.skipping.keep()
        before, self.enqueued = self.enqueued, run.enqueue(1 if self.skipping else run.steps_until_pause())
        row = self.write(run.rows_of(before, last=False)) if before else None
        if wait or self.skipping or run.device == "cpu" or run.pauses_after(run.step):
            row, self.enqueued = self.write(run.rows_of(self.enqueued)), None
        return row

    def write(self, taken):
        """Writes the rows of steps and what a probe sees, shows them to the doctor, and returns the last."""
        run, skipping = self.run, self.skipping
        for row in taken:
            probing = run.wants_probe(row[0])
            wrong = nonfinite.in_row(row) or (nonfinite.in_arrays(run) if probing or skipping else None)
            seen = self.probe() if probing and not wrong else {}
            self.folder.write_row(row, seen)
            finding = self.doctor.add(dict(zip(rows.STEP_COLUMNS, row)) | seen)
            if skipping and wrong:
                self.undo(row[0], wrong, skipping)
                continue
            if skipping:
                skipping.went_well()
            elif wrong := wrong or nonfinite.in_signals(seen, run):
                self.fail(row[0], wrong)
            self.progress.say(finding and finding.sentence)
        return taken[-1]

    def draw(self):
        """Writes the samples of the step just taken."""
        run, skipping = self.run, self.skipping
        if skipping:
            skipping.keep()
        self.folder.write_sample(run)
        if skipping and nonfinite.in_arrays(run):  # statistics that drawing has moved
            skipping.put_back()
            self.progress.say(f"the samples of step {run.step:,} are not finite; drawing them leaves no trace")

    def save(self):
        """Writes a checkpoint, if all numbers are finite."""
        if wrong := nonfinite.in_arrays(self.run):
            self.fail(self.run.step, wrong)
        self.folder.save(self.run)
        self.saved = time.monotonic()

    def undo(self, step, wrong, skipping):
        """Undoes a step, which counts as taken. Raises UserError where too many in a row were to be undone."""
        try:
            self.progress.say(skipping.undo(step, wrong))
        except UserError:
            self.folder.write_report()
            raise

    def fail(self, step, wrong):
        """Raises UserError with what made the number that is not finite."""
        self.folder.write_report()
        self.progress.close()
        if self.skipping:
            raise UserError(
                f"step {step:,}: {wrong}, which no step has left there, so that memory or the machine may be at fault; "
                "the last checkpoint is kept: go on with --resume"
            )
        raise UserError(
            nonfinite_cause.stopped(
                self.run, self.folder.checkpoint, step, wrong, lambda: self.stop.received, self.progress.silent
            )
        )
