"""python -m minigan.bench: how fast training is here, whole and kernel by kernel, and against PyTorch."""

import datetime
import json
import platform

from tqdm import tqdm

from minigan import backend, cli, contests, environment, gpu_benchmark, gpu_contests
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
GPU_COLUMNS = [
    ("calls", "calls", "{:d}"),
    ("ms", "ms", "{:.4f}"),
    ("images_per_second", "images/s", "{:.0f}"),
    ("tflops", "TFLOP/s", "{:.2f}"),
    ("share_of_peak", "of matrix rate", "{:.1%}"),
    ("share_of_copy", "of copy", "{:.0%}"),
    ("difference", "difference", "{:.0e}"),
    ("torch_ms", "PyTorch ms", "{:.4f}"),
    ("ratio", "ratio", "{0[median]:.2f} ({0[least]:.2f} to {0[greatest]:.2f})"),
]
NOTES = """\
GFLOP/s counts two operations for each product of the convolutions' definition, whatever the algorithm does;
"of peak" is its share of a large matrix product's rate, timed in turn with it. Memory is how much a process of
its own grew, from before the images were read to the peak of ten steps. Ratio: minigan's time as a share of
PyTorch's, the median of the rounds, and the least and greatest."""
GPU_NOTES = f"""\
Times are the host's clock around {gpu_benchmark.TURN_SECONDS} seconds of work and the wait for the device; kernels',
in CUDA graphs of {gpu_benchmark.CALLS} calls on the same arrays, which a large cache may hold. TFLOP/s counts two operations for
each product of the convolutions' definition; "of matrix rate" is its share of the matrix product's above, "of copy" that of a
kernel's arrays, each read or written once, of the copy bandwidth above. Difference: the largest between a
convolution's result and PyTorch's, as a share of the largest value. Ratio: the first row's time (minigan's) as
a share of this one's, the median of the rounds, and the least and greatest."""


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.bench",
        description="Time training: whole steps, the generator alone, every kernel, batch sizes and, on the CPU, "
        "thread counts (some minutes for all). With --against torch the same work in PyTorch takes turns with ours, "
        "and ratios are taken round by round: on a shared machine only ratios mean something.",
    )
    p.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="where to train (default: %(default)s)")
    p.add_argument(
        "--precision", choices=backend.PRECISIONS, help="what a GPU computes in, PyTorch alike (default: float32)"
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
    report, contest = (_on_gpu if arguments.device == "gpu" else _on_cpu)(arguments)
    competition, columns, notes = contests, COLUMNS, NOTES
    if arguments.device == "gpu":
        competition, columns, notes = gpu_contests, GPU_COLUMNS, GPU_NOTES
    names = [arguments.recipe] if arguments.recipe else list(RECIPES)
    if not arguments.json:
        print(_header(report), flush=True)
    for section in arguments.only or competition.SECTIONS:
        measurements = list(competition.measurements(contest, section, names, arguments.batch_size))
        rows = report["sections"][section] = []
        for measure in tqdm(measurements, desc=section, unit="measurement", leave=False, disable=None):
            rows += measure()
        if not arguments.json:
            print(f"\n{SECTIONS[section]}\n\n{_table(columns, rows)}", flush=True)
    print(json.dumps(report, indent=2) if arguments.json else f"\n{notes}")
    return 0


def _on_cpu(arguments):
    """(the report without its sections, the Contest). Raises UserError for what only a GPU has."""
    if arguments.precision:
        raise UserError("--precision is for --device gpu: the CPU is no faster in another")
    backend.set_threads(arguments.threads)
    torch = _torch() if arguments.against else None
    contest = contests.Contest(arguments.rounds, backend.thread_count(), torch is not None)
    machine = f"{environment.cpu_name()}, Python {platform.python_version()}" + (f", PyTorch {torch}" if torch else "")
    report = {"machine": machine, "threads": backend.thread_count(), "rounds": arguments.rounds, "sections": {}}
    return report, contest


def _on_gpu(arguments):
    """(the report without its sections, the Contest). Raises UserError for what only the CPU has."""
    if arguments.threads:
        raise UserError("--threads is for --device cpu")
    for section in arguments.only or ():
        if section not in gpu_contests.SECTIONS:
            raise UserError(f"--only {section} is for --device cpu; a GPU has {', '.join(gpu_contests.SECTIONS)}")
    backend.select_device("gpu")
    if arguments.against:
        _torch()
    precision = arguments.precision or "float32"
    contest = gpu_contests.Contest(arguments.rounds, precision, bool(arguments.against))
    report = {
        "machine": contest.machine(), "date": datetime.date.today().isoformat(), "precision": precision,
        "rounds": arguments.rounds, "limits": contest.limits, "sections": {},
    }  # fmt: skip
    return report, contest


def _header(report):
    """The lines above the tables: the machine, how it was used, and what it can do at most."""
    how = f"threads: {report['threads']}" if "threads" in report else f"{report['precision']}, {report['date']}"
    lines = [f"{report['machine']}, {how}; medians of {report['rounds']} rounds"]
    lines += [f"  {name}: {limit['value']:.4g} {limit['unit']}" for name, limit in report.get("limits", {}).items()]
    return "\n".join(lines)


def _table(columns, rows):
    columns = [column for column in columns if any(column[0] in row for row in rows)]
    lines, what = [["", *(heading for _, heading, _ in columns)]], None
    for row in rows:
        if row["what"] != what:
            what = row["what"]
            lines.append([what])
        cells = [
            form.format(row[key]) if row.get(key) not in (None, "") else "" for key, _, form in columns
        ]  # fmt: skip
        name = "  " + row["name"]
        lines.append([f"{name}: failed ({row['failure']})"] if "failure" in row else [name, *cells])
    full = [line for line in lines if len(line) > 1]
    widths = [max(len(line[i]) for line in full) for i in range(len(columns) + 1)]
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


if __name__ == "__main__":
    cli.run(main)
