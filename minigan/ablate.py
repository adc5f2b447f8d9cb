"""python -m minigan.ablate: short trainings of jeganathan2025 with one thing changed, side by side."""

import sys
from pathlib import Path

from tqdm import tqdm

from minigan import ablation, backend, cli, evaluation, judge
from minigan.errors import UserError


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.ablate",
        description="Try the causes that the paper of jeganathan2025 names, each by a short training without it: "
        + "; ".join(f"{name}: {variant.claim}" for name, variant in ablation.VARIANTS.items())
        + ". The last one is tried on a GPU only. What is there already is not trained again.",
    )
    p.add_argument("--out", type=cli.path, metavar="DIR", help="where the trainings are kept")
    p.add_argument(
        "--compare", nargs="+", type=cli.path, metavar="RUN",
        help="train nothing: describe how the losses end in the folders of runs, over the steps that all of them have",
    )  # fmt: skip
    p.add_argument("--steps", type=cli.positive_int, default=1400, metavar="N", help="of each (default: %(default)s)")
    p.add_argument("--seeds", type=cli.positive_int, default=2, metavar="N", help="0 to N - 1 (default: %(default)s)")
    p.add_argument(
        "--count", type=cli.positive_int, default=2000, metavar="N", help="images scored (default: %(default)s)"
    )
    p.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="auto takes a GPU if one can be used"
    )
    p.add_argument("--precision", choices=tuple(backend.PRECISIONS), default="float32",
                   help="of the products, as minigan.train's (default: %(default)s)")  # fmt: skip
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.compare:
        print(ablation.table(ablation.of_runs(arguments.compare)))
        return 0
    if not arguments.out:
        raise UserError("--out is missing: name a folder for the trainings (or --compare runs that are there)")
    evaluation.check_count(arguments.count)
    if arguments.steps < 2:
        raise UserError(f"--steps {arguments.steps}: how a loss jumps from step to step takes two steps or more")
    folder, device = Path(arguments.out), backend.select_device(arguments.device, arguments.precision)
    trainings = [(variant, seed) for variant in ablation.variants(device) for seed in range(arguments.seeds)]
    for number, (variant, seed) in enumerate(trainings, 1):
        print(f"Training {number} of {len(trainings)}: {variant}, seed {seed}", flush=True)
        try:
            ablation.train(folder, variant, seed, arguments.steps, arguments.count, device, arguments.precision)
        except OSError as error:
            raise UserError(f"--out {folder} cannot be written: {error.strerror}") from None
    quiet = None if sys.stderr else True
    with tqdm(total=len(trainings), desc="scoring", unit="training", disable=quiet, leave=False) as bar:
        reference = evaluation.Reference("mnist", judge.load(), device)
        wanted = device, arguments.precision, range(arguments.seeds), arguments.steps, arguments.count
        found = ablation.results(folder, *wanted, reference, bar.update)
    print(ablation.table(found))
    print(ablation.verdicts(found))
    return 0


if __name__ == "__main__":
    cli.run(main)
