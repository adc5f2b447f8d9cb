"""python -m minigan.bench: how fast training is here, whole and kernel by kernel, and against PyTorch."""

import json
import platform
import sys

from tqdm import tqdm

from minigan import backend, cli, contests
from minigan.errors import UserError
from minigan.recipes import RECIPES

SECTIONS = {
    "steps": "A whole training step",
    "generator": "The generator alone, in eval mode",
    "kernels": "The kernels of a training step",
    "threads": "A training step with one thread and with all (3 rounds at most)",
    "batches": "A training step of growing batches (3 rounds at most)",
}
# (key of a row, heading, how it is written)
COLUMNS = [
    ("calls", "calls", "{:d}"),
    ("algorithm", "algorithm", "{}"),
    ("threads", "threads", "{:d}"),
    ("ms", "ms", "{:.2f}"),
    ("images_per_second", "images/s", "{:.0f}"),
    ("gflops", "GFLOP/s", "{:.0f}"),
    ("share_of_peak", "of peak", "{:.0%}"),
    ("memory_mb", "memory MB", "{:.0f}"),
    ("speedup", "speedup", "{:.2f}"),
    ("torch_ms", "PyTorch ms", "{:.2f}"),
    ("ratio", "ratio", "{0[median]:.2f} ({0[least]:.2f} to {0[greatest]:.2f})"),
]
NOTES = """\
GFLOP/s counts two operations for each product of the convolutions' definition, whatever the algorithm does;
"of peak" is its share of a large matrix product's rate, timed in turn with it. Memory is how much a process of
its own grew, from before the images were read to the peak of ten steps. Ratio: minigan's time as a share of
PyTorch's, the median of the rounds, and the least and greatest."""


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.bench",
        description="Time training on the CPU: whole steps, the generator alone, every kernel, thread counts and "
        "batch sizes (some minutes for all). With --against torch the same work in PyTorch takes turns with ours, "
        "and ratios are taken round by round: on a shared machine only ratios mean something.",
    )
    p.add_argument("--recipe", choices=sorted(RECIPES), help="one recipe only (default: both)")
    p.add_argument("--batch-size", type=cli.positive_int, metavar="N", help="images in a step (default: see the table)")
    p.add_argument(
        "--only", choices=SECTIONS, nargs="+", metavar="SECTION", help=f"some sections only: {', '.join(SECTIONS)}"
    )
    p.add_argument("--against", choices=("torch",), help="the competitor; it must be installed")
    p.add_argument(
        "--rounds",
        type=cli.positive_int,
        default=7,
        metavar="N",
        help="turns of each competitor (default: %(default)s)",
    )
    p.add_argument("--threads", type=cli.positive_int, metavar="N", help="CPU threads (default: all cores)")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    backend.set_threads(arguments.threads)
    torch = _torch() if arguments.against else None
    contest = contests.Contest(arguments.rounds, backend.thread_count(), torch is not None)
    report = {
        "machine": f"{_processor()}, Python {platform.python_version()}" + (f", PyTorch {torch}" if torch else ""),
        "threads": backend.thread_count(), "rounds": arguments.rounds, "sections": {},
    }  # fmt: skip
    names = [arguments.recipe] if arguments.recipe else list(RECIPES)
    if not arguments.json:
        print(f"{report['machine']}, threads: {report['threads']}; medians of {report['rounds']} rounds")
    for section in arguments.only or SECTIONS:
        measurements = list(contests.measurements(contest, section, names, arguments.batch_size))
        rows = report["sections"][section] = []
        for measure in tqdm(measurements, desc=section, unit="measurement", leave=False, disable=None):
            rows += measure()
        if not arguments.json:
            print(f"\n{SECTIONS[section]}\n\n{_table(rows)}", flush=True)
    print(json.dumps(report, indent=2) if arguments.json else f"\n{NOTES}")
    return 0


def _table(rows):
    columns = [column for column in COLUMNS if any(column[0] in row for row in rows)]
    lines, what = [["", *(heading for _, heading, _ in columns)]], None
    for row in rows:
        if row["what"] != what:
            what = row["what"]
            lines.append([what])
        cells = [
            form.format(row[key]) if row.get(key) not in (None, "") else "" for key, _, form in columns
        ]  # fmt: skip
        lines.append(["  " + row["name"], *cells])
    widths = [max(len(line[i]) for line in lines if i < len(line)) for i in range(len(columns) + 1)]
    return "\n".join(
        "  ".join(
            f"{cell:<{w}}" if i == 0 else f"{cell:>{w}}" for i, (cell, w) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    )


def _torch():
    try:
        import torch
    except ImportError:
        raise UserError("--against torch: PyTorch is not installed here; pip install torch") from None
    return torch.__version__


def _processor():
    if sys.platform == "linux":
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    cli.run(main)
