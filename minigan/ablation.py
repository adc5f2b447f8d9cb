"""A paper's causal claims, each tried by leaving its cause out: short trainings of jeganathan2025 with one thing changed.

How steady a loss is counts as the standard deviation of its change from one step to the next; how good the digits are
after so few steps, as the Fréchet distance and the classes that the judge sees.
"""

import statistics

from minigan import reproduction, rows

RECIPE = "jeganathan2025"
VARIANTS = {  # name: (options of minigan.train, the claim)
    "as listed": ((), "the paper's listing"),
    "not normalised": (("--no-normalise",), "real pixels from -1 to 1 help the training"),
    "not shuffled": (("--no-shuffle",), "shuffling the images helps the training"),
    "unequal rates": (("--lr-g", "2e-4"), "different learning rates keep both networks in balance"),
    "more updates of D": (("--d-steps", "2:1"), "more updates of D in the beginning help the training"),
}
LAST_SHARE = 0.25  # of a training, whose losses are described


def folder_of(folder, variant):
    """Where the trainings of a variant lie."""
    return folder / variant.replace(" ", "-")


def train(folder, variant, seed, steps, count, device, precision):
    """Trains a variant from a seed, where that has not been done."""
    options, _ = VARIANTS[variant]
    place = folder_of(folder, variant)
    place.mkdir(parents=True, exist_ok=True)
    reproduction.train_ours(place, RECIPE, seed, steps, count, device, ["--precision", precision, *options])


def described(metrics):
    """{name: number} of the last quarter of a training's rows: both losses' means, and how they jump from step to step."""
    last = metrics[-max(2, int(LAST_SHARE * len(metrics))) :]
    found = {}
    for name in ("loss_d", "loss_g"):
        values = [row[name] for row in last]
        found[name] = statistics.fmean(values)
        found[f"{name}_jumps"] = statistics.pstdev(b - a for a, b in zip(values, values[1:]))
    return found


def results(folder, seeds, steps, count, reference, progress):
    """{variant: [{name: number} of each seed]}: how its losses end (`described`) and all scores of its images."""
    found = {}
    for variant in VARIANTS:
        place = folder_of(folder, variant)
        for (who, seed), scores in reproduction.scored(place, seeds, steps, count, reference, progress).items():
            metrics = rows.read(place / f"{who}-{seed}" / "metrics.csv")
            found.setdefault(variant, []).append({**described(metrics), **scores})
    return found


COLUMNS = (
    ("loss_d", "loss of D"), ("loss_d_jumps", "its jumps"), ("loss_g", "loss of G"), ("loss_g_jumps", "its jumps"),
    ("frechet_distance", "Fréchet distance"), ("class_kl", "KL of classes"),
)  # fmt: skip


def table(found):
    """The results as lines of text: the mean over the seeds, and the standard deviation where there are several."""
    lines = [f"{'':18}" + "".join(f"{heading:>18}" for _, heading in COLUMNS)]
    for variant, seeds in found.items():
        cells = []
        for name, _ in COLUMNS:
            values = [seed[name] for seed in seeds]
            spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
            cells.append(f"{statistics.fmean(values):.3f}{spread}")
        lines.append(f"{variant:18}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)
