"""A paper's causal claims, each tried by leaving its cause out: short trainings of jeganathan2025 with one thing changed.

How steady a loss is counts as the standard deviation of its change from one step to the next; how good the digits are
after so few steps, as the Fréchet distance and the classes that the judge sees.
"""

import statistics
from dataclasses import dataclass
from pathlib import Path

from minigan import reproduction, rows
from minigan.errors import UserError

RECIPE = "jeganathan2025"
AS_LISTED = "as listed"


@dataclass(frozen=True)
class Variant:
    """One thing changed: how, what the paper says of it, and the number (see `described`) that claim is read from.

    claims_more: whether, if the claim is true, that number is higher than with the paper's listing.
    """

    options: tuple  # of minigan.train
    claim: str
    measure: str
    claims_more: bool


VARIANTS = {
    "not normalised": Variant(
        ("--no-normalise",), "real pixels from -1 to 1 help the training", "frechet_distance", claims_more=True
    ),
    "not shuffled": Variant(
        ("--no-shuffle",), "shuffling the images helps the training", "frechet_distance", claims_more=True
    ),
    "unequal rates": Variant(
        ("--lr-g", "2e-4"), "different learning rates keep both networks in balance", "imbalance", claims_more=False
    ),
    "more updates of D": Variant(
        ("--d-steps", "2:1"), "more updates of D early help the training", "frechet_distance", claims_more=False
    ),
    "on the CPU": Variant((), "a GPU trains more smoothly than a CPU", "loss_g_jumps", claims_more=True),
}
ON_CPU = "on the CPU"
LAST_SHARE = 0.25  # of a training, whose losses are described


def folder_of(folder, variant, device, precision):
    """Where the trainings of a variant lie: those of a device and precision together."""
    variant, device, precision = _trained_as(variant, device, precision)
    how = "cpu" if (device, precision) == ("cpu", "float32") else f"{device}-{precision}"
    return folder / how / variant.replace(" ", "-")


def _trained_as(variant, device, precision):
    """(variant, device, precision) of the training: the one on the CPU is the listing's, there."""
    return (AS_LISTED, "cpu", "float32") if variant == ON_CPU else (variant, device, precision)


def variants(device):
    """The names of what is trained on a device: the listing, and each variant; on the CPU there is no other device."""
    return [AS_LISTED, *(name for name in VARIANTS if device == "gpu" or name != ON_CPU)]


def train(folder, variant, seed, steps, count, device, precision):
    """Trains a variant from a seed, where that has not been done."""
    place = folder_of(folder, variant, device, precision)
    place.mkdir(parents=True, exist_ok=True)
    variant, device, precision = _trained_as(variant, device, precision)
    options = () if variant == AS_LISTED else VARIANTS[variant].options
    reproduction.train_ours(place, RECIPE, seed, steps, count, device, precision, options=options)


def described(metrics):
    """{name: number} of the last quarter of a training's rows.

    Both losses' means, how they jump from step to step, D's lead (how much more probable it finds real images to be real
    than generated ones: 1 where it tells all of them, negative where G fools it), and its size, the imbalance.
    """
    last = metrics[-max(2, int(LAST_SHARE * len(metrics))) :]
    lead = statistics.fmean(row["d_real"] - row["d_fake"] for row in last)
    found = {"lead_of_d": lead, "imbalance": abs(lead)}
    for name in ("loss_d", "loss_g"):
        values = [row[name] for row in last]
        found[name] = statistics.fmean(values)
        found[f"{name}_jumps"] = statistics.pstdev(b - a for a, b in zip(values, values[1:]))
    return found


def results(folder, device, precision, seeds, steps, count, reference, progress):
    """{variant: [{name: number} of each seed]}: how its losses end (`described`) and all scores of its images."""
    found = {}
    for variant in variants(device):
        place = folder_of(folder, variant, device, precision)
        for (who, seed), scores in reproduction.scored(place, seeds, steps, count, reference, progress).items():
            metrics = rows.read(place / f"{who}-{seed}" / "metrics.csv")
            found.setdefault(variant, []).append({**described(metrics), **scores})
    return found


COLUMNS = {
    "loss_d": "loss of D", "loss_d_jumps": "its jumps", "loss_g": "loss of G", "loss_g_jumps": "its jumps",
    "lead_of_d": "D's lead", "frechet_distance": "Fréchet distance", "class_kl": "KL of classes",
}  # fmt: skip
MEASURES = {
    "frechet_distance": "Fréchet distance",
    "imbalance": "size of D's lead",
    "loss_g_jumps": "jumps of G's loss",
}


def of_runs(folders):
    """{name of a run's folder: [how its losses end (`described`)]}, over the steps that all of the runs have taken.

    Raises UserError for a folder without a metrics.csv, or with one of fewer than two steps.
    """
    metrics = {}
    for folder in folders:
        try:
            metrics[folder] = rows.read(Path(folder) / "metrics.csv")
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", error)
            raise UserError(f"{folder} is no run's folder: its metrics.csv cannot be read ({why})") from None
    last = min(len(found) and found[-1]["step"] for found in metrics.values())
    if last < 2:
        raise UserError("--compare takes runs of two steps or more")
    return {
        str(folder): [described([row for row in found if row["step"] <= last])] for folder, found in metrics.items()
    }


def table(found):
    """The results as lines of text: the mean over the seeds, and the standard deviation where there are several."""
    columns = [name for name in COLUMNS if all(name in seed for seeds in found.values() for seed in seeds)]
    first = max(18, 2 + max(map(len, found)))
    lines = [" " * first + "".join(f"{COLUMNS[name]:>17}" for name in columns)]
    for variant, seeds in found.items():
        cells = []
        for name in columns:
            values = [seed[name] for seed in seeds]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.3f}{spread}")
        lines.append(f"{variant:{first}}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def verdicts(found):
    """What the results say of each claim, as lines of text."""
    return "\n".join(
        f"{variant.claim}: {_verdict(name, found.get(name, ()), found[AS_LISTED])}"
        for name, variant in VARIANTS.items()
    )


def _verdict(name, changed, listed):
    """Whether the claim is true, by the results of each seed with one thing changed and as listed (Welch's interval)."""
    variant = VARIANTS[name]
    if not changed:
        return "not tested (needs --device gpu)"
    changed, listed = ([seed[variant.measure] for seed in seeds] for seeds in (changed, listed))
    if min(len(changed), len(listed)) < 2:
        return "not tested (needs --seeds 2 or more)"
    compared = reproduction.comparison(changed, listed)
    (value, usual), low, high = compared["means"], compared["low"], compared["high"]
    if low <= 0 <= high:
        answer = "not told apart"
    else:
        answer = "true here" if (low > 0) == variant.claims_more else "the reverse is true here"
    return (
        f"{answer}\n    {MEASURES[variant.measure]} {value:.3g} {name}, {usual:.3g} {AS_LISTED}; "
        f"{reproduction.CONFIDENCE:.0%} interval of the difference: {low:+.3g} to {high:+.3g}"
    )
