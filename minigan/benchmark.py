"""Timing on a noisy machine: competitors take turns, and what counts is their ratio, round by round."""

import math
import statistics
import time
from dataclasses import dataclass

import numpy as np

from minigan import backend

TURN_SECONDS = 0.5  # one competitor's turn
WARM_UP_SHARE = 0.2  # of a turn, not timed: the other's threads fall asleep, the caches fill
SLEEP_SECONDS = 0.5  # after which idle threads have stopped spinning


@dataclass
class Timing:
    """Seconds a call in each round, for one competitor."""

    name: str
    rounds: list

    @property
    def median(self):
        """The median over the rounds, in seconds."""
        return statistics.median(self.rounds)


def take_turns(functions, rounds, seconds=TURN_SECONDS, progress=lambda: None):
    """Times functions of no arguments against each other: A B A B ...

    functions: {name: function}. Each turn calls a function for about `seconds`. Returns a Timing each.
    """
    for function in functions.values():
        function()
    counts = {name: max(1, round(seconds / _seconds(function, 3))) for name, function in functions.items()}
    timings = {name: Timing(name, []) for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            _seconds(function, math.ceil(WARM_UP_SHARE * counts[name]))
            timings[name].rounds.append(_seconds(function, counts[name]))
            progress()
    return list(timings.values())


def ratios(ours, theirs):
    """(median, least, greatest) of ours / theirs, round by round."""
    pairs = [a / b for a, b in zip(ours.rounds, theirs.rounds)]
    return statistics.median(pairs), min(pairs), max(pairs)


def matrix_product(size=1024):
    """(function, GFLOP): a large square float32 matrix product by our kernel, counted as the rate of the faster of
    NumPy's and ours would have it.

    NumPy's takes no turns: its threads go on spinning for a while after each, and would slow the next competitor.
    """
    a, b = np.random.default_rng(0).random((2, size, size), np.float32)
    out, matrix = np.empty_like(a), (size, size, 1, 1)
    kernel = backend.kernels(a).conv_transpose2d
    arguments = a.reshape(matrix), b.reshape(matrix), (1, 1), (0, 0, 0, 0), (1, 1), out.reshape(matrix)
    (ours,) = take_turns({"ours": lambda: kernel(*arguments)}, 3, 0.1)
    (numpys,) = take_turns({"NumPy's": lambda: np.matmul(a, b, out=out)}, 3, 0.1)
    time.sleep(SLEEP_SECONDS)
    return (lambda: kernel(*arguments)), 2 * size**3 / 1e9 * max(1, ours.median / numpys.median)


def _seconds(function, count):
    start = time.perf_counter()
    for _ in range(count):
        function()
    return (time.perf_counter() - start) / count
