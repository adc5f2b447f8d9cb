"""A check: a function that tries a student's code on random inputs, and says what is wrong with it."""

import hashlib
import importlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent.parent  # lessons/exercises
POINTS = 10  # of every exercise


class Mistake(AssertionError):
    """What a check found wrong, in words for the student."""


@dataclass
class Check:
    """One check of an exercise, and what it is worth."""

    function: object  # (student, rng) -> None; raises Mistake
    points: int

    @property
    def name(self):
        return self.function.__name__

    @property
    def title(self):
        """The first line of its docstring: what the student's code should do."""
        return self.function.__doc__.strip().splitlines()[0]

    def run(self, student, exercise, seed):
        """Runs the check on a module of answers. Its random inputs depend on seed, exercise and check alone."""
        digest = hashlib.sha256(f"{exercise} {self.name} {seed}".encode()).digest()
        self.function(student, np.random.default_rng(int.from_bytes(digest[:8], "big")))


def check(points):
    """Marks a function (student, rng) of a module in `checks/` as a check worth so many points."""
    return lambda function: Check(function, points)


def exercises():
    """The names of all exercises, in order: "ex02_derivatives", ..."""
    return sorted(path.stem for path in (FOLDER / "checks").glob("ex*.py"))


def short_name(exercise):
    """ "ex02" of "ex02_derivatives": also the name of its pytest marker."""
    return re.match(r"ex\d+", exercise)[0]


def checks_of(exercise):
    """The checks of an exercise, in the order of its file."""
    module = importlib.import_module(f"checks.{exercise}")
    return [value for value in vars(module).values() if isinstance(value, Check)]


def may_import(exercise):
    """The modules that an answer to this exercise may import besides NumPy and harmless ones of Python's own."""
    return getattr(importlib.import_module(f"checks.{exercise}"), "MAY_IMPORT", ())
