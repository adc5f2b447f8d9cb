"""Checks of exercise 8."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen, gradient_agrees, refuses
from minigan import kernels, nn
from minigan.functions import binary_cross_entropy_with_logits
from minigan.kernels import reference
from minigan.tensor import Tensor, grad

# (taps, stride, padding, output padding): with a stride or a padding that is larger than the kernel reaches, or a stride of 1.
CORNERS = (((2, 2), 3, 0, 0), ((1, 2), 3, 0, 2), ((1, 1), 2, 1, 1), ((3, 2), 1, 1, 0))


@check(points=4)
def transposed(student, rng):
    """conv_transpose2d is the transposed convolution"""
    for kind in ("defaults", "no output padding", "output padding", "output padding"):
        _, weight, y, stride, padding, extra = _problem(rng, kind)
        _check_transposed(student, kind, weight, y, stride, padding, extra)
    dtype = getattr(student.conv_transpose2d(y.astype(np.float32), weight.astype(np.float32), stride), "dtype", None)
    expect(dtype == np.float32, f"from float32, conv_transpose2d makes {dtype}: it should keep the dtype of y")
    for taps, *settings in CORNERS:
        _, weight, y, *settings = _made(rng, *settings, (2, 1, 3), (2, 3), taps)
        _check_transposed(student, "output padding", weight, y, *settings)


def _check_transposed(student, kind, weight, y, stride, padding, extra):
    settings = {"defaults": (), "no output padding": (stride, padding)}.get(kind, (stride, padding, extra))
    right = _transposed(y, weight, stride, padding, extra)
    agree(
        student.conv_transpose2d(y, weight, *settings), right, "conv_transpose2d",
        given={"y": y, "weight": weight, "stride": stride, "padding": padding, "output_padding": extra},
        slips={
            "stamps overwrite each other where they should add up": lambda: _overwritten(y, weight, stride, padding, right),
            "the padding is not cut off": lambda: _transposed(y, weight, stride, 0, extra),
            "the padding is cut off above and on the left only": lambda: _transposed(y, weight, stride, padding, extra + padding),
            "the output padding is missing": lambda: _transposed(y, weight, stride, padding, 0),
            "the output padding is zeros, but stamps reach it": lambda: _zeroed(right, extra),
            "the output padding is above and on the left: it belongs below and on the right": lambda: _padded_above(
                y, weight, stride, padding, right, extra
            ),
            "the stride is forgotten": lambda: _transposed(y, weight, 1, padding, extra),
            "the weight's taps are turned: the transposed convolution stamps them as they are": lambda: _transposed(
                y, weight[:, :, ::-1, ::-1], stride, padding, extra
            ),
            "all images give the result of the first": right[[0] * len(right)],
            "only the first of y's channels is stamped": lambda: _transposed(y[:, :1], weight[:1], stride, padding, extra),
            "it is the mean over y's channels, not their sum": right / len(weight),
        },
    )  # fmt: skip


@check(points=1)
def output_padding(student, rng):
    """conv_transpose2d refuses an output padding that is not less than the stride"""
    y, weight = frozen(rng.normal(size=(1, 1, 2, 3))), frozen(rng.normal(size=(1, 1, 3, 3)))
    for stride, extra in ((2, 2), (3, 7), (1, 1)):
        call = f"conv_transpose2d with stride {stride} and output_padding {extra}"
        refuses(
            lambda: student.conv_transpose2d(y, weight, stride, 0, extra), ValueError, call, mention=(stride, extra)
        )
    agree(
        np.shape(student.conv_transpose2d(y, weight, 3, 0, 2)), (1, 1, 8, 11),
        "the shape of conv_transpose2d of y (1, 1, 2, 3) and weight (1, 1, 3, 3) with stride 3 and output_padding 2",
    )  # fmt: skip


@check(points=3)
def weight_gradient(student, rng):
    """conv2d_weight_gradient is the gradient of the convolution in its weights"""
    for kind in ("defaults", "no output padding", "output padding", "output padding"):
        x, weight, y, stride, padding, _ = _problem(rng, kind)
        _check_weight_gradient(student, kind, x, weight, y, stride, padding)
    dtype = getattr(student.conv2d_weight_gradient(x, y, weight.shape[2:], stride, padding), "dtype", None)
    expect(
        dtype == np.float64, f"from float64, conv2d_weight_gradient makes {dtype}: it should be as precise as x and y"
    )
    for taps, *settings in CORNERS:
        x, weight, y, *settings = _made(rng, *settings, (2, 1, 3), (2, 3), taps)
        _check_weight_gradient(student, "corner", x, weight, y, *settings[:2])


def _check_weight_gradient(student, kind, x, weight, y, stride, padding):
    settings = () if kind == "defaults" else (stride, padding)
    kernel = weight.shape[2:]
    taps = _taps(x, kernel, y.shape[2:], stride, padding)  # (N, C, R, S, P, Q)
    right = np.einsum("ncijpq,nkpq->kcij", taps, y)
    gradient_agrees(
        student.conv2d_weight_gradient(x, y, kernel, *settings),
        lambda w: np.einsum("ncijpq,kcij,nkpq->", taps, w, y),
        weight,
        "the gradient of <conv2d(x, weight), y> in weight",
        given={"x": x, "y": y, "kernel_size": kernel, "stride": stride, "padding": padding},
        slips={
            "the sum over the batch is missing: it is that of the first image alone": lambda: np.einsum(
                "cijpq,kpq->kcij", taps[0], y[0]
            ),
            "the sum over the batch is missing: it is that of the last image alone": lambda: np.einsum(
                "cijpq,kpq->kcij", taps[-1], y[-1]
            ),
            "it is the mean over the batch, not the sum": right / len(x),
            "filters and channels are exchanged": right.transpose(1, 0, 2, 3),
            "its rows and columns are turned": right[:, :, ::-1, ::-1],
            "i and j are exchanged": right.transpose(0, 1, 3, 2),
            "the padding is forgotten": lambda: _weight_gradient(
                np.pad(x, ((0, 0), (0, 0), (0, 9), (0, 9))), y, kernel, stride, 0
            ),
            "negative indices reach the other end of x: Python counts them from there": lambda: _weight_gradient(
                np.pad(x, ((0, 0), (0, 0), (padding, 0), (padding, 0)), "wrap"), y, kernel, stride, 0
            ),
            "the stride is forgotten": lambda: _weight_gradient(x, y, kernel, 1, padding),
            "only the last place counts: add to the gradient, do not overwrite it": np.einsum(
                "cij,k->kcij", taps[-1, ..., -1, -1], y[-1, :, -1, -1]
            ),
        },
    )


@check(points=2)
def training_step(student, rng):
    """both of them train a generator in the place of the library's kernels"""
    latents = frozen(rng.normal(size=(2, 3, 2, 3)))
    weights = [rng.normal(size=shape) * 0.3 for shape in ((3, 4, 4, 4), (4,), (4, 1, 3, 3), (1,))]
    target = Tensor(np.array([1.0, 0.0]))

    def step():
        """The loss of a small generator, and its weights after a step against the gradient."""
        network = nn.Sequential(
            nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.LeakyReLU(0.2), nn.ConvTranspose2d(4, 1, 3, 2, 1, 1)
        ).to("float64")
        for parameter, weight in zip(network.parameters(), weights):
            parameter.data[...] = weight
        loss = binary_cross_entropy_with_logits(network(Tensor(latents)).sum((1, 2, 3)), target)
        return loss.item(), [
            p.data - 0.1 * g.data for p, g in zip(network.parameters(), grad(loss, network.parameters()))
        ]

    replaced = {
        "conv_transpose2d": transposed_kernel_of(student.conv_transpose2d),
        "conv2d_weight": weight_kernel_of(student.conv2d_weight_gradient),
    }
    with kernels.use("reference"):
        expected = step()
        with kernels.use(**replaced):
            found = step()
    agree(
        found[0],
        expected[0],
        "the loss of a generator of two transposed convolutions (the second with output_padding 1)",
    )
    for name, mine, right in zip(("first weight", "first bias", "second weight", "second bias"), found[1], expected[1]):
        agree(mine, right, f"the generator's {name}, after a training step with both of your functions,")


def transposed_kernel_of(conv_transpose2d):
    """A student's conv_transpose2d with the arguments of the library's kernel."""

    def kernel(y, weight, stride, padding, dilation, out):
        left, right, top, bottom = padding
        if top == bottom == left == right:
            extra = out.shape[2] - (stride[0] * (y.shape[2] - 1) + weight.shape[2] - top - bottom)
            wide = conv_transpose2d(y, weight, stride[0], top, extra)
        else:
            wide = conv_transpose2d(y, weight, stride[0], 0, stride[0] - 1)[:, :, top:, left:]
        out[...] = wide[:, :, : out.shape[2], : out.shape[3]]
        return out

    return kernel


def weight_kernel_of(conv2d_weight_gradient):
    """A student's conv2d_weight_gradient with the arguments of the library's kernel."""

    def kernel(x, y, stride, padding, dilation, out):
        left, right, top, bottom = padding
        alike = top == bottom == left == right
        frame = x if alike else np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
        out[...] = conv2d_weight_gradient(frame, y, out.shape[2:], stride[0], top if alike else 0)
        return out

    return kernel


def _problem(rng, kind):
    """(x, weight, y, stride, padding, output padding), no two lengths alike. With the defaults small enough to be printed."""
    if kind == "defaults":
        stride, padding, extra, (batch, channels, filters), (height, width), (rows, cols) = (
            1,
            0,
            0,
            (2, 1, 2),
            (2, 3),
            (2, 3),
        )
    else:
        stride, padding = int(rng.integers(2, 4)), int(rng.integers(1, 3))
        extra = int(rng.integers(1, stride)) if kind == "output padding" else 0
        batch, channels, filters = (int(n) for n in rng.permutation([2, 3, 4]))
        height, width = (int(n) for n in rng.permutation([3, 4, 5])[:2])
        rows, cols = (int(n) for n in rng.permutation([3, 4, 5])[:2])
    return _made(rng, stride, padding, extra, (batch, channels, filters), (height, width), (rows, cols))


def _made(rng, stride, padding, extra, counts, places, taps):
    (batch, channels, filters), (height, width), (rows, cols) = counts, places, taps
    y, weight = rng.normal(size=(batch, filters, height, width)), rng.normal(size=(filters, channels, rows, cols))
    sizes = [stride * (n - 1) + taps - 2 * padding + extra for n, taps in zip((height, width), (rows, cols))]
    x = rng.normal(size=(batch, channels, *sizes))
    return (*(frozen(a.round(2)) for a in (x, weight, y)), stride, padding, extra)


def _transposed(y, weight, stride, padding, extra):
    sizes = [stride * (n - 1) + taps - 2 * padding + extra for n, taps in zip(y.shape[2:], weight.shape[2:])]
    out = np.empty((len(y), weight.shape[1], *sizes))
    return reference.conv_transpose2d(y, weight, (stride, stride), (padding,) * 4, (1, 1), out)


def _padded_above(y, weight, stride, padding, right, extra):
    """What comes out if the output padding is above and on the left."""
    frame = np.pad(_transposed(y, weight, stride, 0, 0), ((0, 0), (0, 0), (extra, 0), (extra, 0)))
    return frame[:, :, padding : padding + right.shape[2], padding : padding + right.shape[3]]


def _overwritten(y, weight, stride, padding, right):
    """What comes out if the last stamp wins."""
    stamps = np.einsum("nkpq,kcij->ncijpq", y, weight)
    rows, cols = weight.shape[2:]
    frame = np.zeros((*right.shape[:2], right.shape[2] + 2 * padding, right.shape[3] + 2 * padding))
    for p, q in np.ndindex(*y.shape[2:]):
        place = frame[:, :, stride * p : stride * p + rows, stride * q : stride * q + cols]
        place[...] = stamps[:, :, : place.shape[2], : place.shape[3], p, q]
    return frame[:, :, padding : padding + right.shape[2], padding : padding + right.shape[3]]


def _zeroed(right, extra):
    wrong = right.copy()
    wrong[:, :, right.shape[2] - extra :] = 0
    wrong[:, :, :, right.shape[3] - extra :] = 0
    return wrong


def _taps(x, kernel, sizes, stride, padding):
    """(N, C, R, S, P, Q)."""
    return reference.patches(x, kernel, sizes, (stride, stride), (padding,) * 4, (1, 1))


def _weight_gradient(x, y, kernel, stride, padding):
    return np.einsum("ncijpq,nkpq->kcij", _taps(x, kernel, y.shape[2:], stride, padding), y)
