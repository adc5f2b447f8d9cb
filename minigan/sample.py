"""python -m minigan.sample: draws images from a checkpoint's generator."""

import argparse
import io
from pathlib import Path

import numpy as np

from minigan import backend, checkpoint, cli, files, plots, sampling
from minigan.errors import UserError


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.sample",
        description="Draw images from a trained generator: a picture (.png), or an array for other programs "
        "(.npy, uint8, N x 28 x 28). The same seed gives the same images, and a larger count adds to them.",
    )
    p.add_argument("checkpoint", metavar="CHECKPOINT", help="the checkpoint.pkl of a run, or the run's folder")
    p.add_argument(
        "--count", type=cli.positive_int, default=64, metavar="N", help="how many images (default: %(default)s)"
    )
    p.add_argument("--seed", type=cli.seed, default=0, metavar="N", help="of the latents (default: %(default)s)")
    p.add_argument(
        "--batch-size",
        type=cli.positive_int,
        default=64,
        metavar="N",
        help="images generated at a time (default: %(default)s)",
    )
    p.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="auto, the default, takes a GPU if one can be used",
    )
    p.add_argument(
        "--ema",
        action=argparse.BooleanOptionalAction,
        help="draw from the moving average of the generator's weights (by default, where the run kept one), or not",
    )
    p.add_argument("--out", required=True, metavar="FILE", help="grid.png or samples.npy")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    out = Path(arguments.out)
    if out.suffix not in (".png", ".npy"):
        raise UserError(f"--out {out}: the name must end in .png (a picture) or .npy (an array)")
    if not out.parent.is_dir():
        raise UserError(f"--out {out} cannot be written: there is no folder {out.parent}")
    device = backend.select_device(arguments.device)
    generator, recipe = sampling.load_generator(checkpoint.path_in(arguments.checkpoint), device, arguments.ema)
    try:
        images = sampling.draw(
            generator, recipe.latent_shape, arguments.count, arguments.seed, device, arguments.batch_size
        )
    except MemoryError:
        raise UserError(f"--count {arguments.count}: so many images do not fit into memory") from None
    try:
        if out.suffix == ".png":
            plots.save_grid(out, images)
        else:
            content = io.BytesIO()
            np.save(content, images)
            files.write_atomically(out, content.getvalue())
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from None
    print(f"{len(images)} images in {out}")
    return 0


if __name__ == "__main__":
    cli.run(main)
