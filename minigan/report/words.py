"""The words of a report: what settings and scores are called and mean, and numbers, times and counts in text."""

import math
import re
from html import escape

SPACE = "\N{NO-BREAK SPACE}"  # between a number and its unit
LONGEST = 300  # characters of a value from a file
# Settings of a run: what to call them, and whether another value than the recipe's makes it another experiment.
SETTINGS = {
    "epochs": ("epochs", True),
    "steps": ("steps, instead of epochs", False),
    "batch_size": ("batch size", True),
    "lr_g": ("learning rate of G", True),
    "lr_d": ("learning rate of D", True),
    "d_steps": ("updates of D a step", True),
    "d_steps_epochs": ("epochs with so many updates", True),
    "loss": ("G's loss", True),
    "ema": ("moving average of G's weights", True),
    "seed": ("seed", False),
    "dataset": ("data set", False),
    "shuffle": ("new order each epoch", True),
    "normalise": ("real pixels from -1 to 1", True),
    "checkpoint_every": ("epochs between checkpoints", False),
    "checkpoint_steps": ("steps between checkpoints", False),
    "sample_every": ("steps between samples", False),
    "probe_every": ("steps between probes", False),
    "keep": ("checkpoints kept", False),
    "on_nonfinite": ("where a number is not finite", False),
}
ENVIRONMENT = {
    "machine": "Processor",
    "gpu": "GPU",
    "device": "Device",
    "threads": "CPU threads",
    "precision": "Precision of products",
    "minigan": "minigan",
    "python": "Python",
    "numpy": "NumPy",
    "numba": "Numba",
    "cupy": "CuPy",
}
# Metrics: their names, which way is better, what they mean.
SCORES = {
    "frechet_distance": (
        "Fréchet distance",
        "lower is better",
        "How far the samples, as the judge sees them, lie from the training images: the distance between two clouds of "
        "features, by their means and spreads.",
    ),
    "inception_score": (
        "Inception Score",
        "higher is better, at most 10",
        "High where every image is clearly one digit and all ten digits are equally frequent.",
    ),
    "precision": (
        "Precision",
        "higher is better",
        "The share of samples that look like real images: are they good?",
    ),
    "recall": (
        "Recall",
        "higher is better",
        "The share of real images that the samples come close to: is every kind of digit drawn?",
    ),
    "density": (
        "Density",
        "higher is better",
        "How thickly real images lie around the samples, about 1 for real ones: precision that a single odd image "
        "cannot raise.",
    ),
    "coverage": (
        "Coverage",
        "higher is better",
        "The share of real images with a sample in their neighbourhood: recall that a single odd sample cannot raise.",
    ),
    "class_kl": (
        "Class divergence",
        "lower is better",
        "How far the frequencies of the ten digits are from the data's (Kullback–Leibler, in nats); 0: the same.",
    ),
    "nearest_distance": (
        "Nearest training image",
        "near the real images' is better",
        "Mean distance from a sample to the image trained on that is most like it. Far less than for real images: "
        "copied from memory.",
    ),
}


def advice(sentence):
    """A sentence as HTML, with command line options in it set as such."""
    return re.sub(r"--[a-z][a-z-]*( \d+)?", r"<code>\g<0></code>", escape(sentence))


def clipped(value):
    """A value from a file as text, of a length that fits the page."""
    text = str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def setting(value):
    """A setting's value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) < 2**31 else clipped(value)


def short(value):
    """A number with the digits a person reads."""
    if not math.isfinite(value):
        return "no number"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2g}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def count(number, noun):
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def duration(seconds):
    """Seconds in words."""
    if seconds < 10:
        return f"{seconds:.2g}{SPACE}s"
    whole_seconds = round(seconds)
    if whole_seconds < 100:
        return f"{whole_seconds}{SPACE}s"
    if whole_seconds < 3600:
        return f"{whole_seconds // 60}{SPACE}min {whole_seconds % 60}{SPACE}s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,}{SPACE}h {minutes % 60}{SPACE}min"


def ten_shares(label, shares):
    """The shares of the ten digits, for those who do not see the chart."""
    return f"{label}: " + ", ".join(f"{digit} {share:.0%}" for digit, share in enumerate(shares))
