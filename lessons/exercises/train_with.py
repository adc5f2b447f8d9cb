"""python lessons/exercises/train_with.py my_folder: trains chaudhary2024 with your own convolutions (exercises 7 and 8).

Your conv2d, and if they are written your conv_transpose2d and conv2d_weight_gradient, take the place of the library's
kernels; everything else is the library's. The losses should be those that the library itself has.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from checks.ex07_convolution import kernel_of
from checks.ex08_transposed_convolution import transposed_kernel_of, weight_kernel_of
from grading import student
from grading.check import Mistake
from minigan import kernels, plots, recipes, training
from minigan.settings import default_settings
from tqdm import tqdm

CONV2D, TRANSPOSED = "ex07_convolution.py", "ex08_transposed_convolution.py"
NAMES = {
    "conv2d": "conv2d",
    "conv_transpose2d": "conv_transpose2d",
    "conv2d_weight": "conv2d_weight_gradient",
}  # in the exercises
ALIKE = 0.01  # of a loss in the first steps; later, rounding may grow
FIRST_STEPS = 3


class Unusable(Exception):
    """What keeps the training from starting, or going on, in one line."""


def written_kernels(folder):
    """{kernel: function} of what the folder holds, with the library's arguments, and what is not written, as text."""
    if not folder.is_dir():
        raise Unusable(f"there is no folder {folder}")
    if not (folder / CONV2D).is_file():
        raise Unusable(f"there is no {CONV2D} in {folder}: copy it from lessons/exercises and fill it in")
    found, missing = {"conv2d": kernel_of(_load(folder / CONV2D).conv2d)}, []
    if (folder / TRANSPOSED).is_file():
        answers = _load(folder / TRANSPOSED)
        found["conv_transpose2d"] = transposed_kernel_of(answers.conv_transpose2d)
        found["conv2d_weight"] = weight_kernel_of(answers.conv2d_weight_gradient)
    else:
        missing.append(f"there is no {TRANSPOSED}: its two kernels are the library's")
    one, geometry = np.ones((1, 1, 1, 1), np.float32), ((1, 1), (0, 0, 0, 0), (1, 1))
    for name in list(found):
        try:
            found[name](one, one, *geometry, np.empty_like(one))
        except NotImplementedError:
            if name == "conv2d":
                raise Unusable(f"conv2d in {CONV2D} is not written yet") from None
            del found[name]
            missing.append(f"{NAMES[name]} is not written yet: it is the library's")
        except Exception as error:
            raise Unusable(f"{NAMES[name]} of 1 x 1 pixels: {_one_line(error, folder)}") from None
    return found, missing


def train(steps, called, **replaced):
    """(the run, its rows of metrics.csv) after some steps; called() after each call of one of the three kernels."""

    def counted(kernel):
        def count(*arguments):
            out = kernel(*arguments)
            called()
            return out

        return count

    own = kernels.for_device("cpu")
    chosen = {name: replaced.get(name, getattr(own, name)) for name in NAMES}
    run = training.Run(default_settings(recipes.chaudhary2024, steps=steps), "cpu", graph=False)
    rows = []
    with kernels.use(**{name: counted(kernel) for name, kernel in chosen.items()}):
        try:
            while run.step < steps:
                rows.append(run.advance())
        except KeyboardInterrupt:
            print(f"stopped after {len(rows)} of {steps} steps", file=sys.stderr)
    return run, rows


def main(argv=None):
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="my_folder", help=f"holds {CONV2D}, and {TRANSPOSED} perhaps")
    parser.add_argument("--steps", type=int, default=20, metavar="N", help="training steps (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("runs/train_with.png"), metavar="FILE.png", help="(default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    try:
        _train_and_compare(arguments)
    except Unusable as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    return 0


def _train_and_compare(arguments):
    if arguments.steps < 1:
        raise Unusable(f"--steps {arguments.steps}: at least 1")
    if arguments.out.suffix != ".png":
        raise Unusable(f"--out {arguments.out}: the name must end in .png")
    folder = arguments.folder.resolve()
    mine, missing = written_kernels(folder)
    print("Yours:", ", ".join(NAMES[name] for name in mine), *(f"({text})" for text in missing))
    calls = []
    _, expected = train(arguments.steps, lambda: calls.append(1))
    with tqdm(total=len(calls), unit=" kernel calls", leave=False) as bar:
        try:
            run, rows = train(arguments.steps, bar.update, **mine)
        except Exception as error:
            raise Unusable(_one_line(error, folder)) from None
    if not rows:
        raise Unusable("not one step was done")
    print(f"{'step':>5}{'loss of D':>12}{'library':>9}{'loss of G':>12}{'library':>9}")
    for ours, theirs in list(zip(rows, expected))[:: -(-len(rows) // 20)]:
        print(f"{ours[0]:5}{ours[2]:12.4f}{theirs[2]:9.4f}{ours[3]:12.4f}{theirs[3]:9.4f}")
    seconds = [table[len(rows) - 1][-1] / len(rows) for table in (rows, expected)]
    print(
        "(Sums in another order round to other digits, which a GAN's steps enlarge: only the first losses are alike.)"
    )
    print(f"{1e3 * seconds[0]:.4g} ms a step; the library takes {1e3 * seconds[1]:.4g} ms")
    first = [(a[2:4], b[2:4]) for a, b in zip(rows[:FIRST_STEPS], expected)]
    if not all(np.allclose(a, b, rtol=0, atol=ALIKE) for a, b in first):
        print("The first losses are not the library's: something is wrong. python -m pytest lessons/exercises "
              f"--student {arguments.folder} -m 'ex07 or ex08' may say what.")  # fmt: skip
    try:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        plots.save_grid(arguments.out, run.samples())
    except OSError as error:
        raise Unusable(f"{arguments.out} cannot be written ({error.strerror})") from None
    print(f"Samples: {arguments.out}")


def _load(path):
    try:
        return student.load(path)
    except (Mistake, student.ImportRefused) as error:
        raise Unusable(" ".join(str(error).split())) from None


def _one_line(error, folder):
    text = str(error) if isinstance(error, Mistake) else student.in_words(error, folder)
    return " ".join(text.split())


if __name__ == "__main__":
    sys.exit(main())
