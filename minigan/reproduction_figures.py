"""Figures of trainings from several seeds, as the papers draw them: losses, and images of the same latents, over iterations."""

import contextlib
from pathlib import Path

import numpy as np
from PIL import Image

from minigan import data, plots, reproduction, rows

MOMENTS = 8  # of a training that are shown
LATENTS = 10  # of the same seed
WINDOW_SHARE = 100  # a line is a running mean over this part of the training


def write(folder, seeds):
    """Writes losses.png and images.png of the trainings in the folder; returns their paths, or none without trainings.

    A training whose metrics.csv is missing, empty or damaged is left out.
    """
    folder, metrics = Path(folder), {}
    for seed in seeds:
        with contextlib.suppress(OSError, ValueError):
            if found := rows.read(folder / f"{reproduction.OURS}-{seed}" / "metrics.csv"):
                metrics[seed] = found
    if not metrics:
        return []
    save_losses(folder / "losses.png", metrics)
    pictures = sorted((folder / f"{reproduction.OURS}-{min(metrics)}" / "samples").glob("step_*.png"))
    if not pictures:
        return [folder / "losses.png"]
    save_images(folder / "images.png", pictures)
    return [folder / "losses.png", folder / "images.png"]


def save_losses(path, metrics):
    """Draws both losses of each training, a running mean for each seed, over the steps. metrics: {seed: rows}."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    for column, label, colour in (("loss_g", "generator", "tab:orange"), ("loss_d", "discriminator", "tab:blue")):
        for number, (_, found) in enumerate(sorted(metrics.items())):
            values = np.array([row[column] for row in found])
            window = max(1, len(values) // WINDOW_SHARE)
            means = np.convolve(values, np.ones(window) / window, "valid")
            steps = [row["step"] for row in found][window - 1 :]
            thin = slice(None, None, max(1, len(means) // 2000))
            axes.plot(steps[thin], means[thin], color=colour, alpha=0.7, linewidth=0.9,
                      label=f"{label}, mean of {window} steps" if number == 0 else None)  # fmt: skip
    count = len(metrics)
    axes.set(xlabel="iteration", ylabel="loss (nats)", title=f"Losses over iterations, {count} seed{'s' * (count > 1)}")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def save_images(path, pictures):
    """Draws the first latents' images, a row for each of some moments of a training. pictures: its sample grids, in order."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    chosen = np.unique(np.geomspace(1, len(pictures), min(MOMENTS, len(pictures))).round().astype(int)) - 1
    figure, axes = pyplot.subplots(len(chosen), 1, figsize=(7, 0.72 * len(chosen)), squeeze=False)
    for axis, number in zip(axes[:, 0], chosen):
        axis.imshow(np.hstack([*images_of(pictures[number])[:LATENTS]]), cmap="gray", vmin=0, vmax=255)
        axis.set(xticks=[], yticks=[])
        step = int(pictures[number].stem.rpartition("_")[2])
        axis.set_ylabel(f"{step:,}", rotation=0, ha="right", va="center")
    figure.suptitle("The same latents over iterations")
    figure.tight_layout(h_pad=0.2)
    figure.savefig(path, dpi=120, bbox_inches="tight")  # with the numbers on the left
    pyplot.close(figure)


def images_of(picture):
    """The images of a grid that `plots.save_grid` wrote: uint8 (N, 28, 28)."""
    pixels = np.asarray(Image.open(picture).convert("L"))[:: plots.SCALE, :: plots.SCALE]
    each, side = data.SIDE + plots.GAP, data.SIDE
    return np.stack([
        pixels[top : top + side, left : left + side]
        for top in range(plots.GAP, pixels.shape[0] - side, each) for left in range(plots.GAP, pixels.shape[1] - side, each)
    ])  # fmt: skip
