"""python -m minigan.train: trains a recipe, and leaves a folder with pictures and a checkpoint."""

import argparse
import contextlib
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from minigan import cli  # first, so that Ctrl-C gives one line while the others are loaded, too
from minigan import backend, checkpoint, evaluate, loop, run_folder, training
from minigan.doctor import Doctor
from minigan.errors import UserError
from minigan.recipes import RECIPES
from minigan.settings import (
    FREE_SETTINGS,
    LOSSES,
    ON_NONFINITE,
    Settings,
    default_settings,
    impossible_settings,
    settings_of,
)


def parser():
    """The command's arguments. A default of None is filled in from the recipe or the checkpoint."""
    p = cli.Parser(
        prog="python -m minigan.train",
        description="Train a generative adversarial network on 28x28 digits. Without options: the recipe "
        "chaudhary2024 on MNIST, to its end. Ctrl-C stops it in good order; --resume goes on.",
        epilog=" ".join(
            f"{r.name}: batch size {r.batch_size}, {r.epochs} epochs, learning rates {r.lr_g:g} (G) and {r.lr_d:g} (D), "
            f"saved every {r.checkpoint_every} epoch(s), {r.samples} samples every "
            f"{f'{r.sample_every_steps} steps' if r.sample_every_steps else f'{r.sample_every_epochs} epochs'}."
            for r in RECIPES.values()
        ),
    )
    p.add_argument("--recipe", choices=sorted(RECIPES), help="the paper to reproduce (default: chaudhary2024)")
    p.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="auto, the default, takes a GPU if one can be used",
    )
    p.add_argument("--epochs", type=cli.positive_int, metavar="N", help="passes over the images (default: the paper's)")
    p.add_argument("--steps", type=cli.positive_int, metavar="N", help="stop after this many training steps instead")
    p.add_argument("--batch-size", type=cli.positive_int, metavar="N", help="real images in a step, at least 2; an epoch's "
                   "last batch may be smaller, and is left out if it is one image (default: the paper's)")  # fmt: skip
    p.add_argument(
        "--lr-g", type=cli.learning_rate, metavar="X", help="the generator's learning rate (default: the paper's)"
    )
    p.add_argument(
        "--lr-d", type=cli.learning_rate, metavar="X", help="the discriminator's learning rate (default: the paper's)"
    )
    p.add_argument(
        "--d-steps", type=cli.d_steps, metavar="N[:EPOCHS]",
        help="updates of the discriminator in each step, on the same real images with fresh noise; "
        "with :EPOCHS only in the first so many epochs (default: 1)",
    )  # fmt: skip
    p.add_argument(
        "--loss", choices=LOSSES,
        help="the generator's loss: -log D(G(z)), or the saturating log(1 - D(G(z))) (default: nonsaturating)",
    )  # fmt: skip
    p.add_argument("--ema", type=cli.decay, metavar="DECAY", help="keep a moving average of the generator's weights, which "
                   "minigan.sample then draws from; 0.999 averages over about 1,000 steps (default: none)")  # fmt: skip
    p.add_argument("--seed", type=cli.seed, metavar="N", help="same seed, device and threads: same digits (default: 0)")
    p.add_argument(
        "--dataset",
        type=cli.path,
        metavar="mnist|DIR",
        help="or a folder of IDX files in MNIST's naming, plain or .gz (default: mnist)",
    )
    p.add_argument("--shuffle", action=argparse.BooleanOptionalAction, default=None,
                   help="take the images in a new order each epoch, or always in their own (default: shuffle)")  # fmt: skip
    p.add_argument("--normalise", action=argparse.BooleanOptionalAction, default=None,
                   help="show D real pixels from -1 to 1, as G makes them, or from 0 to 1 (default: normalise)")  # fmt: skip
    p.add_argument(
        "--out", type=cli.path, metavar="runs/NAME", help="the folder to write (default: runs/ and the recipe's name)"
    )
    p.add_argument(
        "--resume", nargs="?", const=True, type=cli.path, metavar="CHECKPOINT",
        help="continue the run in --out, or that of a checkpoint.pkl; --epochs or --steps may extend it",
    )  # fmt: skip
    p.add_argument(
        "--checkpoint-every", type=cli.positive_int, metavar="EPOCHS", help="how often to save (default: by recipe)"
    )
    p.add_argument("--checkpoint-steps", type=cli.positive_int, metavar="STEPS", help="save every so many steps, too")
    p.add_argument("--keep", type=cli.positive_int, metavar="N", help="checkpoints there are, the newest included; where one "
                   "is damaged, --resume takes the one before it (default: 2)")  # fmt: skip
    p.add_argument("--on-nonfinite", choices=ON_NONFINITE, help="where a step leaves a NaN or an infinity: stop and "
                   "say what made it, or skip the step and go on (default: stop)")  # fmt: skip
    p.add_argument(
        "--sample-every",
        type=cli.positive_int,
        metavar="STEPS",
        help="how often to draw samples (default: the paper's)",
    )
    p.add_argument(
        "--probe-every", type=cli.count, metavar="STEPS",
        help="how often to take the signals that the doctor reads (default: "
        f"{', '.join(f'{recipe.probe_every} for {name}' for name, recipe in RECIPES.items())}, on a GPU {training.GPU_PROBES} "
        "times as many; 0: never)",
    )  # fmt: skip
    p.add_argument("--score", action=argparse.BooleanOptionalAction, default=None,
                   help="judge 10,000 samples at the end, as minigan.evaluate does (default: where all epochs are trained "
                   "on MNIST's digits, and --steps did not end the run)")  # fmt: skip
    p.add_argument("--threads", type=cli.positive_int, metavar="N", help="CPU threads (default: all cores)")
    p.add_argument("--precision", choices=backend.PRECISIONS, help="of the factors of products; sums, weights and "
                   "everything else stay float32 (default: float32, or the checkpoint's on the same device). tf32 and bf16 "
                   "need an A100 or newer; with --device cpu factors are rounded alike, which shows what that does to the "
                   "training, but takes longer")  # fmt: skip
    p.add_argument(
        "--no-graph", dest="graph", action="store_false",
        help="let Python launch every kernel of every step, instead of replaying the first step's launches",
    )  # fmt: skip
    p.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    precision = arguments.precision or "float32"
    device = backend.select_device(arguments.device, precision)
    backend.set_threads(arguments.threads)
    backend.set_precision(precision, device)
    with contextlib.ExitStack() as held:
        begin = _start if arguments.resume is None else _resume
        return _run(arguments, device, *begin(arguments, device, held))


def _run(arguments, device, run, folder):
    if run.step >= run.last_step:
        if not folder.has_pictures():
            folder.redraw(run)
        raise UserError(
            f"the run in {folder.path} is complete after {run.step} steps: extend it with --epochs or --steps"
        )

    def say(text):
        with contextlib.suppress(BrokenPipeError):  # a reader that goes away does not end the training
            if not arguments.quiet:
                print(text)

    how = ", ".join(_how(device))
    say(f"{run.recipe.name} on the {backend.describe(device)}, {how}: {run.last_step - run.step} steps of {run.settings.batch_size}"
        f" images, {run.batches.per_epoch} steps an epoch; writing {folder.path}/")  # fmt: skip
    try:
        stopped_by = loop.train(run, folder, arguments.quiet, doctor := Doctor())
    except (MemoryError, OverflowError) as error:
        raise UserError(
            f"--batch-size {run.settings.batch_size} is too large here ({error}): take a smaller one"
        ) from None
    except OSError as error:
        raise UserError(
            f"{error.filename or folder.path} cannot be written ({error.strerror}): mend that, then go on with --resume"
        ) from None
    for what, path in (
        ("Samples", folder.samples), ("Animation", folder.animation), ("Losses", folder.curves), ("Report", folder.report)
    ):  # fmt: skip
        if path.exists():
            say(f"{what}: {path}")
    for finding in doctor.findings:
        say(f"Doctor: {finding.sentence}")
    checkpoint_path = shlex.quote(str(folder.checkpoint))
    if stopped_by and run.step < run.last_step:
        say(f"Stopped after step {run.step} and saved. To go on: python -m minigan.train --resume {checkpoint_path}")
        return 128 + stopped_by
    say(f"Draw more: python -m minigan.sample {checkpoint_path} --out grid.png")
    if stopped_by:  # it came with the last step: the run is complete, but whoever sent it wants no scoring
        return 128 + stopped_by
    if arguments.score is None and run.settings.steps is None and run.settings.dataset == "mnist" or arguments.score:
        say(
            "The run is complete. Scoring 10,000 samples (about half a minute; minigan.evaluate does it later, too) ..."
        )
        evaluate.main([str(folder.path), "--device", device, *(["--quiet"] if arguments.quiet else [])])
    return 0


def _how(device):
    """What the bits of a training depend on, besides its device, in words."""
    if device == "cpu":
        yield count_of(backend.thread_count(), "thread")
    if device == "gpu" or backend.precision(device) != "float32":
        yield f"products in {backend.precision(device)}"


def count_of(count, noun):
    """The count with its noun, in the plural where there is more than one."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _chosen(arguments):
    """The settings given on the command line, by the names of Settings."""
    d_steps, d_steps_epochs = arguments.d_steps or (None, None)
    given = {**vars(arguments), "d_steps": d_steps, "d_steps_epochs": d_steps_epochs}
    if arguments.dataset not in (None, "mnist"):
        given["dataset"] = str(Path(arguments.dataset).resolve())  # a resume may start elsewhere
    return {f.name: given[f.name] for f in fields(Settings) if given[f.name] is not None}


def _where(environment):
    """What a run's bits depend on: (device, threads, precision); or None, as a stranger's checkpoint may hold anything."""
    environment = {"precision": "float32", **environment} if isinstance(environment, dict) else {}
    device, threads, precision = (environment.get(name) for name in ("device", "threads", "precision"))
    known = type(device) is type(precision) is str and type(threads) is int and 0 < threads < 2**31
    if not known or device not in ("cpu", "gpu") or precision not in backend.PRECISIONS:
        return None
    return device, threads, precision


def _in_words(where):
    if where is None:
        return "another machine"
    device, threads, precision = where
    return f"{device}, {count_of(threads, 'thread')}, {precision}"


def _option(name, value):
    """A setting as it is written on the command line."""
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return f"--{option}" if value else f"--no-{option}"
    return f"--{option} {value}"


def _folder(arguments):
    """The folder of the run that --resume names. Raises UserError where there is none."""
    if arguments.resume is True:
        path = checkpoint.path_in(arguments.out or f"runs/{arguments.recipe or 'chaudhary2024'}")
    else:
        path = checkpoint.path_in(arguments.resume)
    there = path.is_file() or path.parent.is_dir() and checkpoint.kept(path)
    if not there or path.name != checkpoint.NAME:
        raise UserError(
            f"--resume: there is no checkpoint {path}; start without --resume, or name the {checkpoint.NAME} of a run's folder"
        )
    if arguments.out and Path(arguments.out).resolve() != path.parent.resolve():
        raise UserError(
            f"--resume continues in the checkpoint's own folder, {path.parent}: leave out --out {arguments.out}"
        )
    return path.parent


def _start(arguments, device, held):
    recipe = RECIPES[arguments.recipe or "chaudhary2024"]
    settings = default_settings(recipe, **_chosen(arguments))
    for name in impossible_settings(settings):
        raise UserError(f"--{name.replace('_', '-')} {ascii(getattr(settings, name))} cannot be used")
    run = training.Run(settings, device, arguments.graph)
    folder = run_folder.RunFolder(arguments.out or f"runs/{recipe.name}")
    held.enter_context(folder.locked())
    folder.create(run)
    return run, folder


def _resume(arguments, device, held):
    folder = run_folder.RunFolder(_folder(arguments))
    held.enter_context(folder.locked())
    state, path = checkpoint.load_newest(folder.checkpoint)
    settings = settings_of(state, path)
    if arguments.d_steps and arguments.d_steps != (settings.d_steps, settings.d_steps_epochs):
        only = f":{settings.d_steps_epochs}" if settings.d_steps_epochs else ""
        raise UserError(
            f"{path} was trained with --d-steps {settings.d_steps}{only}, and goes on with it: leave it out"
        )
    for name, value in _chosen(arguments).items():
        if name in FREE_SETTINGS:
            setattr(settings, name, value)
        elif value != getattr(settings, name):
            before, now = (_option(name, v) for v in (getattr(settings, name), value))
            raise UserError(f"{path} was trained with {before}, and goes on with it: leave out {now.split()[0]}")
    if arguments.epochs and not arguments.steps:
        settings.steps = None
    before = _where(state.get("environment"))
    if before and before[0] == device and arguments.precision is None:
        backend.set_precision(before[2], device)
    run = training.Run(settings, device, arguments.graph)
    run.restore(state, path)
    now = _where(run.environment())
    if before != now and not arguments.quiet and run.step < run.last_step:
        print(
            f"minigan: the run was saved on {_in_words(before)} and goes on with {_in_words(now)}: its bits may differ",
            file=sys.stderr,
        )
    if run.step < run.last_step:
        folder.reopen(run, path)
    return run, folder


if __name__ == "__main__":
    cli.run(main)
