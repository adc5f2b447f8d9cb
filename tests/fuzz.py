"""Hands mutants of checkpoints, data sets and other files to their readers, and counts what happens.

    python tests/fuzz.py --mutants 10000 --seed 1

The promise (hostile/promise.py): no code of a file runs, memory is bounded by the file's size, no process crashes or
hangs, and the answer is what the file holds or one line. One mutant in 200 goes to the real command: exit code 2, one
line on standard error, nothing changed. A mutant about which the promise is broken is kept in --found, and read again,
alone, with --target, --seed and --only.
"""

import argparse
import collections
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

from hostile import attacks, checkpoints, commands, idx_files, other_files, workers
from hostile.promise import READ, REFUSED

TARGETS = {
    target.name: target for target in (checkpoints.TARGET, idx_files.TARGET, *other_files.TARGETS, checkpoints.CORPUS)
}
# Of --mutants; the files that a run and its judge leave come on top.
SHARES = {"checkpoint": 0.75, "idx": 0.25, "images": 0.04, "judge": 0.03, "doctor": 0.02, "report": 0.01}
A_COMMAND = 200  # one mutant in so many goes to the real command


def main(argv=None):
    """The command: 1 where the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutants", type=int, default=10_000, help="of checkpoints and IDX files")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--target", choices=(*TARGETS, "all"), default="all")
    parser.add_argument("--only", type=int, metavar="N", help="read mutant N of the target alone")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--found", type=Path, default=Path("runs/fuzz"), help="where files that break the promise go")
    arguments = parser.parse_args(argv)
    counts, broken = collections.defaultdict(collections.Counter), []

    def take(target, result):
        row = counts[target, "" if target == "corpus" else result.kind]
        row[result.outcome.kind if result.outcome.kind in (READ, REFUSED) else "broken"] += 1
        row["sealed"] += result.sealed
        if result.outcome.kind not in (READ, REFUSED):
            broken.append(f"{target} {result.number}, {result.kind}: {result.outcome.kind}, {result.outcome.detail}")

    with tqdm(disable=None, unit="file", dynamic_ncols=True) as bar:
        for target, result in results(arguments):
            take(target, result)
            bar.update()
    print(table(counts))
    for line in broken[:50]:
        print(line)
    total = sum(row[READ] + row[REFUSED] + row["broken"] for row in counts.values())
    print(f"{total:,} files, seed {arguments.seed}: the promise was broken {len(broken)} times")
    return int(bool(broken))


def results(arguments):
    """(the target's name, Result) of every mutant, and of the corpus."""
    counts = {name: round(share * arguments.mutants) for name, share in SHARES.items()}
    if arguments.target != "all":
        counts = {arguments.target: arguments.mutants}
    if arguments.target in ("all", "corpus"):
        counts["corpus"] = len(attacks.corpus())
    for name, count in counts.items():
        numbers = range(count) if arguments.only is None else [arguments.only]
        for result in workers.fuzz(TARGETS[name], numbers, arguments.seed, arguments.found, arguments.processes):
            yield name, result
        if arguments.only is not None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            for result, content in commands.mutants(TARGETS[name], arguments.seed, count // A_COMMAND, Path(folder)):
                if result.outcome.kind not in (READ, REFUSED):
                    arguments.found.mkdir(parents=True, exist_ok=True)
                    (arguments.found / f"{name}_{arguments.seed}_command_{result.number}").write_bytes(content)
                yield name, result


def table(counts):
    """The counts of mutants by target, kind and outcome, as text."""
    lines = [("file", "mutation", "files", "checksum right", REFUSED, READ, "broken")]
    total = collections.Counter()
    for (target, kind), row in sorted(counts.items()):
        lines.append(
            (
                target,
                kind,
                row[REFUSED] + row[READ] + row["broken"],
                *(row[n] for n in ("sealed", REFUSED, READ, "broken")),
            )
        )
        total += row
    lines.append(
        (
            "all",
            "",
            total[REFUSED] + total[READ] + total["broken"],
            *(total[n] for n in ("sealed", REFUSED, READ, "broken")),
        )
    )
    lines = [[str(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join(
        "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))) for line in lines
    )


if __name__ == "__main__":
    sys.exit(main())
