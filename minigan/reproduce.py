"""python -m minigan.reproduce: a recipe trained from several seeds, and scored beside the same recipe trained otherwise."""

import importlib.util
import sys
from pathlib import Path

from tqdm import tqdm

from minigan import backend, cli, data, evaluation, judge, reproduction, reproduction_figures
from minigan.errors import UserError
from minigan.recipes import RECIPES


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.reproduce",
        description="Train a recipe from several seeds, draw images from each and score them; with --against torch also "
        "the same recipe in PyTorch, with a precision also in that, each with the 95% interval of the difference of the "
        "means. What is there already is not trained again: after Ctrl-C, or with more --seeds, the same command goes on.",
    )
    p.add_argument("recipe", choices=sorted(RECIPES), help="the paper")
    p.add_argument("--out", type=cli.path, required=True, metavar="DIR", help="where trainings and images are kept")
    p.add_argument("--seeds", type=cli.positive_int, default=5, metavar="N", help="0 to N - 1 (default: %(default)s)")
    p.add_argument("--first-seed", type=cli.seed, default=0, metavar="N", help="instead of 0")
    p.add_argument("--epochs", type=cli.positive_int, metavar="N", help="of each training (default: the paper's)")
    p.add_argument("--steps", type=cli.positive_int, metavar="N", help="of each training, instead of epochs")
    p.add_argument("--against", action="append", choices=("torch", *backend.PRECISIONS), default=[], metavar="OTHER",
                   help="train the same recipe also in PyTorch (torch), or by minigan in another precision; may be given "
                   "several times (%(choices)s)")  # fmt: skip
    p.add_argument(
        "--ema", type=cli.decay, metavar="DECAY", help="score a moving average of our generator's weights, too"
    )
    p.add_argument("--count", type=cli.positive_int, default=evaluation.COUNT, metavar="N",
                   help="images of each training that are scored (default: %(default)s)")  # fmt: skip
    p.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="auto takes a GPU if one can be used"
    )
    p.add_argument("--precision", choices=tuple(backend.PRECISIONS), default="float32",
                   help="of the products, as minigan.train's (default: %(default)s)")  # fmt: skip
    p.add_argument("--only", choices=("train", "score"), help="do the first or the second half of the work")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    evaluation.check_count(arguments.count)
    if arguments.precision in arguments.against:
        raise UserError(f"--against {arguments.precision}: that is what minigan trains in already; see --precision")
    if "torch" in arguments.against and not importlib.util.find_spec("torch"):
        raise UserError("--against torch: PyTorch is not installed; pip install torch")
    folder = Path(arguments.out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {folder} cannot be written: {error.strerror}") from None
    if arguments.only == "score":
        device = backend.select_device(arguments.device)
    else:
        device = _device(arguments)
        _train(arguments, folder, device)
    if arguments.only == "train":
        return 0
    wanted = folder, _seeds(arguments), _steps(arguments), arguments.count
    sets = len(reproduction.trainings(*wanted))
    if not sets:
        raise UserError(
            f"--only score: of these seeds, steps and --count no images are in {folder}; run it without --only first"
        )
    with _bar(sets, "scoring", "set") as bar:
        found = reproduction.scored(*wanted, evaluation.Reference("mnist", judge.load(), device), bar.update)
    print(reproduction.tables(found))
    for path in reproduction_figures.write(folder, _seeds(arguments)):
        print(f"Figure: {path}")
    return 0


def _device(arguments):
    """Where to train. Raises UserError where that cannot be done in all precisions asked for."""
    asked = [("--against", other) for other in arguments.against if other != "torch"]
    asked.append(("--precision", arguments.precision))
    option, lower = next((pair for pair in asked if pair[1] != "float32"), ("--precision", "float32"))
    device = backend.select_device(arguments.device, lower, option)
    for _, precision in asked:
        backend.set_precision(precision, device)
    return device


def _train(arguments, folder, device):
    recipe = RECIPES[arguments.recipe]
    steps = _steps(arguments)
    for seed in _seeds(arguments):
        wanted = folder, recipe.name, seed, steps, arguments.count, device, arguments.precision
        reproduction.train_ours(*wanted, arguments.ema)
        for other in dict.fromkeys(arguments.against):
            if other == "torch":
                with _bar(steps, f"PyTorch, seed {seed}", "step") as bar:
                    reproduction.train_in_torch(*wanted, bar.update)
            else:
                reproduction.train_ours(*wanted[:-1], other, who=reproduction.IN_PRECISION[other])


def _seeds(arguments):
    return range(arguments.first_seed, arguments.first_seed + arguments.seeds)


def _steps(arguments):
    """The steps of each training."""
    recipe = RECIPES[arguments.recipe]
    per_epoch = len(data.load_images("mnist", recipe.splits)) // recipe.batch_size
    return arguments.steps or (arguments.epochs or recipe.epochs) * per_epoch


def _bar(total, what, unit):
    return tqdm(
        total=total, desc=what, unit=unit, disable=None if sys.stderr else True, dynamic_ncols=True, leave=False
    )


if __name__ == "__main__":
    cli.run(main)
