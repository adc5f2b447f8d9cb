"""The judge: a digit classifier trained by this library, whose features and probabilities generated digits are scored by.

It stands where the Inception network stands in scores of photographs (Salimans et al. 2016, Heusel et al. 2017), which
says nothing about digits. Its weights ship in the package, made by `python -m minigan.train_judge`. A score is only
comparable with another under the same judge: the same version, and the same SHA-256 of the weights' file.
"""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np
from tqdm import tqdm

from minigan import backend, data, files, nn, random
from minigan.errors import ShapeError, UserError
from minigan.tensor import Tensor, no_grad

NAME, VERSION = "minigan digit judge", "1"
CLASSES = 10
FEATURES = 64  # what an image is described by, where distributions of images are compared
SLOPE = 0.1  # not 0: a feature that is zero for most images would leave the features' covariance singular
SHIPPED = Path(__file__).parent / "weights" / f"judge-{VERSION}.npz"
SHA256 = "55c54c3c2461f7ef421a4eea4f7799352b41b4be3c2baf472cd8ea833897bedc"  # of the shipped file
LARGEST_FILE = 4 << 20  # bytes
# What a file says of its training: threads is 0 where a GPU did it.
SETTINGS = dict(seed=np.uint64, epochs=np.int64, batch_size=np.int64, learning_rate=np.float64, threads=np.int64)
BATCH = 250  # images embedded at a time
_HEADER = 1 << 12  # bytes that an array's description may take of its part of the file


class Judge(nn.Module):
    """Images (N, 1, 28, 28) with pixels in [-1, 1] to the logits (N, 10) of the ten digits.

    Four convolutions and a dense layer, each batch-normalised (Ioffe and Szegedy 2015): the dense layer's outputs are
    the features, and a linear layer makes the logits of them. `load` adds `version`, `sha256`, `test_accuracy` (a
    share) and `settings` (those of its training, by name).
    """

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *_convolution(1, 32, kernel_size=4, stride=2),  # (N, 32, 14, 14)
            *_convolution(32, 64, kernel_size=3),  # (N, 64, 14, 14)
            *_convolution(64, 64, kernel_size=4, stride=2),  # (N, 64, 7, 7)
            *_convolution(64, 64, kernel_size=3),  # (N, 64, 7, 7)
            nn.Flatten(),  # (N, 3136)
            nn.Linear(64 * 7 * 7, FEATURES, bias=False),
            nn.BatchNorm1d(FEATURES),
            nn.LeakyReLU(SLOPE),
        )
        self.head = nn.Linear(FEATURES, CLASSES)

    def features(self, x):
        """The numbers that the last layer sees: (N, 1, 28, 28) to (N, 64)."""
        return self.body(x)

    def forward(self, x):
        return self.head(self.features(x))


def load(path=None):
    """The Judge in a file that `python -m minigan.train_judge` wrote, in eval mode; without a path, the one shipped.

    Raises UserError for any other file, and for a shipped file whose SHA-256 is not the one in this module.
    """
    content = files.read(SHIPPED if path is None else path, "judge", LARGEST_FILE)
    sha256 = hashlib.sha256(content).hexdigest()
    if path is None and sha256 != SHA256:
        raise UserError(f"{SHIPPED} is damaged (its SHA-256 is not that of judge {VERSION}): install minigan again")
    draw = random.default_generator.draw
    judge = Judge()
    random.default_generator.draw = draw  # the initial weights, which nobody will use, leave no trace
    try:
        arrays = _arrays(content, _layout(judge, {}, 0.0))
        _check(arrays)
    except Exception as error:  # whatever a damaged zip file or array raises, the user gets one line
        why = f"{str(error):.500}" if isinstance(error, _Unfit) else f"{type(error).__name__} while reading it"
        raise UserError(
            f"{path or SHIPPED} is no judge of version {VERSION} ({why}): make one with python -m minigan.train_judge"
        ) from None
    judge.load_state_dict({name: arrays[f"weights/{name}"].astype(a.dtype) for name, a in judge.state_dict().items()})
    judge.version, judge.sha256 = VERSION, sha256
    judge.test_accuracy = float(arrays["test_accuracy"])
    judge.settings = {name: arrays[f"settings/{name}"].item() for name in SETTINGS}
    return judge.requires_grad_(False).eval()


def file_content(judge, settings, test_accuracy):
    """The bytes of a judge's file, an .npz of plain arrays: the same for the same weights, on every day.

    settings: {name: number} for the names of SETTINGS. test_accuracy: the share of test images it gets right.
    """
    file = io.BytesIO()
    np.savez(file, **_layout(judge, settings, test_accuracy))
    return file.getvalue()


def rounded(judge):
    """The judge, on the CPU, with its weights rounded as its file will have them."""
    for parameter in judge.parameters():
        parameter.data[...] = _rounded(parameter.data)
    return judge


def embed(judge, images, device="cpu", quiet=False):
    """Features, float32 (N, 64), and probabilities of the digits, float32 (N, 10), of images, uint8 (N, 28, 28).

    Moves the judge to the device. Shows a progress bar where it takes more than a few seconds, unless quiet. Products
    are float32's, whatever the precision in use. An
    image's numbers do not depend on the images around it. Raises ShapeError for other arrays.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != (data.SIDE, data.SIDE):
        raise ShapeError(f"the judge takes images as uint8 (N, 28, 28), not {images.dtype} {images.shape}")
    judge.to(device).eval()
    features = np.empty((len(images), FEATURES), np.float32)
    probabilities = np.empty((len(images), CLASSES), np.float32)
    bar = tqdm(
        total=len(images),
        desc="judging",
        unit="image",
        delay=3,
        disable=quiet or sys.stderr is None,
        dynamic_ncols=True,
    )
    with backend.full_precision(device), no_grad(), bar:
        for start in range(0, len(images), BATCH):
            part = slice(start, min(start + BATCH, len(images)))
            # Always a whole batch: which algorithm multiplies, and so the last digit, depends on its size.
            batch = np.zeros((BATCH, 1, data.SIDE, data.SIDE), np.float32)
            batch[: part.stop - start, 0] = data.to_signed(images[part])
            seen = judge.features(Tensor(backend.to_device(batch, device)))
            logits = judge.head(seen)
            shares = (logits - logits.logsumexp(1, keepdim=True)).exp()
            features[part] = seen.numpy()[: part.stop - start]
            probabilities[part] = shares.numpy()[: part.stop - start]
            bar.update(part.stop - start)
    return features, probabilities


def accuracy(judge, images, labels, device="cpu", quiet=False):
    """The share of images, uint8 (N, 28, 28), whose most probable digit is the label, (N,)."""
    return float((embed(judge, images, device, quiet)[1].argmax(1) == labels).mean())


def _convolution(channels, out_channels, **kernel):
    convolution = nn.Conv2d(channels, out_channels, padding=1, bias=False, **kernel)
    return convolution, nn.BatchNorm2d(out_channels), nn.LeakyReLU(SLOPE)


class _Unfit(ValueError):
    """A file holds something else than a judge."""


def _layout(judge, settings, test_accuracy):
    """{name in the file: array}: what a file holds of a judge, and what shapes and dtypes it must hold."""
    return {
        "name": np.array(NAME),
        "version": np.array(VERSION),
        "classes": np.array([str(digit) for digit in range(CLASSES)]),
        "test_accuracy": np.array(test_accuracy, np.float64),
        **{f"settings/{name}": np.array(settings.get(name, 0), dtype) for name, dtype in SETTINGS.items()},
        **{f"weights/{name}": _rounded(backend.to_numpy(array)) for name, array in judge.state_dict().items()},
    }


def _rounded(array):
    """The array as a file keeps it: kernels and matrices, nearly all of the numbers, in 16 bits each."""
    return array.astype(np.float16) if array.ndim > 1 else array


def _arrays(content, layout):
    """The arrays of an .npz file that has those of the layout, in their shapes and dtypes; else an error."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sorted(archive.namelist()) != sorted(f"{name}.npy" for name in layout):
            raise _Unfit("it holds other arrays")
        if any(info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for info in archive.infolist()):
            raise _Unfit("it is compressed in another way")  # LZMA reserves as much memory as the file names
        return {name: _array(archive, name, like) for name, like in layout.items()}


def _array(archive, name, like):
    """An array of the archive; its description is compared with `like` before anything is reserved for it."""
    with archive.open(f"{name}.npy") as file:
        content = file.read(like.nbytes + _HEADER)  # no more, however much it would unpack to
    stream = io.BytesIO(content)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise _Unfit(f"{name} is in another format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if (shape, dtype) != (like.shape, like.dtype):
        raise _Unfit(f"{name} is {dtype} {shape}, not {like.dtype} {like.shape}")
    if len(content) != stream.tell() + like.nbytes:
        raise _Unfit(f"{name} has {len(content) - stream.tell()} bytes, not {like.nbytes}")
    return np.load(io.BytesIO(content), allow_pickle=False)


def _check(arrays):
    """Raises _Unfit for arrays of the right shapes that no training leaves."""
    for name in ("name", "version", "classes"):
        if (arrays[name] != _layout(nn.Module(), {}, 0.0)[name]).any():
            raise _Unfit(f"{name} {ascii(arrays[name].tolist())}")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _Unfit(f"{name} has values that are no numbers")
        if name.endswith("running_var") and (array < 0).any():
            raise _Unfit(f"{name} has negative variances")
    if not 0 <= arrays["test_accuracy"] <= 1:
        raise _Unfit("its accuracy is no share")
