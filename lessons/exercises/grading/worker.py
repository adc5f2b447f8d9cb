"""The process that a student's file runs in: one for each exercise, ended when a check takes too long."""

import contextlib
import io
import multiprocessing
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from grading import student, writes
from grading.check import Mistake, checks_of, may_import
from grading.imports import ImportRefused

SPAWN = multiprocessing.get_context("spawn")  # a fresh interpreter, on every system
START_SECONDS = 120  # to start and to import: the kernels may have to be compiled first
LONGEST_OUTPUT = 2000  # characters of what the student's code prints


@dataclass
class Outcome:
    """What became of a check. kind: "passed", "wrong", "refused" (an import) or "timeout"."""

    kind: str
    message: str = ""
    printed: str = ""


class Worker:
    """Runs the checks of one exercise on one file, in a process of its own."""

    def __init__(self, exercise, path, seed, limit, trusted=False):
        self.arguments = (exercise, str(path), seed, trusted)
        self.limit = START_SECONDS if trusted else limit
        self.process = None

    def run(self, name):
        """The Outcome of the check of that name."""
        if self.process is None:
            self._start()
        outcome = self.loaded
        if outcome.kind != "passed":
            return outcome
        try:
            self.pipe.send(name)
            if self.pipe.poll(self.limit):
                return self.pipe.recv()
            outcome = Outcome(
                "timeout",
                f"not done after {self.limit:g} seconds: is there a loop that never ends, or far too large an array?",
            )
        except (EOFError, OSError):
            outcome = Outcome("wrong", "the process ended in the middle of the check (sys.exit, or a crash)")
        self.close()  # the next check starts a new one
        return outcome

    def _start(self):
        self.pipe, theirs = SPAWN.Pipe()
        self.process = SPAWN.Process(target=serve, args=(theirs, *self.arguments), daemon=True)
        self.process.start()
        theirs.close()
        try:
            if not self.pipe.poll(START_SECONDS):
                raise TimeoutError
            self.pipe.recv()  # it is up; from here on the student's file runs
            in_time = self.pipe.poll(self.limit)
            self.loaded = (
                self.pipe.recv() if in_time else Outcome("timeout", f"importing it takes over {self.limit:g} s")
            )
        except (EOFError, OSError, TimeoutError):
            self.loaded = Outcome("wrong", "the process ended while the file was imported")
        if self.loaded.kind == "timeout":
            self.process.kill()

    def close(self):
        """Ends the process."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


def serve(pipe, exercise, path, seed, trusted):
    """What the process does: loads the file, then runs each check it is asked for until it is ended."""
    folder = Path(path).resolve().parent
    sys.dont_write_bytecode = True
    checks = {check.name: check for check in checks_of(exercise)}
    answers = None

    def load():
        nonlocal answers
        if not trusted:
            os.chdir(folder)
            writes.guard(folder)
        answers = student.load(path, ("minigan", "numba") if trusted else may_import(exercise))

    pipe.send("ready")
    pipe.send(_outcome(load, folder))
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            check = checks[pipe.recv()]
            pipe.send(_outcome(lambda: check.run(answers, exercise, seed), folder))


def _outcome(action, folder):
    """Runs the action and tells what became of it."""
    printed = io.StringIO()
    kind, message = "passed", ""
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            action()
    except ImportRefused as error:
        kind, message = "refused", str(error)
    except Mistake as error:
        kind, message = "wrong", str(error)
    except BaseException as error:
        kind, message = "wrong", student.in_words(error, folder)
    return Outcome(kind, message, printed.getvalue()[:LONGEST_OUTPUT])
