"""python -m minigan.evaluate: scores of a generator, or of an array of images, beside real digits and noise."""

import argparse
import functools
import json
import math
import sys
import textwrap
import warnings

import numpy as np
from tqdm import tqdm

from minigan import backend, checkpoint, cli, data, evaluation, files, judge, report, sampling, settings
from minigan.errors import UserError

WIDTH = 120  # characters of a line of words
# (key, heading, significant digits)
LINES = (
    ("frechet_distance", "Fréchet distance (less is better)", 3),
    ("inception_score", "Inception Score (1 to 10)", 3),
    ("precision", "precision (0 to 1)", 3),
    ("recall", "recall (0 to 1)", 3),
    ("density", "density (equal distributions: 1)", 3),
    ("coverage", "coverage (0 to 1)", 3),
    ("class_kl", "KL of class shares (less is better)", 2),
    ("nearest_distance", "distance to nearest image trained on", 3),
)


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.evaluate",
        description="Score generated digits under the judge, a classifier trained by this library: how far their "
        "features are from real ones', how clear and how varied they are, whether a digit is missing, whether they are "
        "copies. Real test images and noise are measured the same way beside them. A run's scores are also kept in its "
        "folder, as scores.json, and shown in its report.html.",
    )
    p.add_argument(
        "source",
        metavar="CHECKPOINT|samples.npy",
        help="the checkpoint.pkl of a run, the run's folder, or images as a uint8 array (N, 28, 28)",
    )
    p.add_argument(
        "--count", type=cli.positive_int, metavar="N",
        help=f"how many images (default: {evaluation.COUNT}, or all of the array, where it has fewer)",
    )  # fmt: skip
    p.add_argument(
        "--seed", type=cli.seed, default=0, metavar="N",
        help="of the latents, of the choice among more images than --count, of noise and intervals (default: %(default)s)",
    )  # fmt: skip
    p.add_argument(
        "--dataset", type=cli.path, metavar="mnist|DIR",
        help="the real images, as for train (default: what the run was trained on, and mnist for an array)",
    )  # fmt: skip
    p.add_argument(
        "--judge", type=cli.path, metavar="FILE", help="another classifier, as train_judge writes (default: the one shipped)"
    )  # fmt: skip
    p.add_argument(
        "--ema", action=argparse.BooleanOptionalAction, default=None,
        help="take the moving average of the generator's weights, or the weights themselves (default: the average, "
        "where the run kept one)",
    )  # fmt: skip
    p.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="auto, the default, takes a GPU if one can be used"
    )  # fmt: skip
    p.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    p.add_argument("--quiet", action="store_true", help="print nothing but errors, and --json's object")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.count is not None:
        evaluation.check_count(arguments.count)
    path = checkpoint.path_in(arguments.source)
    read = _read_array if path.suffix == ".npy" else _read_checkpoint
    device = backend.select_device(arguments.device)
    judged_by = judge.load(arguments.judge)
    source, dataset, splits, count, images = read(path, arguments, device)
    reference = evaluation.Reference(dataset, judged_by, device)
    with backend.full_precision(device), tqdm(
        total=count + reference.units(count, splits), disable=None if sys.stderr and not arguments.quiet else True,
        dynamic_ncols=True, leave=False, desc="drawing and judging images", bar_format="{desc} {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left",
    ) as bar:  # fmt: skip
        result = evaluation.evaluate(reference, images(bar.update), source, arguments.seed, splits, bar.update)
    content = json.dumps(result, indent=2) + "\n"
    if arguments.json or not arguments.quiet:
        print(content if arguments.json else table(result, reference), end="", flush=True)
    if arguments.json and not arguments.quiet:
        for line in _caveat(result):
            print(f"minigan: {line}", file=sys.stderr)
    if path.name == checkpoint.NAME and (path.parent / "config.json").is_file() and not _elsewhere(result):
        try:
            files.write_atomically(path.with_name("scores.json"), content.encode())
            report.write(path.parent)
        except OSError as error:
            raise UserError(
                f"the scores cannot be kept in {path.parent} ({error.strerror}): mend that, and score again"
            ) from None
        if not (arguments.json or arguments.quiet):
            print("\nKept in the run's scores.json, in place of older scores, and shown in its report.html.")
    return 0


def _read_checkpoint(path, arguments, device):
    """(source, data set, splits trained on, count, a function of progress that draws the images) of a checkpoint."""
    state, path = checkpoint.load_newest(path)
    generator, recipe, averaged = sampling.generator_of(state, path, device, arguments.ema)
    step = state.get("step")
    if type(step) is not int or step < 0:
        raise UserError(f"{path} is damaged: it was saved after step {ascii(step):.50}")
    trained_on = state.get("dataset")
    trained_on = trained_on[:64] if isinstance(trained_on, str) else "unknown"
    source = {"recipe": recipe.name, "step": step, "ema": averaged, "images_sha256": trained_on}
    dataset = arguments.dataset or settings.settings_of(state, path).dataset
    count = arguments.count or evaluation.COUNT
    draw = functools.partial(sampling.draw, generator, recipe.latent_shape, count, arguments.seed, device)
    return source, dataset, recipe.splits, count, lambda progress: draw(progress=progress)


def _read_array(path, arguments, device):
    """As `_read_checkpoint`, of the images in a .npy file; where it has more than are asked for, of a random choice."""
    if arguments.ema is not None:
        raise UserError(f"--ema and --no-ema are for a checkpoint; {path} holds images")
    try:
        if path.exists() and not path.is_file():  # reading a device or a pipe might never end
            raise UserError(f"{path} is not a file")
        with open(path, "rb") as file:  # a header of a later version can ask for 4 GiB; none of images needs one
            if np.lib.format.read_magic(file) != (1, 0):
                raise ValueError("another version of the format")
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as of a header that Python 2 wrote
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except Exception:  # whatever a damaged header raises, the user gets one line
        array = None
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape[1:] != (data.SIDE, data.SIDE):
        held = (
            f"{str(array.dtype):.100} {array.shape}" if isinstance(array, np.ndarray) else "no array, or a damaged one"
        )
        raise UserError(
            f"{path} holds {held}: images must be a uint8 array (N, {data.SIDE}, {data.SIDE}), 0 the background"
        )
    if len(array) < (arguments.count or evaluation.LEAST_IMAGES):
        wanted = f"--count {arguments.count}" if arguments.count else f"the scores need {evaluation.LEAST_IMAGES}"
        raise UserError(f"{path} holds {len(array)} images: {wanted}")
    count = arguments.count or min(evaluation.COUNT, len(array))

    def images(progress):
        chosen = np.random.default_rng([arguments.seed, 3]).permutation(len(array))[:count]
        progress(count)
        return np.array(array[np.sort(chosen)])

    return {"file": path.name}, arguments.dataset or "mnist", ("train",), count, images


def table(result, reference):
    """What the command prints: scores with their intervals, the shares of the digits, and what that says."""
    counts, rows, classes = result["counts"], result["rows"], result["classes"]
    lines = [["", *(f"{name} ({counts[name]:,})" for name in evaluation.ROWS)]]
    for metric, heading, digits in LINES:
        lines.append([heading, *(_written(rows[name][metric], digits) for name in evaluation.ROWS)])
    shares = [["share of each class", *map(str, range(len(classes["samples"])))]]
    shares += [[name, *(f"{share:.1%}" for share in classes[name])] for name in evaluation.ROWS]
    said = [line for sentence in evaluation.sentences(result) for line in textwrap.wrap(sentence, WIDTH)]
    notes = textwrap.wrap(" ".join(_notes(result, reference)), WIDTH, break_long_words=False)
    paragraphs = _aligned(lines), _aligned(shares), said, notes
    return "\n\n".join("\n".join(paragraph) for paragraph in paragraphs) + "\n"


def _written(cell, digits):
    """A value with so many significant digits, and its interval with as many decimals."""
    size = math.floor(math.log10(cell["value"])) if cell["value"] > 0 else 0
    decimals = min(max(digits - 1 - size, 0), 6)
    return "{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})".format(**cell, decimals=decimals)


def _aligned(lines):
    """Lists of words in columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(w.rjust(n) if i else w.ljust(n) for i, (w, n) in enumerate(zip(line, widths))) for line in lines]


def _elsewhere(result):
    """Whether the real images are others than the generator was trained on."""
    return result["source"].get("images_sha256", result["images_sha256"]) != result["images_sha256"]


def _notes(result, reference):
    """How the numbers were made, and what they do not say: sentences."""
    training = len(reference.images["train"])
    trained_on = sum(len(reference.images[split]) for split in result["trained_on"])
    most = evaluation.NEIGHBOURHOOD
    yield f"Judge {result['judge']['version']} (SHA-256 {result['judge']['sha256'][:16]})."
    yield "In brackets: 95 % intervals, for other draws from the same source."
    yield f"The Fréchet distance is to all {training:,} training images;"
    yield f"precision, recall, density and coverage take at most {most:,} of them, and of a row."
    sought = (
        f"all {trained_on:,} images of {result['dataset']}"
        if _elsewhere(result)
        else f"all {trained_on:,} images trained on"
    )
    yield f"The nearest image is sought among {sought}: Euclidean distance, pixels from 0 to 1."
    if _elsewhere(result):
        yield "But the generator was trained on others: such scores are not kept in its folder."
    elif "t10k" in result["trained_on"]:
        yield f"{result['source']['recipe']} trains on the test images, too:"
        yield "the real row shows images that it has seen, each compared with the others."
    if "file" in result["source"]:
        yield "What the generator of a file's images was trained on is not known: taken to be the training images."
    yield from _caveat(result)


def _caveat(result):
    """A line for other data sets than the judge has learnt."""
    if evaluation.is_foreign(result):
        yield (
            f"The judge has learnt MNIST's digits: of the images in {result['dataset']} it says little, unless they are "
            "digits. Train one on them with python -m minigan.train_judge --dataset, and give it with --judge."
        )


if __name__ == "__main__":
    cli.run(main)
