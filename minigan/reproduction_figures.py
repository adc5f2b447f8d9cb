"""Figures of trainings from several seeds, as the papers draw them: losses, and images of the same latents, over iterations.

Trainings in several precisions are drawn beside each other.
"""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image

from minigan import data, plots, reproduction, rows

MOMENTS = 8  # of a training that are shown
LATENTS = 10  # of the same seed
WINDOW_SHARE = 100  # a line is a running mean over this part of the training


def write(folder, seeds):
    """Writes losses.png and images.png of the trainings in the folder, and trainers.png where several trained.

    Returns their paths, or none without trainings. A training whose metrics.csv is missing, empty or damaged is left out.
    """
    folder = Path(folder)
    metrics = {who: _metrics(folder, who, seeds) for who in (reproduction.OURS, *reproduction.IN_PRECISION.values())}
    metrics = {who: found for who, found in metrics.items() if found}
    if not metrics:
        return []
    written = [folder / "losses.png"]
    save_losses(written[0], metrics)
    pictures = {who: _pictures(folder, who, min(found)) for who, found in metrics.items()}
    first = pictures[next(iter(pictures))]
    if first:
        chosen = np.unique(np.geomspace(1, len(first), min(MOMENTS, len(first))).round().astype(int)) - 1
        moments = {f"{_step_of(first[number]):,}": first[number] for number in chosen}
        written.append(folder / "images.png")
        save_images(written[-1], "The same latents over iterations", moments)
    if len(metrics) > 1 and all(pictures.values()):
        written.append(folder / "trainers.png")
        save_images(written[-1], "The last samples", {who: found[-1] for who, found in pictures.items()})
    return written


def _metrics(folder, who, seeds):
    """{seed: rows of metrics.csv}."""
    found = {}
    for seed in seeds:
        with contextlib.suppress(OSError, ValueError):
            if of_seed := rows.read(folder / f"{who}-{seed}" / "metrics.csv"):
                found[seed] = of_seed
    return found


def _pictures(folder, who, seed):
    """The sample grids of a training, in order."""
    return sorted((folder / f"{who}-{seed}" / "samples").glob("step_*.png"))


def _step_of(picture):
    return int(picture.stem.rpartition("_")[2])


def save_losses(path, metrics):
    """Draws both losses over the steps, a plot for each trainer and a running mean for each seed.

    metrics: {trainer: {seed: rows}}.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    height = 4.5 if len(metrics) == 1 else 1 + 2.2 * len(metrics)
    figure, plots_ = pyplot.subplots(len(metrics), 1, sharex=True, sharey=True, squeeze=False, figsize=(9, height))
    for axes, (who, found) in zip(plots_[:, 0], metrics.items()):
        for column, label, colour in (("loss_g", "generator", "tab:orange"), ("loss_d", "discriminator", "tab:blue")):
            for number, (_, of_seed) in enumerate(sorted(found.items())):
                values = np.array([row[column] for row in of_seed])
                window = max(1, len(values) // WINDOW_SHARE)
                means = np.convolve(values, np.ones(window) / window, "valid")
                steps = [row["step"] for row in of_seed][window - 1 :]
                thin = slice(None, None, max(1, len(means) // 2000))
                axes.plot(steps[thin], means[thin], color=colour, alpha=0.7, linewidth=0.9,
                          label=f"{label}, mean of {window} steps" if number == 0 else None)  # fmt: skip
        count = f"{len(found)} seed{'s' * (len(found) > 1)}"
        axes.set(
            ylabel="loss (nats)", title=f"{who}, {count}" if len(metrics) > 1 else f"Losses over iterations, {count}"
        )
        axes.grid(alpha=0.3)
    plots_[0, 0].legend()
    plots_[-1, 0].set_xlabel("iteration")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def save_images(path, title, pictures):
    """Draws the first latents' images, a row for each of some sample grids. pictures: {name of the row: its grid's path}."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(pictures), 1, figsize=(7, 0.72 * len(pictures)), squeeze=False)
    for axis, (name, picture) in zip(axes[:, 0], pictures.items()):
        axis.imshow(np.hstack([*images_of(picture)[:LATENTS]]), cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[])
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
    figure.suptitle(title)
    figure.tight_layout(h_pad=0.2)
    figure.savefig(path, dpi=120, bbox_inches="tight")  # with the names on the left
    pyplot.close(figure)


def images_of(picture):
    """The images of a grid that `plots.save_grid` wrote: uint8 (N, 28, 28)."""
    pixels = np.asarray(Image.open(picture).convert("L"))[:: plots.SCALE, :: plots.SCALE]
    each, side = data.SIDE + plots.GAP, data.SIDE
    return np.stack([
        pixels[top : top + side, left : left + side]
        for top in range(plots.GAP, pixels.shape[0] - side, each) for left in range(plots.GAP, pixels.shape[1] - side, each)
    ])  # fmt: skip
