"""Checks of exercise 7."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen, refuses
from minigan import kernels, nn
from minigan.functions import binary_cross_entropy_with_logits
from minigan.kernels import reference
from minigan.tensor import Tensor, grad


@check(points=2)
def sizes(student, rng):
    """output_size counts the places of a kernel along an axis"""
    for _ in range(12):
        kernel, stride, padding = (int(rng.integers(low, high)) for low, high in ((1, 6), (1, 4), (0, 4)))
        size = kernel + int(rng.integers(0, 12))
        room = size + 2 * padding - kernel
        agree(
            student.output_size(size, kernel, stride, padding), room // stride + 1, "the output's size",
            given={"size": size, "kernel": kernel, "stride": stride, "padding": padding},
            slips={
                "the 1 is missing: the place at 0 counts, too": room // stride,
                "the padding is added on one side only": (room - padding) // stride + 1,
                "the padding is forgotten": (size - kernel) // stride + 1,
                "the division is rounded up: a place must fit as a whole": -(-room // stride) + 1,
                "the stride is forgotten": room + 1,
                "the division is not a whole one: use //": room / stride + 1,
                "1 is added before the division by the stride": (room + 1) // stride,
            },
        )  # fmt: skip
    agree(
        student.output_size(9, 4),
        6,
        "the output's size without stride and padding (1 and 0)",
        given={"size": 9, "kernel": 4},
    )
    size, padding = int(rng.integers(20, 40)), int(rng.integers(3, 6))
    padded = size + 2 * padding
    agree(student.output_size(size, padded, 2, padding), 1, "the output's size for a kernel that just fits")
    for stride in (1, 2, 3):  # int(-1 / 2) + 1 is 1 place, where there is none: rounded towards 0, not down
        refuses(
            lambda: student.output_size(size, padded + 1, stride, padding), ValueError,  # noqa: B023
            f"output_size({size}, {padded + 1}, {stride}, {padding}), {padded} pixels with their padding,", mention=(padded + 1, padded),
        )  # fmt: skip


@check(points=3)
def patch_matrix(student, rng):
    """patches is the matrix of what every place sees"""
    for with_defaults in (True, False, False, False):
        _check_patches(student, *_problem(rng, with_defaults))
    for settings in ((1, 1), (2, 0)):
        _check_patches(student, *_problem(rng, True)[:2], *settings)


def _check_patches(student, x, weight, stride, padding):
    kernel = weight.shape[2:]
    taps = _taps(x, kernel, stride, padding)  # (N, C, R, S, P, Q)
    agree(
        student.patches(x, kernel, *_unless_default(stride, padding)), _matrix(taps), "the patch matrix",
        given={"x": x, "kernel": kernel, "stride": stride, "padding": padding},
        slips={
            "taps and places are exchanged": _matrix(taps).transpose(0, 2, 1),
            "the channel runs fastest among the taps: it should be row after row of c, then i, then j": _matrix(
                taps.transpose(0, 2, 3, 1, 4, 5)
            ),
            "i and j are exchanged": _matrix(taps.transpose(0, 1, 3, 2, 4, 5)),
            "p and q are exchanged": _matrix(taps.transpose(0, 1, 2, 3, 5, 4)),
            **{
                sentence: _matrix(_taps(frame, kernel, stride, 0)) for sentence, frame in _wrongly_padded(x, padding).items()
            },
            "the padding is forgotten": lambda: _matrix(_taps(x, kernel, stride, 0)),
            "the stride is forgotten": lambda: _matrix(_taps(x, kernel, 1, padding)),
            "the taps are turned, last row and column first": _matrix(taps[:, :, ::-1, ::-1]),
        },
    )  # fmt: skip


@check(points=3)
def convolution(student, rng):
    """conv2d is the cross-correlation"""
    for with_defaults in (True, False, False, False):
        x, weight, stride, padding = _problem(rng, with_defaults)
        _check_conv2d(student, x, weight, stride, padding)
    single = student.conv2d(x.astype(np.float32), weight.astype(np.float32), stride, padding)
    dtype = getattr(single, "dtype", type(single).__name__)
    expect(dtype == np.float32, f"from float32, conv2d makes {dtype}: it should keep the dtype of x")
    for settings in ((1, 1), (2, 0)):
        _check_conv2d(student, *_problem(rng, True)[:2], *settings)


def _check_conv2d(student, x, weight, stride, padding):
    agree(
        student.conv2d(x, weight, *_unless_default(stride, padding)), _conv2d(x, weight, stride, padding), "conv2d",
        given={"x": x, "weight": weight, "stride": stride, "padding": padding},
        slips={
            "the filters are turned by half a circle: that is a mathematician's convolution": lambda: _conv2d(
                x, weight[:, :, ::-1, ::-1], stride, padding
            ),
            **{sentence: _conv2d(frame, weight, stride, 0) for sentence, frame in _wrongly_padded(x, padding).items()},
            "only the first channel is seen": lambda: _conv2d(x[:, :1], weight[:, :1], stride, padding),
            "it is the mean over the taps, not their sum": lambda: _conv2d(x, weight, stride, padding) / weight[0].size,
            "all images give the result of the first": lambda: _conv2d(x[[0] * len(x)], weight, stride, padding),
            "the padding is forgotten": lambda: _conv2d(x, weight, stride, 0),
            "the stride is forgotten": lambda: _conv2d(x, weight, 1, padding),
        },
    )  # fmt: skip


@check(points=2)
def training_step(student, rng):
    """conv2d trains a network in the place of the library's kernel"""
    images = frozen(rng.normal(size=(3, 2, 9, 7)))
    weights = [rng.normal(size=shape) * 0.3 for shape in ((4, 2, 3, 3), (4,), (1, 4, 4, 4), (1,))]
    target = Tensor(np.array([1.0, 0.0, 1.0]))

    def step():
        """The loss of a small discriminator, and its weights after a step against the gradient."""
        network = nn.Sequential(nn.Conv2d(2, 4, 3, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(4, 1, 4, 2, 1)).to("float64")
        for parameter, weight in zip(network.parameters(), weights):
            parameter.data[...] = weight
        loss = binary_cross_entropy_with_logits(network(Tensor(images)).sum((1, 2, 3)), target)
        return loss.item(), [
            p.data - 0.1 * g.data for p, g in zip(network.parameters(), grad(loss, network.parameters()))
        ]

    with kernels.use("reference"):
        expected = step()
        with kernels.use(conv2d=kernel_of(student.conv2d)):
            found = step()
    what = (
        "the loss of a network of two convolutions (3 x 3 and 4 x 4 taps, stride 2, padding 1) that calls your conv2d"
    )
    agree(found[0], expected[0], what)
    for name, mine, right in zip(("first weight", "first bias", "second weight", "second bias"), found[1], expected[1]):
        agree(mine, right, f"{name}, after a training step with your conv2d,")


def kernel_of(conv2d):
    """A student's conv2d with the arguments of the library's kernel."""

    def kernel(x, weight, stride, padding, dilation, out):
        alike = len(set(padding)) == 1
        frame = x if alike else _framed(x, padding)
        out[...] = conv2d(frame, weight, stride[0], padding[0] if alike else 0)
        return out

    return kernel


def _framed(x, padding):
    left, right, top, bottom = padding
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))


def _problem(rng, with_defaults):
    """(x, weight, stride, padding), no two lengths alike. With the default stride and padding small enough to be printed."""
    if with_defaults:
        stride, padding, (batch, channels, filters), (height, width), (rows, cols) = 1, 0, (1, 2, 3), (4, 5), (2, 3)
    else:
        stride, padding = int(rng.integers(2, 4)), int(rng.integers(1, 3))
        batch, channels, filters = (int(n) for n in rng.permutation([2, 3, 4]))
        height, width = (int(n) for n in rng.permutation([5, 6, 7])[:2])
        rows, cols = (int(n) for n in rng.permutation([2, 3, 4])[:2])
    x, weight = rng.normal(size=(batch, channels, height, width)), rng.normal(size=(filters, channels, rows, cols))
    return frozen(x.round(2)), frozen(weight.round(2)), stride, padding


def _unless_default(stride, padding):
    return () if (stride, padding) == (1, 0) else (stride, padding)


def _wrongly_padded(x, padding):
    """{what is wrong with it: x with its padding}."""
    before, after, both = (padding, 0), (0, padding), (padding, padding)
    none = (0, 0), (0, 0)
    return {
        "the padding repeats the border instead of being 0": np.pad(x, (*none, both, both), "edge"),
        "negative indices reach the other end of x: Python counts them from there": np.pad(
            np.pad(x, (*none, before, before), "wrap"), (*none, after, after)
        ),
        "what lies outside of x comes in again at the other end": np.pad(x, (*none, both, both), "wrap"),
    }


def _sizes(x, kernel, stride, padding):
    return tuple((n + 2 * padding - taps) // stride + 1 for n, taps in zip(x.shape[2:], kernel))


def _taps(x, kernel, stride, padding):
    """(N, C, R, S, P, Q)."""
    return reference.patches(x, kernel, _sizes(x, kernel, stride, padding), (stride, stride), (padding,) * 4, (1, 1))


def _matrix(taps):
    return taps.reshape(len(taps), taps[0, :, :, :, 0, 0].size, -1)


def _conv2d(x, weight, stride, padding):
    out = np.empty((len(x), len(weight), *_sizes(x, weight.shape[2:], stride, padding)))
    return reference.conv2d(x, weight, (stride, stride), (padding,) * 4, (1, 1), out)
