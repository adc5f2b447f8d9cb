"""Kills training processes at random moments, resumes each, and compares with a run left alone.

    python tests/kills.py --kills 200

Every second kill waits for the temporary file of a save, so that it lands inside one. The final
checkpoint's arrays, metrics.csv (but for seconds) and the sample pictures must be equal to the bit.
"""

import argparse
import csv
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from minigan import checkpoint
from minigan.rows import COLUMNS

LONGEST_LIFE = 0.25  # seconds between the first sign of life and the kill


def command(dataset, out, steps, resume=False):
    """The training command; it saves after every second step."""
    options = ["--out", str(out), "--steps", str(steps), "--quiet", "--checkpoint-steps", "2", "--threads", "1"]
    new = ["--dataset", str(dataset), "--batch-size", "8", "--sample-every", "7"]
    return [sys.executable, "-m", "minigan.train", *options, *(["--resume"] if resume else new)]


def saved_at(out):
    """A number that changes with every save."""
    try:
        return (out / "checkpoint.pkl").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def kill_once(process, out, before, inside_save, wait):
    """Waits for a sign of life, then a random while, then kills. Returns whether it hit a save."""
    while process.poll() is None and saved_at(out) == before:
        time.sleep(0.002)
    time.sleep(wait)
    temporary = out / f"checkpoint.pkl.{process.pid}.tmp"
    while inside_save and process.poll() is None and not temporary.exists():
        pass
    process.kill()
    process.wait()
    return temporary.exists()


def without_seconds(path):
    """The rows of metrics.csv but for the clock's."""
    with open(path, newline="") as rows:
        clock = COLUMNS.index("seconds")
        return [row[:clock] + row[clock + 1 :] for row in csv.reader(rows)]


def differences(a, b, path=""):
    """The paths at which two states differ."""
    if isinstance(a, dict):
        if not isinstance(b, dict) or a.keys() != b.keys():
            return [path or "/"]
        names = [name for name in a if name != "seconds"]
        return [found for name in names for found in differences(a[name], b[name], f"{path}/{name}")]
    return [] if np.array_equal(a, b) else [path]


def trial(dataset, kills, steps, seed, folder):
    """Runs once whole and once with `kills` kills. Returns (kills done, of them inside a save, differences)."""
    draw = random.Random(seed)
    whole, killed = folder / "whole", folder / "killed"
    subprocess.run(command(dataset, whole, steps), check=True)
    done = hits = 0
    while done < kills:
        before = saved_at(killed)
        process = subprocess.Popen(command(dataset, killed, steps, resume=before is not None), stderr=subprocess.PIPE)
        hits += kill_once(process, killed, before, done % 2 == 1, draw.uniform(0, LONGEST_LIFE))
        if process.returncode != -9:
            raise SystemExit(
                f"the run ended before kill {done + 1}: {process.stderr.read().decode()}; use more --steps"
            )
        done += 1
    subprocess.run(command(dataset, killed, steps, resume=True), check=True, stderr=subprocess.DEVNULL)
    found = differences(*(checkpoint.load(run / "checkpoint.pkl") for run in (whole, killed)))
    if without_seconds(whole / "metrics.csv") != without_seconds(killed / "metrics.csv"):
        found.append("metrics.csv")
    for picture in (whole / "samples").iterdir():
        if (killed / "samples" / picture.name).read_bytes() != picture.read_bytes():
            found.append(picture.name)
    return done, hits, found


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, help="default: 60 a kill")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dataset", default="mnist")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done, hits, found = trial(
            arguments.dataset, arguments.kills, arguments.steps or 60 * arguments.kills, arguments.seed, Path(folder)
        )
    print(f"{done} kills, {hits} of them inside a save; differences from a run left alone: {found or 'none'}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
