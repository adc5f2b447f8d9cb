"""Pictures of a run: sample grids, loss curves, and the samples as an animation. A file is replaced whole."""

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from minigan import files

SCALE = 2  # screen pixels of one image pixel
GAP = 2  # image pixels between the images of a grid


def grid(images):
    """Images (N, H, W) uint8 side by side, as square as N allows: one image (rows, columns) uint8."""
    count, height, width = images.shape
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.full((rows * (height + GAP) + GAP, columns * (width + GAP) + GAP), 64, np.uint8)
    for position, image in enumerate(images):
        top = GAP + position // columns * (height + GAP)
        left = GAP + position % columns * (width + GAP)
        sheet[top : top + height, left : left + width] = image
    return sheet


def save_grid(path, images):
    """Writes images (N, H, W) uint8 as a PNG grid."""
    sheet = Image.fromarray(grid(images))
    content = io.BytesIO()
    sheet.resize((sheet.width * SCALE, sheet.height * SCALE), Image.Resampling.NEAREST).save(content, "png")
    files.write_atomically(path, content.getvalue())


def save_losses(path, steps, loss_d, loss_g, title):
    """Draws both losses (sequences, one value a step) over the steps, with their running means, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4.5))
    for values, label, colour in ((loss_g, "generator", "tab:orange"), (loss_d, "discriminator", "tab:blue")):
        values = np.asarray(values, float)
        axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.5)
        window = max(1, len(values) // 100)
        means = np.convolve(values, np.ones(window) / window, "valid")
        axes.plot(steps[window - 1 :], means, color=colour, label=f"{label} (mean of {window})")
    axes.set(xlabel="training step", ylabel="loss (nats)", title=title)
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, dpi=120)
    pyplot.close(figure)
    files.write_atomically(path, content.getvalue())


def save_animation(path, pictures, seconds=8.0):
    """Writes the PNG files `pictures`, in order, as an endless GIF that takes about `seconds` a turn."""
    frames = []
    for picture in pictures:
        with contextlib.suppress(Exception):  # no picture, or a damaged one, of which Pillow says so in many ways
            frames.append(Image.open(Path(picture)).convert("L"))
    if frames:
        each = int(np.clip(1000 * seconds / len(frames), 40, 800))  # milliseconds
        durations = [each] * (len(frames) - 1) + [2000]  # the last one stays
        content = io.BytesIO()
        frames[0].save(content, "gif", save_all=True, append_images=frames[1:], duration=durations, loop=0)
        files.write_atomically(path, content.getvalue())
