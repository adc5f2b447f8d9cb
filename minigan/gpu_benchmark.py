"""Timing on a GPU: work is enqueued, and the host's clock runs until the device has done it.

A turn is as many steps as take some tenths of a second, so that waiting for the device at its end (some
10 microseconds) does not count. As on the CPU, competitors take turns and ratios are taken round by round.
Each may fail, for a library may refuse to capture or to compile: the others go on without it.
"""

import functools
import math
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from minigan import backend, environment
from minigan.benchmark import WARM_UP_SHARE, Timing
from minigan.kernels.launch import record

TURN_SECONDS = 0.3
TRIAL_SHARE = 0.1  # of a turn: how long a competitor runs to find how many steps a turn has
LAYOUT_ROUNDS = 2
CALLS = 20  # of a kernel in one graph, so that Python's launching is not timed
COPY_BYTES = 1 << 30
MATRIX_SIZE = 8192
_TRACEBACK_LINES = 12


@dataclass
class Competitor:
    """Work on a device: `run(n)` enqueues n turns of `calls` calls each, `synchronize()` waits until they are done."""

    run: Callable
    synchronize: Callable
    calls: int = 1


def repeated(function, synchronize):
    """The Competitor whose turn is function()."""

    def run(count):
        for _ in range(count):
            function()

    return Competitor(run, synchronize)


def graphed(function, device, calls):
    """The Competitor whose turn replays one graph of `calls` calls of function(), which launches kernels of ours."""
    for _ in range(2):
        function()  # compiles
    with record() as graph:
        for _ in range(calls):
            function()
    replay = backend.capture(graph)

    def run(count):
        for _ in range(count):
            replay()

    run.keeps = function, graph  # and with them the memory that is read and written
    return Competitor(run, synchronizer(device), calls)


def synchronizer(device):
    """A function that waits for all that minigan enqueued on the device."""
    return functools.partial(backend.synchronize, device)


class Race:
    """Competitors for the same work, and the reasons why some could not take part.

    quiet: nothing is told of the preparations, only of failures.
    """

    def __init__(self, what, seconds=TURN_SECONDS, quiet=False):
        self.what, self.seconds, self.quiet = what, seconds, quiet
        self.competitors, self.failures = {}, {}

    def enter(self, name, make):
        """Adds the Competitor make(), warmed up. Returns whether it works."""
        if not self.quiet:
            say(f"{self.what}: preparing {name}")
        with _Failing(self, name):
            self.competitors[name] = _warmed_up(make())
        return name in self.competitors

    def enter_faster_layout(self, name, make):
        """Adds the faster of the Competitors make(channels_last=False) and make(channels_last=True).

        Returns whether that is channels-last; False where neither works.
        """
        layouts = Race(self.what, self.seconds, self.quiet)
        for layout in ("channels-first", "channels-last"):
            layouts.enter(f"{name}, {layout}", functools.partial(make, channels_last=layout == "channels-last"))
        timings = layouts.run(LAYOUT_ROUNDS)
        self.failures.update(layouts.failures)
        if not timings:
            return False
        best = min(timings, key=lambda timing: timing.median).name
        self.competitors[best] = layouts.competitors[best]
        return best.endswith("channels-last")

    def run(self, rounds):
        """A Timing of each competitor that still works, from turns A B A B ..."""
        counts, timings = {}, {name: Timing(name, []) for name in self.competitors}
        for _ in range(rounds):
            for name, competitor in list(self.competitors.items()):
                with _Failing(self, name):
                    if name not in counts:
                        counts[name] = _count(competitor, self.seconds)
                    seconds_of(competitor, math.ceil(WARM_UP_SHARE * counts[name]))
                    timings[name].rounds.append(seconds_of(competitor, counts[name]))
        return [timings[name] for name in self.competitors]


class _Failing:
    """Turns an exception inside the block into a failure of the competitor."""

    def __init__(self, race, name):
        self.race, self.name = race, name

    def __enter__(self):
        pass

    def __exit__(self, kind, error, trace):
        if not isinstance(error, Exception):
            return False
        self.race.competitors.pop(self.name, None)
        self.race.failures[self.name] = reason(error)
        report_failure(f"{self.race.what}: {self.name}", error)
        return True


def seconds_of(competitor, count):
    """Seconds that each call takes in `count` turns."""
    start = time.perf_counter()
    competitor.run(count)
    competitor.synchronize()
    return (time.perf_counter() - start) / (count * competitor.calls)


def rate(function, amount, synchronize):
    """amount / seconds of function(), the best of three turns."""
    competitor = _warmed_up(repeated(function, synchronize))
    count = _count(competitor, TURN_SECONDS)
    return amount / min(seconds_of(competitor, count) for _ in range(3))


def copy_bandwidth(device):
    """Bytes a second, read and written, of a large copy within the device."""
    xp = backend.array_module(device)
    source = xp.zeros(COPY_BYTES // 4, "float32")
    target = xp.empty_like(source)
    return rate(lambda: xp.copyto(target, source), 2 * source.nbytes, synchronizer(device))


def matrix_rate(device):
    """Operations a second of a large float32 matrix product, by CuPy: cuBLAS's."""
    xp, size = backend.array_module(device), MATRIX_SIZE
    a, b, out = (xp.ones((size, size), "float32") for _ in range(3))
    return rate(lambda: xp.matmul(a, b, out=out), 2 * size**3, synchronizer(device))


def machine(device):
    """The device, its driver and CuPy's version, in words."""
    driver = environment.gpu_driver()
    driver = f"driver {driver}, " if driver else ""
    return f"{backend.describe(device)}, {driver}CuPy {backend.array_module(device).__version__}"


def say(text):
    """Tells on standard error what happens now, for the preparations take minutes."""
    print(f"minigan: {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def reason(error):
    """One line for an exception: its type and the first line of its message."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def report_failure(what, error):
    """The end of the exception's traceback, on standard error."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    say(f"{what} failed:")
    print("\n".join("    " + line[:300] for line in lines[-_TRACEBACK_LINES:]), file=sys.stderr, flush=True)


def _warmed_up(competitor):
    for count in (1, 3):
        competitor.run(count)
        competitor.synchronize()
    return competitor


def _count(competitor, seconds):
    """The turns of a competitor that take about so many seconds."""
    count, each = 1, seconds_of(competitor, 1) * competitor.calls
    while count * each < TRIAL_SHARE * seconds:
        count = max(2 * count, math.floor(TRIAL_SHARE * seconds / each))
        each = seconds_of(competitor, count) * competitor.calls
    return max(1, round(seconds / each))
