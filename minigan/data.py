"""Data sets in the IDX format of MNIST, and the batches of an epoch.

The format: two zero bytes, the element type (8: unsigned byte), the number of dimensions, each
length as a big-endian 32-bit integer, then the elements (LeCun, Cortes and Burges, "The MNIST
database of handwritten digits"). MNIST itself ships inside this package.
"""

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np

from minigan import backend, random
from minigan.errors import UserError

MNIST_FOLDER = Path(__file__).parent / "mnist"
SIDE = 28  # pixels of an image's height and width in every data set of this family
SMALLEST_BATCH = 2  # one image has no variance to normalise by

# SHA-256 of the decompressed files.
MNIST_HASHES = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
LARGEST_FILE = 1 << 30  # bytes, decompressed: what a data set may take of memory
# A compressed file may unpack to so many times its size (MNIST's to 5 times), and some MiB more; a bomb would to 1032.
MOST_EXPANSION, SMALL_FILE = 100, 4 << 20
_UNSIGNED_BYTE = 8
_LONGEST_HEADER = 4 + 4 * 4  # bytes of a file with four dimensions


def load_images(dataset="mnist", splits=("train",)):
    """The images of the splits ("train", "t10k") one after another: uint8 (N, 28, 28), 0 is background.

    dataset: "mnist" for the embedded one, or a folder with IDX files in MNIST's naming, plain or .gz
    (Fashion-MNIST, KMNIST, one of EMNIST's sets). Raises UserError for a file that is missing, damaged or not 28x28 images.
    """
    images = []
    for split in splits:
        path, array = _load(dataset, f"{split}-images-idx3-ubyte")
        if array.ndim != 3 or array.shape[1:] != (SIDE, SIDE) or len(array) == 0:
            raise UserError(
                f"{path} holds an array of shape {array.shape}; images must be (N, {SIDE}, {SIDE}) with N > 0"
            )
        # EMNIST stores its images with rows and columns exchanged.
        images.append(array.transpose(0, 2, 1) if path.name.startswith("emnist") else array)
    return np.concatenate(images)


def load_labels(dataset="mnist", splits=("train",)):
    """The labels of the splits: uint8 (N,). Arguments and errors as in `load_images`."""
    labels = []
    for split in splits:
        path, array = _load(dataset, f"{split}-labels-idx1-ubyte")
        if array.ndim != 1:
            raise UserError(f"{path} holds an array of shape {array.shape}; labels must be (N,)")
        labels.append(array)
    return np.concatenate(labels)


def _load(dataset, name):
    folder = MNIST_FOLDER if dataset == "mnist" else Path(dataset)
    if folder.is_file():
        raise UserError(f"--dataset {folder} is a file; give mnist, or the folder that holds MNIST's four IDX files")
    if not folder.is_dir():
        raise UserError(f"--dataset {folder}: no such folder; give mnist, or a folder with MNIST's four IDX files")
    for path in _candidates(folder, name):
        if path.is_file():
            content = _read(path)
            if dataset == "mnist" and hashlib.sha256(content).hexdigest() != MNIST_HASHES[name]:
                raise UserError(f"{path} is damaged (its SHA-256 is not MNIST's): install minigan again")
            return path, parse_idx(content, path)
    held = ", ".join(sorted(path.name for path in folder.iterdir())[:6]) or "nothing"
    raise UserError(f"{folder} has no {name} and no {name}.gz, plain or as emnist-*; it holds {held}")


def _candidates(folder, name):
    """The paths a file of MNIST's name may have: plain, .gz, or EMNIST's (emnist-digits-test-images-...)."""
    emnist = name.replace("t10k", "test")
    for ending in ("", ".gz"):
        yield folder / f"{name}{ending}"
        found = sorted(folder.glob(f"emnist-*-{emnist}{ending}"))
        if len(found) > 1:
            raise UserError(
                f"{folder} holds several sets, such as {found[0].name} and {found[1].name}: keep one a folder"
            )
        yield from found


def most_unpacked(size):
    """The bytes that a compressed file of so many bytes may unpack to."""
    return min(LARGEST_FILE, SMALL_FILE + MOST_EXPANSION * size)


def _read(path):
    """The file's bytes, decompressed if its name ends in .gz."""
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise UserError(f"{path} is larger than {LARGEST_FILE >> 20} MiB")
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            shape, header = _header(file.read(_LONGEST_HEADER), path)
            needed, most = header + math.prod(shape), most_unpacked(size)
            if needed > most:  # said before memory is reserved for it
                raise UserError(
                    f"{path} has {size} bytes, which may unpack to {most}, but its header {shape} asks for {needed}: "
                    "download it again, or unpack it yourself if you trust it"
                )
            file.seek(0)
            return file.read(needed + 1)  # at the end of the file its sum has been compared, too
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}): download it again") from None


def parse_idx(content, name="the file"):
    """The uint8 array in the bytes of an IDX file (read-only). Raises UserError where they are not one."""
    shape, header = _header(content, name)
    elements = math.prod(shape)  # Python integers: no overflow
    needed = header + elements
    if len(content) < needed:
        raise UserError(f"{name} is truncated: {len(content)} bytes, but its header {shape} asks for {needed}")
    if len(content) > needed:
        raise UserError(f"{name} is longer than the {needed} bytes that its header {shape} asks for")
    return np.frombuffer(content, np.uint8, elements, header).reshape(shape)


def _header(content, name):
    """(the array's shape, the number of bytes before its elements) of an IDX file that begins with the content."""
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE or not 0 < content[3] <= 4:
        raise UserError(f"{name} is not an IDX file of unsigned bytes: it should begin with 0, 0, 8, dimensions")
    header = 4 + 4 * content[3]
    if len(content) < header:
        raise UserError(f"{name} is truncated: {len(content)} bytes, but its header alone has {header}")
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], ">u4"))
    if 0 in shape:
        raise UserError(f"{name} is empty: its header asks for {shape}")
    return shape, header


class Batches:
    """The images of a data set in batches, in a new random order each epoch, or always in their own.

    An epoch's order is a function of the seed and the epoch's number alone, so a resumed run needs
    no more state than its step. The last batch of an epoch is short where the batch size does not
    divide the number of images, and left out if it would hold a single image (one value per channel
    has no variance to normalise by).
    """

    def __init__(self, images, batch_size, seed, device="cpu", shuffle=True):
        if not SMALLEST_BATCH <= batch_size <= len(images):
            raise UserError(
                f"--batch-size {batch_size}: must be from {SMALLEST_BATCH} to the number of images, {len(images)}"
            )
        self.batch_size, self.device, self.shuffle = batch_size, device, shuffle
        whole, rest = divmod(len(images), batch_size)
        self.per_epoch = whole + (rest >= SMALLEST_BATCH)
        self._random = random.Generator(seed, random.ORDER)
        # All on the device, so that a batch is gathered there: the images, their order in this epoch, and how many
        # of them have been taken.
        self._images = backend.to_device(images, device)
        self._order = backend.zeros_on(device, (len(images),), np.int64)
        self._position = backend.zeros_on(device, (1,), np.int64)
        self._epoch, self._next = -1, -1  # none

    def size(self, step):
        """The number of images in the batch of a step (from 0)."""
        return min(self.batch_size, len(self._images) - step % self.per_epoch * self.batch_size)

    def seek(self, step):
        """Makes the batch of a step the next one to be taken."""
        if step == self._next:
            return
        epoch, position = divmod(step, self.per_epoch)
        if self._epoch != epoch:
            self._random.draw = self._epoch = epoch
            count = len(self._images)
            order = self._random.permutation(count) if self.shuffle else np.arange(count)
            self._order[...] = backend.to_device(order, self.device)
        self._position[...] = position * self.batch_size
        self._next = step

    def take(self, size):
        """The next batch, of so many images: float32 (N, 1, 28, 28) with pixels (x - 127.5) / 127.5 in [-1, 1]."""
        out = backend.empty_on(self.device, (size, 1, *self._images.shape[1:]))
        return backend.kernels(out).gather_images(self._images, self._order, self._position, out)

    def note_taken(self):
        """Notes that the batch sought has been taken, by `take` or by a replay of it."""
        self._next += 1
        if self._next % self.per_epoch == 0:
            self.forget()  # another epoch has another order

    def forget(self):
        """Makes `seek` look for its batch anew, whatever has been taken."""
        self._next = -1

    def batch(self, step):
        """The batch of a step."""
        self.seek(step)
        taken = self.take(self.size(step))
        self.note_taken()
        return taken


def to_signed(images):
    """Pixels 0 .. 255 to -1 .. 1, the range of tanh: float32, of the same shape."""
    return (images.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)


def to_pixels(images):
    """Pixels -1 .. 1 to 0 .. 255, rounded, and what is no number to 0: uint8, of the same shape."""
    levels = np.clip(np.rint(images * np.float32(127.5) + np.float32(127.5)), 0, 255)
    return np.nan_to_num(levels, copy=False, nan=0).astype(np.uint8)
