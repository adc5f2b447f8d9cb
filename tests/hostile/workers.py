"""Mutants read in processes of their own, so that a crash, a hang or a kill is seen, counted and survived.

A mutant is a function of its target, the seed and its number: a process is told numbers and makes the files itself.
"""

import multiprocessing
import random
import shutil
import signal
import tempfile
import time
from collections import namedtuple
from pathlib import Path

from hostile.promise import READ, REFUSED, Outcome, Watch, limit_addresses

LONGEST = 60.0  # seconds until a process that says nothing is taken to hang
STARTING = 300.0  # while it imports, and compiles kernels where that has not been done

# A kind of file from strangers. prepare(folder) -> a good file's path, in a folder with all that a reader needs, and
# seeds; make(rng, seeds, number) -> (kind of mutation, whether sealed, content); put(path, content) -> the path of the
# mutant's file, where path is the good file's; stages, cells, unpacked, beside: see Watch.read. Functions are named at
# the top of modules: they are sent to other processes.
Target = namedtuple("Target", "name prepare make put stages cells unpacked beside", defaults=[None])


def put(path, content):
    """The mutant in place of the good file."""
    path.write_bytes(content)
    return path


def as_it_is(size):
    """What a file that is not compressed unpacks to."""
    return size


Result = namedtuple("Result", "number kind sealed outcome")


def mutant(target, seeds, seed, number):
    """(kind, sealed, content) of a mutant."""
    return target.make(random.Random(f"{target.name} {seed} {number}"), seeds, number)


def fuzz(target, numbers, seed, found, processes=1, longest=LONGEST, quick=False):
    """Reads the mutants of the numbers, and yields a Result for each, in some order.

    found: the folder that keeps the files about which the promise was broken. quick: no good file is read first.
    """
    numbers = list(numbers)
    with tempfile.TemporaryDirectory() as folder:
        shared = target, seed, Path(folder), longest, quick
        readers = [_Reader(numbers[start::processes], *shared) for start in range(processes)]
        while readers := [reader for reader in readers if reader.left]:
            for reader in readers:
                result = reader.next(0.05 if len(readers) > 1 else None)
                if result:
                    if result.outcome.kind not in (READ, REFUSED):
                        found.mkdir(parents=True, exist_ok=True)
                        kept = found / f"{target.name}_{seed}_{result.number}"
                        kept.write_bytes(mutant(target, reader.seeds, seed, result.number)[2])
                    yield result


class _Reader:
    """A process that reads mutants, and what is left to it."""

    def __init__(self, numbers, target, seed, folder, longest, quick):
        self.left, self.target, self.seed = numbers, target, seed
        self.folder, self.longest, self.quick = folder, longest, quick
        self.process = self.seeds = None  # what a process makes mutants of, it says when it begins

    def next(self, wait):
        """The next Result, or None where there is none within so many seconds (None: until there is)."""
        if self.process is None:
            self._start()
        if self.pipe.poll(self.deadline - time.monotonic() if wait is None else wait):
            try:
                said = self.pipe.recv()
            except EOFError:
                said = None
            if isinstance(said, list):
                self.seeds = said
                self.deadline = time.monotonic() + self.longest
                return None
            if isinstance(said, str):
                raise RuntimeError(f"no process can read {self.target.name}: {said}")
            if said is not None:
                self.deadline = time.monotonic() + self.longest
                return self._next(said)
            self.process.join()
            if self.seeds is None:
                raise RuntimeError(f"no process can read {self.target.name}: it ends before it begins")
            code = self.process.exitcode
            how = signal.Signals(-code).name if code and code < 0 else f"exit code {code}"
            return self._lost(Outcome("crash", how))
        if time.monotonic() > self.deadline:
            return self._lost(Outcome("hang", f"nothing was heard for {self.longest:.0f} seconds"))
        return None

    def _start(self):
        self.pipe, other = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("spawn").Process(
            target=_work,
            args=(other, self.target, self.left, self.seed, Path(tempfile.mkdtemp(dir=self.folder)), self.quick),
            daemon=True,
        )
        self.process.start()
        other.close()
        self.deadline = time.monotonic() + STARTING

    def _next(self, result):
        self.left = [number for number in self.left if number != result.number]
        if not self.left:
            self.process.join()
        return result

    def _lost(self, outcome):
        """The Result of the mutant at which the process was lost; the next call starts another process."""
        self.process.kill()
        self.process.join()
        self.process, number = None, self.left.pop(0)
        return Result(number, *mutant(self.target, self.seeds, self.seed, number)[:2], outcome)


def _work(pipe, target, numbers, seed, folder, quick):
    """What a process does: reads the good file, to know what is usual, then the mutants."""
    watch = Watch()
    current, pristine = folder / "current", folder / "pristine"
    current.mkdir()
    path, seeds = target.prepare(current)
    usual = [0] * len(target.stages)
    for _ in range(0 if quick else 2):  # the first time, modules are imported and kernels compiled
        outcome, usual = watch.read(target, path)
    if not quick and outcome.kind != READ:
        pipe.send(f"the good file: {outcome}")
        return
    shutil.copytree(path.parent, pristine)
    limit_addresses()
    pipe.send(seeds)
    for number in numbers:
        kind, sealed, content = mutant(target, seeds, seed, number)
        outcome, _ = watch.read(target, target.put(path, content), usual)
        pipe.send(Result(number, kind, sealed, outcome))
        shutil.rmtree(path.parent)
        shutil.copytree(pristine, path.parent)
