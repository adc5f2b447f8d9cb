"""Trains while writing fails, processes die and files are damaged, resumes, and compares with a run left alone.

    python tests/faults.py

A training of six steps writes some dozens of times: each write, flush, sync, rename, link and removal is made to fail
(a full disk, a failing device), to be the process's last act (SIGKILL, half of a write done), and to be met by Ctrl-C
and SIGTERM. After every one each checkpoint there is must be whole, and the run resumed from the newest must end with
the bits of the one left alone. The trainings are forked from a process that has imported everything, which saves most
of their time.
"""

import argparse
import contextlib
import errno
import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from unittest import mock

from kills import differences, without_seconds
from tqdm import tqdm
from watched_writes import Writes

from minigan import checkpoint, cli, files, train
from minigan.errors import UserError

for module in ("matplotlib.pyplot", "numba", "minigan.kernels.cpu"):  # loaded late by the library; here before forking
    importlib.import_module(module)

STEPS, HALF = 6, 4  # saved after every second one
KEEP = 3
NOBODY = 65534
YEAR = 365 * 24 * 3600.0


class Training:
    """A training in a process of its own, in the folder `out`: starts there, or goes on where there is a checkpoint.

    around: a block it happens in. before: called in the process first.
    """

    def __init__(self, dataset, out, steps=STEPS, around=None, before=lambda: None):
        self._said = tempfile.TemporaryFile()
        self._process = os.fork()
        if self._process == 0:
            status = 1
            try:
                os.dup2(self._said.fileno(), 2)
                before()
                with around or contextlib.nullcontext():
                    cli.run(lambda: train.main(arguments(dataset, out, steps)))
            except SystemExit as end:
                status = end.code or 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)

    def end(self):
        """Waits for it. Returns (its exit status, its lines on standard error)."""
        status = os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])
        with self._said as said:
            said.seek(0)
            lines = said.read().decode().splitlines()
        return status, [line for line in lines if "compiling the CPU kernels" not in line]


def arguments(dataset, out, steps):
    """Of the training command."""
    always = ["--out", str(out), "--steps", str(steps), "--quiet", "--threads", "1", "--device", "cpu"]
    if (out / "checkpoint.pkl").exists():
        return [*always, "--resume"]
    new = ["--dataset", str(dataset), "--batch-size", "4", "--sample-every", "3", "--probe-every", "0"]
    return [*always, *new, "--checkpoint-steps", "2", "--keep", str(KEEP)]


class Trials:
    """Trainings on one data set in folders of one temporary folder, compared with one left alone. Counts its `done`."""

    def __init__(self, dataset, folder):
        self.dataset, self.folder, self.done = dataset, folder, Counter()
        self.whole = folder / "whole"
        self.train(self.whole)

    def train(self, out, status=0, **how):
        """A training that must end with the exit status; returns its lines on standard error: one, for an error."""
        found, lines = Training(self.dataset, out, **how).end()
        require(found == status, f"{out.name}: exit status {found}, not {status}: {lines}")
        require(status != 2 or len(lines) == 1, f"{out.name}: not one line but {lines}")
        return lines

    def half(self, name):
        """A new folder with a run of HALF steps in it."""
        out = self.folder / name
        self.train(out, steps=HALF)
        return out

    def finish(self, out, kind):
        """Goes on in the folder to the end, which must be that of the run left alone. Returns what was said."""
        status, said = Training(self.dataset, out).end()
        complete = status == 2 and "is complete" in said[-1]
        require(complete or status == 0, f"{out.name}: resumed with exit status {status}: {said}")
        found = differences(*(checkpoint.load(run / "checkpoint.pkl") for run in (self.whole, out)))
        if without_seconds(self.whole / "metrics.csv") != without_seconds(out / "metrics.csv"):
            found.append("metrics.csv")
        for picture in sorted((self.whole / "samples").iterdir()):
            if (out / "samples" / picture.name).read_bytes() != picture.read_bytes():
                found.append(picture.name)
        require(not found, f"{out.name}: differs from the run left alone in {found}")
        require(not list(out.rglob("*.tmp")), f"{out.name}: a temporary file is left behind")
        shutil.rmtree(out)
        self.done[kind] += 1
        return said


def require(true, complaint):
    """Raises AssertionError with the complaint where the statement is not true."""
    if not true:
        raise AssertionError(complaint)


def content(folder):
    """{path: bytes} of the files of a folder, but for the one that says which process was there last."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != files.LOCK}


# Faults at each act that changes a file.


def failing(number):
    """A fault: the act fails as the system's do."""

    def act():
        raise OSError(number, os.strerror(number))

    return act


def receiving(number):
    """A fault: the process receives a signal."""
    return lambda: os.kill(os.getpid(), number)


FAULTS = {  # name: (fault, exit status)
    "full disk": (failing(errno.ENOSPC), 2),
    "failing device": (failing(errno.EIO), 2),
    "SIGKILL": (receiving(signal.SIGKILL), -signal.SIGKILL),
    "SIGTERM": (receiving(signal.SIGTERM), cli.EXIT_TERMINATED),
    "Ctrl-C": (receiving(signal.SIGINT), cli.EXIT_INTERRUPTED),
}


def acts(trials):
    """The names of the acts that change files in a training left alone, in order."""
    read, write = os.pipe()
    writes = Writes()

    @contextlib.contextmanager
    def told():
        try:
            with writes:
                yield
        finally:
            os.write(write, " ".join(writes.names).encode())

    trials.train(trials.folder / "counted", around=told())
    os.close(write)
    with open(read) as names:
        return names.read().split()


def fault(trials, kind, last, name):
    """A fault of a kind at the act number `last`, and what it leaves behind."""
    act, status = FAULTS[kind]
    out = trials.folder / f"{kind} at act {last}, {name}"
    found, said = Training(trials.dataset, out, around=Writes(last, act)).end()
    # A removal that fails, and a signal when all is done, need not end the training otherwise.
    require(found in (0, status), f"{out.name}: exit status {found}, not {status}: {said}")
    require(found != 2 or len(said) == 1, f"{out.name}: not one line but {said}")
    require(found < 0 or not list(out.rglob("*.tmp")), f"{out.name}: a temporary file is left behind")
    newest = out / "checkpoint.pkl"
    if newest.exists():
        for age in (0, *checkpoint.kept(newest)):
            checkpoint.load(checkpoint.older(newest, age))
    trials.finish(out, kind)


# Faults of other kinds: each a function of Trials.


def full_disk(trials):
    """A disk that really fills up, and a limit on files that the system enforces."""
    out = trials.half("file size limit")
    most = (out / "checkpoint.pkl").stat().st_size // 2
    before = (out / "checkpoint.pkl").read_bytes()
    lines = trials.train(out, 2, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
    require("File too large" in lines[0] and "--resume" in lines[0], lines)
    require((out / "checkpoint.pkl").read_bytes() == before, "the checkpoint is not as it was")
    trials.finish(out, "limit on file size")

    disk = trials.folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], capture_output=True).returncode:
        print("no disk could be mounted to be filled: that is for root")
        return
    try:
        shutil.copytree(trials.half("to be moved"), disk / "run")
        with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 12))
        lines = trials.train(disk / "run", 2)
        require("No space left on device" in lines[0], lines)
        (disk / "filler").unlink()
        trials.finish(disk / "run", "disk that is full")
    finally:
        subprocess.run(["umount", disk], check=True)


def read_only_folder(trials):
    """A folder that the user may not write, tried as one whom permission bits bind."""
    out = trials.half("read-only folder")
    before = content(out)
    modes = {path: path.stat().st_mode for path in (out, *out.rglob("*"), *out.parents[: 1 if os.getuid() else 0])}
    for path in modes:
        path.chmod(0o555 if path.is_dir() else 0o444)
    trials.folder.chmod(0o755)
    lines = trials.train(out, 2, before=lambda: os.setuid(NOBODY) if os.getuid() == 0 else None)
    require("cannot be written" in lines[0] and content(out) == before, lines)
    for path, mode in modes.items():
        path.chmod(mode)
    trials.finish(out, "read-only folder")


def jumping_clock(trials):
    """A clock that jumps by a year, back and forth, each time it is asked."""
    sign = [1]

    def jumps(real=time.time):
        sign[0] = -sign[0]
        return real() + sign[0] * YEAR

    out = trials.folder / "clock"
    trials.train(out, around=mock.patch("time.time", jumps))
    trials.finish(out, "clock that jumps")


def two_processes(trials):
    """A second process in the folder of a run under way, as a start and as a resume: it is refused, the first goes on."""
    for steps in (STEPS, HALF):
        out = trials.half("two processes") if steps == STEPS else trials.folder / "two starts"
        (ready, say_ready), (may_go, say_go) = os.pipe(), os.pipe()

        def wait():
            os.write(say_ready, b"1")
            os.read(may_go, 1)

        first = Training(trials.dataset, out, around=Writes(15, wait))
        os.read(ready, 1)
        lines = trials.train(out, 2)
        require("is training in" in lines[0], lines)
        os.write(say_go, b"1")
        status, said = first.end()
        require(status == 0, f"the first of two processes: exit status {status}: {said}")
        trials.finish(out, "two processes on one folder")


def damaged_checkpoints(trials):
    """The newest checkpoints damaged on the disk: the newest good one is taken, and the damaged one kept for a look."""
    damages = {
        "flipped bit": lambda whole: whole[:-9000] + bytes([whole[-9000] ^ 4]) + whole[-8999:],
        "cut in half": lambda whole: whole[: len(whole) // 2],
        "emptied": lambda whole: b"",
        "overwritten with zeros": lambda whole: bytes(len(whole)),
        "replaced by code": lambda whole: b"cos\nsystem\n(S'true'\ntR.",
    }
    for name, damaged in damages.items():
        for count in (1, 2, KEEP):
            out = trials.half(f"{name}, {count} of {KEEP}")
            newest = out / "checkpoint.pkl"
            for path in [checkpoint.older(newest, age) for age in range(count)]:
                path.write_bytes(damaged(path.read_bytes()))
            before = content(out)
            if count == KEEP:
                trials.train(out, 2)
                require(content(out) == before, f"{out.name}: something was changed")
                trials.done["every checkpoint damaged"] += 1
                continue
            with contextlib.suppress(UserError):
                checkpoint.load(newest)
                require(False, f"{out.name}: the damage was not noticed")
            (said,) = trials.finish(out, "damaged checkpoint")
            require("taking the one kept from before it" in said, said)


OTHERS = (full_disk, read_only_folder, jumping_clock, two_processes, damaged_checkpoints)


def run(dataset, folder, every=1, progress=lambda trials: None):
    """All trials, or of those at each act one in `every`. Returns the number of acts, and {kind: trials}."""
    trials = Trials(dataset, folder)
    names = acts(trials)
    for other in OTHERS:
        other(trials)
        progress(trials)
    for offset, kind in enumerate(FAULTS):
        for last in range(1 + offset % every, len(names) + 1, every):
            fault(trials, kind, last, names[last - 1])
            progress(trials)
    return Counter(names), trials.done


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take one act in N (default: each)")
    parser.add_argument("--dataset", default="mnist")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tqdm(unit="trial", disable=None) as bar:
        names, done = run(
            options.dataset, Path(folder), options.every, lambda trials: bar.update(trials.done.total() - bar.n)
        )
    print(f"acts that change files in {STEPS} steps:", ", ".join(f"{count} {name}" for name, count in names.items()))
    for kind, count in done.items():
        print(f"{count:5d}  {kind}")
    print(f"{done.total()} trials; after each the run, resumed, ended as the one left alone")


if __name__ == "__main__":
    main()
