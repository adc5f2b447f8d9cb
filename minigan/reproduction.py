"""The same recipe trained from several seeds, by minigan, by PyTorch, in other precisions: are the digits equally good?

Each training leaves its images in a folder; they are scored under the judge (`evaluation.py`), and the means over the
seeds compared by Welch's t interval ("The generalization of 'Student's' problem", 1947), which lets the two groups
differ in their spread.
"""

import hashlib
import json
import math
import statistics
import sys
import zipfile
from pathlib import Path

import numpy as np

from minigan import backend, checkpoint, data, evaluation, files, recipes, sampling, train
from minigan.errors import UserError

OURS, EMA, TORCH = "minigan", "minigan-ema", "pytorch"
IN_PRECISION = {precision: f"minigan-{precision}" for precision in backend.PRECISIONS}  # beside OURS in its own
TRAINERS = OURS, EMA, TORCH, *IN_PRECISION.values()
CONFIDENCE = 0.95
NARROW = 0.1  # of the mean: an interval of the difference this wide says that two means are alike


def images_path(folder, who, seed, steps, count):
    """Where `count` images of one training lie: an .npz of uint8 `images` (N, 28, 28) and of `source`, JSON."""
    return Path(folder) / f"{who}-{seed}-steps-{steps}-images-{count}.npz"


def train_ours(folder, recipe, seed, steps, count, device, precision="float32", ema=None, options=(), who=OURS):
    """Trains a recipe by `minigan.train`, with more of its options, in folder/WHO-SEED, and keeps `count` images.

    A training that was stopped goes on; one that is complete is left as it is, and where it was made in another way, that is
    said on standard error. ema: the decay of a moving average of the generator's weights, of which images are kept, too, as
    WHO-ema. Raises UserError where the folder holds another recipe's training, a longer one, or one of another decay or precision.
    """
    run = Path(folder) / f"{who}-{seed}"
    saved = run / "checkpoint.pkl"
    options = [*options, "--precision", precision, *(["--ema", str(ema)] if ema else [])]
    if not saved.exists():
        _train([*options, "--recipe", recipe, "--seed", str(seed), "--steps", str(steps), "--out", str(run)], device)
    else:
        before = checkpoint.load(saved)
        _check_alike(before, run, recipe, steps, ema, precision)
        if int(before["step"]) < steps:
            _train([*options, "--resume", str(saved), "--steps", str(steps)], device)
        else:
            _say_how(run, before["environment"], device, precision)
    state = checkpoint.load(saved)
    for averaged in (False, True):
        path = images_path(folder, f"{who}-ema" if averaged else who, seed, steps, count)
        if path.exists() or (averaged and "average" not in state):
            continue
        backend.set_precision(precision, device)
        generator, made_by, _ = sampling.generator_of(state, saved, device, averaged)
        source = {"recipe": recipe, "seed": seed, "step": steps, "ema": averaged}
        _keep(path, sampling.draw(generator, made_by.latent_shape, count, seed, device), source)


def _check_alike(state, run, recipe, steps, ema, precision):
    """Raises UserError where a training that is there is not the one that is wanted, or the beginning of it."""
    if state.get("recipe") != recipe:
        raise UserError(f"{run} is a training of another recipe, {state.get('recipe')}: choose another --out")
    if int(state["step"]) > steps:
        raise UserError(f"{run} has {state['step']} steps already, not {steps}: choose another --out, or more --steps")
    if ema and state["settings"].get("ema") != ema:
        raise UserError(f"{run} was trained with --ema {state['settings'].get('ema')}, not {ema}: choose another --out")
    trained_in = state["environment"].get("precision", "float32")
    if trained_in != precision:
        raise UserError(f"{run} was trained in {trained_in}, not {precision}: choose another --out")


def _say_how(what, made, device, precision):
    """Says on standard error that something was made on another device or in another precision than is asked for now."""
    if (made.get("device"), made.get("precision")) != (device, precision):
        how = f"the {str(made.get('device')).upper()} in {made.get('precision')}"
        print(f"minigan: {what} is there already, from {how}, and is taken as it is", file=sys.stderr)


def train_in_torch(folder, recipe, seed, steps, count, device, precision, progress):
    """Trains a recipe by PyTorch, and keeps `count` images, drawn by minigan from its weights; as `train_ours`."""
    path = images_path(folder, TORCH, seed, steps, count)
    if path.exists():
        _, source = _kept_images(path)
        if source["recipe"] != recipe:
            raise UserError(f"{path} is of a training of another recipe, {source['recipe']}: choose another --out")
        if "device" in source:
            _say_how(path, source, device, precision)
        return
    from minigan import torch_training

    weights = torch_training.train(recipe, seed, steps, None, "cuda" if device == "gpu" else "cpu", precision, progress)
    made_by = recipes.RECIPES[recipe]
    generator = made_by.generator()
    generator.load_state_dict(weights)
    backend.set_precision(precision, device)
    images = sampling.draw(generator.to(device).eval(), made_by.latent_shape, count, seed, device)
    source = {"recipe": recipe, "seed": seed, "step": steps, "ema": False, "device": device, "precision": precision}
    _keep(path, images, source)


def trainings(folder, seeds, steps, count):
    """{(who, seed): path} of the images there are of these trainings."""
    paths = {(who, seed): images_path(folder, who, seed, steps, count) for who in TRAINERS for seed in seeds}
    return {key: path for key, path in paths.items() if path.exists()}


def scored(folder, seeds, steps, count, reference, progress=None):
    """{(who, seed): {metric: value}} of `trainings`; scores are kept in the folder, in reproduction.json."""
    kept_in = Path(folder) / "reproduction.json"
    try:
        kept = json.loads(kept_in.read_text()) if kept_in.exists() else {}
    except ValueError:
        raise UserError(f"{kept_in} is damaged: delete it, and the images are scored again") from None
    found = {}
    for key, path in trainings(folder, seeds, steps, count).items():
        images, source = _kept_images(path)
        name = f"{path.stem} {hashlib.sha256(images).hexdigest()[:16]} judge {reference.judge.sha256[:16]}"
        if name not in kept:
            estimates, _ = reference.score(images, splits=recipes.RECIPES[source["recipe"]].splits)
            kept[name] = {metric: estimate.value for metric, estimate in estimates.items()}
            files.write_atomically(kept_in, json.dumps(kept, indent=2).encode())
        found[key] = kept[name]
        if progress:
            progress(1)
    return found


def comparison(ours, peers):
    """{"means": (ours, peers), "difference": d, "low": ..., "high": ..., "share": the interval's width / the peers' mean}.

    ours, peers: one score for each seed, two or more. The interval is Welch's, of the difference of the means.
    """
    means = statistics.fmean(ours), statistics.fmean(peers)
    parts = [statistics.variance(group) / len(group) for group in (ours, peers)]
    variance, difference = sum(parts), means[0] - means[1]
    if variance == 0:
        half = 0.0
    else:
        freedom = variance**2 / sum(part**2 / (len(group) - 1) for part, group in zip(parts, (ours, peers)))
        half = students_quantile(0.5 + CONFIDENCE / 2, freedom) * math.sqrt(variance)
    return {
        "means": means, "difference": difference, "low": difference - half, "high": difference + half,
        "share": 2 * half / abs(means[1]) if means[1] else math.inf,
    }  # fmt: skip


def students_quantile(probability, freedom):
    """The quantile of Student's t distribution above 1/2, by bisection of the integral of its density (Simpson's rule)."""
    if not 0.5 <= probability < 1:
        raise ValueError(f"the probability must be at least 0.5 and less than 1, not {probability}")
    log_constant = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2

    def area(end, pieces=2000):
        t = np.linspace(0, end, pieces + 1)
        density = np.exp(log_constant - (freedom + 1) / 2 * np.log1p(t**2 / freedom))
        return end / pieces / 3 * (density[0] + 4 * density[1:-1:2].sum() + 2 * density[2:-1:2].sum() + density[-1])

    low, high = 0.0, 1.0
    while 0.5 + area(high) < probability:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if 0.5 + area(middle) < probability else (low, middle)
    return (low + high) / 2


def verdict(compared):
    """What an interval of the difference says, in words."""
    if not compared["low"] <= 0 <= compared["high"]:
        return "they differ"
    return "alike" if compared["share"] <= NARROW else "not told apart"


def tables(found):
    """The scores as text, a table for each other trainer that minigan is compared with. found: as `scored` returns it."""
    groups = {}
    for (who, _), scores in sorted(found.items()):
        groups.setdefault(who, []).append(scores)
    own = {who: groups[who] for who in (OURS, EMA) if who in groups}
    others = [who for who in TRAINERS if who in groups and who not in own]
    text = "\n\n".join(_table({**own, who: groups[who]}, who) for who in others) if others else _table(own)
    if any(_compares(groups, who) for who in others):
        text += (
            f"\nMean ± standard deviation over so many (seeds). Difference: {OURS}'s mean less the other's, its {CONFIDENCE:.0%} "
            f"interval\n(and that interval's width as a share of the mean: at most {NARROW:.0%} and around 0 reads alike)."
        )
    return text


def _compares(groups, other):
    return all(len(groups.get(who, ())) > 1 for who in (OURS, other))


def _table(groups, other=None):
    """Mean and standard deviation of each trainer; and, with several seeds, how minigan and the other one differ."""
    counts = [f"{who} ({len(scores)})" for who, scores in groups.items()]
    compares = other and _compares(groups, other)
    width = max(18, 2 + max(map(len, counts)))
    lines = [
        " " * 18 + "".join(f"{count:>{width}}" for count in counts) + ("   difference of the means" if compares else "")
    ]
    for metric in evaluation.METRICS:
        line = f"{metric.replace('_', ' '):18}"
        for rows in groups.values():
            values = [row[metric] for row in rows]
            spread = f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else ""
            line += f"{f'{statistics.fmean(values):.4g}{spread}':>{width}}"
        if compares:
            compared = comparison(*([row[metric] for row in groups[who]] for who in (OURS, other)))
            line += (
                f"   {compared['low']:+.3g} to {compared['high']:+.3g} ({compared['share']:.0%}): {verdict(compared)}"
            )
        lines.append(line)
    return "\n".join(lines)


def _train(arguments, device):
    """Runs `minigan.train`. Raises SystemExit with its exit code where it was stopped."""
    code = train.main([*arguments, "--device", device])
    if code:
        raise SystemExit(code)


def _kept_images(path):
    """(images, source) of a file that `_keep` wrote. Raises UserError for any other."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            images, source = stored["images"], json.loads(str(stored["source"]))
        if (
            images.dtype != np.uint8
            or images.shape[1:] != (data.SIDE, data.SIDE)
            or source["recipe"] not in recipes.RECIPES
        ):
            raise ValueError
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        raise UserError(f"{path} is damaged: delete it, and it is drawn again") from None
    return images, source


def _keep(path, images, source):
    try:
        with open(path.with_suffix(".part"), "wb") as file:
            np.savez_compressed(file, images=images, source=np.array(json.dumps(source)))
        path.with_suffix(".part").replace(path)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
