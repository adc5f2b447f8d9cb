"""python -m minigan.train_judge: trains the judge (minigan/judge.py), the classifier that generated digits are scored by.

Adam, its learning rate decayed along half a cosine (Loshchilov and Hutter 2017); every image is turned, stretched,
slanted and moved a little, anew in each epoch. The settings were chosen on 10,000 training images held out (--hold-out).
"""

import hashlib
import math
import os
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minigan import backend, cli, data, files, functions, init, judge, nn, optim, random
from minigan.errors import UserError
from minigan.tensor import Tensor, grad

EPOCHS, BATCH_SIZE, LEARNING_RATE = 9, 128, 2e-3
ROTATION, STRETCH, SHEAR, SHIFT = 10.0, 0.1, 0.1, 2.0  # at most: degrees, log of the scale, slope, pixels
SHOW_EVERY = 20  # steps


def parser():
    """The command's arguments."""
    p = cli.Parser(
        prog="python -m minigan.train_judge",
        description="Train the classifier that generated digits are scored by, on all training images, and write its "
        "weights. Same seed, processor kind and number of threads: same weights.",
    )
    p.add_argument("--seed", type=cli.seed, default=0, metavar="N", help="default: %(default)s")
    p.add_argument("--epochs", type=cli.positive_int, default=EPOCHS, metavar="N", help="default: %(default)s")
    p.add_argument(
        "--device",
        choices=("auto", "cpu", "gpu"),
        default="auto",
        help="auto, the default, takes a GPU if one can be used",
    )
    p.add_argument("--threads", type=cli.positive_int, metavar="N", help="CPU threads (default: all cores)")
    p.add_argument(
        "--dataset", type=cli.path, default="mnist", metavar="mnist|DIR",
        help="or a folder of IDX files of ten classes, in MNIST's naming, plain or .gz (default: mnist)",
    )  # fmt: skip
    p.add_argument(
        "--hold-out", type=cli.positive_int, metavar="N",
        help="a trial, for choosing settings: leave N training images out, print the accuracy on them, and write "
        "nothing; the test images are not looked at",
    )  # fmt: skip
    p.add_argument("--out", type=cli.path, metavar="FILE.npz", help="the file to write (default: judge.npz)")
    p.add_argument("--quiet", action="store_true", help="no progress bar")
    return p


def main(argv=None):
    """The command. Returns its exit code."""
    arguments = parser().parse_args(argv)
    device = backend.select_device(arguments.device)
    backend.set_threads(arguments.threads)
    out = _checked_out(arguments)
    images, labels = _labelled(arguments.dataset, "train")
    if arguments.hold_out:
        if arguments.hold_out > len(images) - data.SMALLEST_BATCH:
            raise UserError(f"--hold-out {arguments.hold_out} leaves nothing to train on of {len(images)} images")
        order = random.Generator(arguments.seed, random.SAMPLES).permutation(len(images))
        held_out, kept = order[: arguments.hold_out], order[arguments.hold_out :]
        trained = train(images[kept], labels[kept], arguments.seed, arguments.epochs, device, arguments.quiet)
        right = judge.accuracy(trained, images[held_out], labels[held_out], device, arguments.quiet)
        print(f"{right:.2%} of {len(held_out)} training images held out")
        return 0
    test_images, test_labels = _labelled(arguments.dataset, "t10k")  # a folder without them is refused before training
    trained = train(images, labels, arguments.seed, arguments.epochs, device, arguments.quiet)
    right = judge.accuracy(trained, test_images, test_labels, device, arguments.quiet)
    settings = dict(
        seed=arguments.seed, epochs=arguments.epochs, batch_size=BATCH_SIZE, learning_rate=LEARNING_RATE,
        threads=backend.thread_count() if device == "cpu" else 0,
    )  # fmt: skip
    content = judge.file_content(trained, settings, right)
    _write(out, content)
    print(f"{right:.2%} of {len(test_images)} test images")
    print(f"{out}, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return 0


def train(images, labels, seed=0, epochs=EPOCHS, device="cpu", quiet=True):
    """A Judge trained on images, uint8 (N, 28, 28) with N > 1, and labels, (N,) from 0 to 9; in eval mode.

    Its weights are rounded as its file will have them. Raises UserError when the loss is no longer a number.
    """
    model = initial(seed).to(device)
    params = list(model.parameters())
    optimizer = optim.Adam(params, lr=LEARNING_RATE)
    order, distortion = random.Generator(seed, random.ORDER), random.Generator(seed, random.NOISE)
    size = min(BATCH_SIZE, len(images))
    per_epoch = len(images) // size
    steps, shuffled = epochs * per_epoch, np.arange(0)
    bar = tqdm(
        total=steps, desc="training the judge", unit="step", disable=quiet or sys.stderr is None, dynamic_ncols=True
    )
    with bar:
        for step in range(steps):
            if step % per_epoch == 0:
                shuffled = order.permutation(len(images))
            start = step % per_epoch * size
            chosen = shuffled[start : start + size]
            x = Tensor(backend.to_device(distort(images[chosen], distortion), device))  # (N, 1, 28, 28)
            y = Tensor(backend.to_device(labels[chosen].astype(np.int64), device))  # (N,)
            loss = functions.cross_entropy(model(x), y)
            optimizer.settings["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / steps)) / 2
            optimizer.step(grad(loss, params))
            if (step + 1) % SHOW_EVERY == 0 or step + 1 == steps:
                value = float(loss.numpy())
                if not math.isfinite(value):
                    raise UserError(f"the loss is no number after step {step + 1}: try another --seed")
                bar.set_postfix_str(f"loss {value:.3f}", refresh=False)
                bar.update(step + 1 - bar.n)
    return judge.rounded(model.cpu()).requires_grad_(False).eval()


def initial(seed):
    """A Judge in training mode whose weights are He et al.'s (2015), drawn from the seed."""
    model, weights = judge.Judge(), random.Generator(seed, random.WEIGHTS_D)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, judge.SLOPE, weights)
    init.zeros_(model.head.bias)
    return model


def distort(images, generator):
    """Images, uint8 (N, 28, 28), each turned, stretched, slanted and moved at random: float32 (N, 1, 28, 28) in [-1, 1].

    Each pixel of the new image is read from the old one, between its pixels (bilinear interpolation); what lies
    outside is background. The generator draws once, six numbers an image.
    """
    count, side = len(images), data.SIDE
    turn, wide, high, slant, right, down = (2 * generator.uniform((6, count, 1)) - 1).astype(np.float32)  # each (N, 1)
    turn, slant = turn * np.float32(math.radians(ROTATION)), slant * np.float32(SHEAR)
    centre = np.float32((side - 1) / 2)
    rows, columns = (np.indices((side, side), np.float32) - centre).reshape(2, 1, -1)  # each (1, 784)
    x = np.exp(wide * np.float32(STRETCH)) * columns + slant * rows  # (N, 784)
    y = np.exp(high * np.float32(STRETCH)) * rows  # (N, 784)
    cos, sin = np.cos(turn), np.sin(turn)
    x, y = cos * x - sin * y + right * np.float32(SHIFT), sin * x + cos * y + down * np.float32(SHIFT)  # (N, 784)
    padded = np.pad(images, ((0, 0), (1, 2), (1, 2)))  # (N, 31, 31): a frame of background to read outside
    x, y = (np.clip(a + centre + 1, 0, side + np.float32(0.999)) for a in (x, y))
    left, top = x.astype(np.int32), y.astype(np.int32)
    x, y = x - left.astype(np.float32), y - top.astype(np.float32)
    flat, width = padded.reshape(-1), padded.shape[2]
    first = np.arange(count, dtype=np.int32)[:, None] * padded[0].size + top * width + left  # (N, 784)
    above = flat[first] * (1 - x) + flat[first + 1] * x
    below = flat[first + width] * (1 - x) + flat[first + width + 1] * x
    pixels = above * (1 - y) + below * y
    return ((pixels - np.float32(127.5)) / np.float32(127.5)).reshape(count, 1, side, side)


def _checked_out(arguments):
    """The path to write, or None for a trial; refused before the training if it cannot be used."""
    if arguments.hold_out:
        if arguments.out:
            raise UserError("--hold-out is a trial and writes no file: leave out --out")
        return None
    out = Path(arguments.out or "judge.npz")
    if out.suffix != ".npz":
        raise UserError(f"--out {out}: the name must end in .npz")
    if out.exists():
        raise UserError(f"--out {out} is there already: choose another name")
    if not out.parent.is_dir():
        raise UserError(f"--out {out} cannot be written: there is no folder {out.parent}")
    return out


def _write(out, content):
    """Writes a file that must not be there yet: not even if it has appeared since the training began."""
    temporary = out.with_name(f"{out.name}.tmp")
    try:
        files.write_atomically(temporary, content)
    except OSError as error:
        raise UserError(f"--out {out} cannot be written: {error.strerror}") from None
    try:
        os.link(temporary, out)  # unlike a rename, it replaces nothing
    except OSError as error:
        raise UserError(f"--out {out} cannot be written ({error.strerror}): what was trained is {temporary}") from None
    temporary.unlink()


def _labelled(dataset, split):
    """The images and labels of a split. Raises UserError where they do not fit each other, or the ten classes."""
    images, labels = data.load_images(dataset, (split,)), data.load_labels(dataset, (split,))
    if len(images) != len(labels):
        raise UserError(f"--dataset {dataset}: {len(images)} images but {len(labels)} labels of {split}")
    if labels.max() >= judge.CLASSES:
        raise UserError(
            f"--dataset {dataset} has a class {labels.max()}; the judge tells {judge.CLASSES}, from 0, apart"
        )
    if len(images) < data.SMALLEST_BATCH:
        raise UserError(f"--dataset {dataset} has {len(images)} image; at least {data.SMALLEST_BATCH} are needed")
    return images, labels


if __name__ == "__main__":
    cli.run(main)
