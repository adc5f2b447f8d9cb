"""The pictures of a report: samples of a run and real images, as PNG data in the page itself."""

import base64
import functools
import io

import numpy as np
from PIL import Image

from minigan import data, plots
from minigan.errors import UserError

MOST_FRAMES = 60  # of the slider
MOST_BYTES = 4_000_000  # of all frames in the page, so that the page stays below 5 MB
MOST_SIDE = 2048  # pixels of a picture
REAL_SEED = 0


def frames(samples):
    """[(step, data URI, size in pixels)] of some of the run's pictures, evenly chosen, the last one always.

    samples: [(step, path)] in order. What is no picture is left out.
    """
    chosen, most = [], MOST_FRAMES
    while samples and most:
        places = np.unique(np.linspace(len(samples) - 1, 0, min(most, len(samples))).round().astype(int))
        pictures = [(samples[place][0], _encoded(samples[place][1])) for place in places]
        chosen = [(step, *picture) for step, picture in pictures if picture]
        taken = sum(len(uri) for _, uri, _ in chosen)
        if taken <= MOST_BYTES:
            break
        most = min(most - 1, int(most * MOST_BYTES / taken))
        chosen = chosen[-1:]
    return chosen


def _encoded(path):
    try:
        status = path.stat()
        return _encode(path, status.st_mtime_ns, status.st_size)
    except OSError:
        return None


@functools.lru_cache(maxsize=2 * MOST_FRAMES)  # a run's report is written many times, its early pictures once
def _encode(path, changed, size):
    """(data URI, (width, height)) of a picture file, or None. `plots.save_grid` had enlarged it: that is undone."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            if max(picture.size) > MOST_SIDE:
                return None
            pixels = np.asarray(picture.convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    small = pixels[:: plots.SCALE, :: plots.SCALE]
    if np.array_equal(small.repeat(plots.SCALE, 0).repeat(plots.SCALE, 1), pixels):
        pixels = small
    return _uri(pixels), pixels.shape[::-1]


def _uri(pixels):
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def images_in(size):
    """How many 28x28 images a grid of (width, height) pixels has room for; one at least."""
    columns, rows = (max(1, (length - plots.GAP) // (data.SIDE + plots.GAP)) for length in size)
    return columns * rows


@functools.lru_cache(maxsize=4)
def real(dataset, splits, count):
    """(number of images, data URI of some, their size in pixels); (None, a sentence, None) where they cannot be read.

    The images are drawn with a seed of their own, from all that the run trains on.
    """
    try:
        images = data.load_images(dataset, splits)
    except (UserError, OSError, ValueError) as error:
        return None, f"The real images cannot be shown: {error}.", None
    places = np.random.default_rng(REAL_SEED).choice(len(images), min(count, len(images)), replace=False)
    sheet = plots.grid(images[places])
    return len(images), _uri(sheet), sheet.shape[::-1]
