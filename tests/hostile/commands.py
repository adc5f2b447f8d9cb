"""Mutants handed to the real commands, in processes of their own: exit code 2, one line, and nothing changed."""

import random
import shutil
import subprocess
import sys

from hostile import checkpoints, idx_files, other_files
from hostile.promise import READ, REFUSED, Outcome, listing
from hostile.workers import Result

SECONDS = 120  # a command may take, where the machine is busy


def run(module, *arguments):
    """The finished process of a command."""
    return subprocess.run(
        [sys.executable, "-m", f"minigan.{module}", *map(str, arguments)],
        capture_output=True, text=True, errors="replace", timeout=SECONDS, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def mutants(target, seed, count, folder):
    """Yields the Results of so many mutants of a target, each handed to a command; none for a target without one."""
    if target.name not in _COMMANDS:
        return
    prepare, arguments = _COMMANDS[target.name]
    good, seeds = prepare(folder, target)
    for number in range(count):
        made = random.Random(f"{target.name} {seed} command {number}")
        kind, sealed, content = target.make(made, seeds, number)
        place, out = folder / "mutant", folder / "out"
        shutil.copytree(good.parent, place)
        path = target.put(place / good.name, content)
        before = listing(place)
        try:
            process = run(*arguments(path, out, number))
            outcome = _judged(process, listing(place) != before or out.exists())
        except subprocess.TimeoutExpired:
            outcome = Outcome("hang", f"more than {SECONDS} seconds")
        yield Result(number, f"command: {kind}", sealed, outcome), content
        shutil.rmtree(place)
        if out.exists():
            shutil.rmtree(out) if out.is_dir() else out.unlink()


def _judged(process, changed):
    lines = [line for line in process.stderr.splitlines() if "compiling the CPU kernels" not in line]
    if process.returncode == 0:
        return Outcome(READ, "")
    if process.returncode != 2:
        return Outcome(f"exit {process.returncode}", process.stderr[-500:])
    if len(lines) != 1 or not lines[0].isprintable():
        return Outcome("several lines", process.stderr[-500:])
    return Outcome("changed" if changed else REFUSED, lines[0])


def _full_run(folder, target):
    """A run of the recipe as it is, after one step, and its checkpoint as the only seed."""
    images = checkpoints.write_images(folder / "images")
    options = ["--dataset", images, "--batch-size", "4", "--steps", "1", "--keep", "1", "--threads", "1", "--quiet"]
    made = run("train", *options, "--out", folder / "run")
    if made.returncode:
        raise SystemExit(f"no run could be made: {made.stderr}")
    path = folder / "run" / "checkpoint.pkl"
    return path, [path.read_bytes()]


def _as_prepared(folder, target):
    return target.prepare(folder)


def _use_checkpoint(path, out, number):
    if number % 2:
        return "sample", path, "--count", "4", "--out", out.with_suffix(".png")
    return "train", "--resume", path, "--steps", "1", "--threads", "1"


def _use_images(path, out, number):
    return "train", "--dataset", path.parent, "--batch-size", "4", "--steps", "1", "--threads", "1", "--out", out


_COMMANDS = {
    checkpoints.TARGET.name: (_full_run, _use_checkpoint),
    idx_files.TARGET.name: (_as_prepared, _use_images),
    other_files.REPORT.name: (_as_prepared, lambda path, out, number: ("report", path.parent)),
    other_files.DOCTOR.name: (_as_prepared, lambda path, out, number: ("doctor", path.parent)),
}
