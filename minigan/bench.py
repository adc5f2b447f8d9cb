"""python -m minigan.bench: how long a training step takes, and against PyTorch, which takes how much longer."""

import json
import platform
import sys

from tqdm import tqdm

from minigan import backend, benchmark, cli
from minigan.errors import UserError
from minigan.recipes import RECIPES


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.bench",
        description="Time whole training steps on the CPU. With --against torch the same step in PyTorch takes turns "
        "with ours, and the ratio is taken round by round: on a shared machine only ratios mean something.",
    )
    p.add_argument(
        "--recipe", choices=sorted(RECIPES), default="chaudhary2024", help="what to train (default: %(default)s)"
    )
    p.add_argument("--batch-size", type=cli.positive_int, metavar="N", help="images in a step (default: the paper's)")
    p.add_argument(
        "--generator", action="store_true", help="time the generator alone, in eval mode, instead of training steps"
    )
    p.add_argument("--against", choices=("torch",), help="the competitor; it must be installed")
    p.add_argument(
        "--rounds",
        type=cli.positive_int,
        default=11,
        metavar="N",
        help="turns of each competitor (default: %(default)s)",
    )
    p.add_argument("--threads", type=cli.positive_int, metavar="N", help="CPU threads (default: all cores)")
    p.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    backend.set_threads(arguments.threads)
    threads = backend.thread_count()
    batch_size = arguments.batch_size or RECIPES[arguments.recipe].batch_size
    ours, theirs = benchmark.training_step, benchmark.torch_training_step
    if arguments.generator:
        ours, theirs = benchmark.generation, benchmark.torch_generation
    steps = {"minigan": ours(arguments.recipe, batch_size)}
    if arguments.against:
        try:
            name, step = theirs(arguments.recipe, batch_size, threads)
        except ImportError:
            raise UserError("--against torch: PyTorch is not installed here; pip install torch") from None
        steps[name] = step
    with tqdm(total=arguments.rounds * len(steps), unit="turn", leave=False, disable=arguments.json) as bar:
        timings = benchmark.take_turns(steps, arguments.rounds, bar.update)
    rows = []
    for timing in timings:
        row = {"name": timing.name, "ms": 1e3 * timing.median, "images_per_second": batch_size / timing.median}
        if timing is not timings[0]:
            row["ratio"] = dict(zip(("median", "least", "greatest"), benchmark.ratios(timings[0], timing)))
        rows.append(row)
    report = {
        "recipe": arguments.recipe, "what": "the generator alone, eval" if arguments.generator else "a whole training step",
        "batch_size": batch_size, "threads": threads, "rounds": arguments.rounds,
        "machine": f"{_processor()}, Python {platform.python_version()}", "steps": rows,
    }  # fmt: skip
    print(json.dumps(report, indent=2) if arguments.json else _table(report))
    return 0


def _table(report):
    lines = [
        f"{report['recipe']}, batch {report['batch_size']}, {report['what']}; medians of {report['rounds']} rounds",
        f"on {report['machine']}, threads: {report['threads']}",
        f"{'':24}{'ms':>9}{'images/s':>10}",
    ]
    for row in report["steps"]:
        lines.append(f"{row['name']:24}{row['ms']:9.2f}{row['images_per_second']:10.0f}")
        if "ratio" in row:
            ratio = row["ratio"]
            lines.append(
                f"minigan takes {ratio['median']:.2f} of {row['name']}'s time "
                f"(from {ratio['least']:.2f} to {ratio['greatest']:.2f} over the rounds)"
            )
    return "\n".join(lines)


def _processor():
    if sys.platform == "linux":
        with open("/proc/cpuinfo") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    cli.run(main)
