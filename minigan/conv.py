"""The convolution triple: three ops closed under differentiation.

With y = C(x, w), x' = T(y, w), w' = G(x, y), each is the adjoint of the others:
<C(x, w), y> = <x, T(y, w)> = <w, G(x, y)>. So the gradients of C are T and G, those of T are C and
G, those of G are T and C, and three kernels serve every order of derivative. A convolution layer is
C; a transposed convolution layer is T (Dumoulin and Visin 2016, chapter 4).
"""

from typing import NamedTuple

from minigan import backend
from minigan.errors import ShapeError
from minigan.functions import add_bias
from minigan.tensor import Op, check_floats


class Geometry(NamedTuple):
    """How a kernel moves over an image. stride, dilation: (height, width). padding: (left, right, top, bottom)."""

    stride: tuple
    padding: tuple
    dilation: tuple


class Shapes(NamedTuple):
    """The shapes of one triple: x (N, C, H, W), w (K, C, R, S), y (N, K, P, Q)."""

    x: tuple
    w: tuple
    y: tuple


class _Triple(Op):
    """All three shapes travel with every op, so that no size is guessed back from a stride."""

    def __init__(self, geometry, shapes):
        self.geometry, self.shapes = geometry, shapes

    def __call__(self, a, b):
        """Applies the op. Raises TypeError for dtypes that differ or that no kernel is made for."""
        check_floats(type(self).__name__, a.dtype, b.dtype)
        return super().__call__(a, b)


class C(_Triple):
    """y = C(x, w): cross-correlation."""

    def forward(self, x, w):
        return backend.kernels(x).conv2d(x, w, *self.geometry, backend.empty(self.shapes.y, x))

    def vjp(self, needs, g, out, x, w):
        return (
            T(self.geometry, self.shapes)(g, w) if needs[0] else None,
            G(self.geometry, self.shapes)(x, g) if needs[1] else None,
        )


class T(_Triple):
    """x = T(y, w): the adjoint of C in x."""

    def forward(self, y, w):
        return backend.kernels(y).conv_transpose2d(y, w, *self.geometry, backend.empty(self.shapes.x, y))

    def vjp(self, needs, g, out, y, w):
        return (
            C(self.geometry, self.shapes)(g, w) if needs[0] else None,
            G(self.geometry, self.shapes)(g, y) if needs[1] else None,
        )


class G(_Triple):
    """w = G(x, y): the adjoint of C in w."""

    def forward(self, x, y):
        return backend.kernels(x).conv2d_weight(x, y, *self.geometry, backend.empty(self.shapes.w, x))

    def vjp(self, needs, g, out, x, y):
        return (
            T(self.geometry, self.shapes)(y, g) if needs[0] else None,
            C(self.geometry, self.shapes)(x, g) if needs[1] else None,
        )


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1):
    """Cross-correlation of input (N, C, H, W) with weight (K, C, R, S), plus bias (K,): (N, K, P, Q).

    stride, dilation: an int, or (height, width). padding: an int, (height, width), or
    (left, right, top, bottom) as in PyTorch's F.pad. P = floor((H + top + bottom
    - dilation (R - 1) - 1) / stride) + 1, and Q alike. Raises ShapeError where shapes do not fit.
    """
    geometry = make_geometry(stride, padding, dilation)
    _check_4d("conv2d", input, weight)
    if input.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"conv2d: input {input.shape} has {input.shape[1]} channels in dimension 1, but weight {weight.shape} "
            f"takes {weight.shape[1]} (its dimension 1)"
        )
    size = []
    for axis, name in enumerate(("height", "width")):
        before, after = padding_of(geometry, axis)
        span = geometry.dilation[axis] * (weight.shape[2 + axis] - 1) + 1
        room = input.shape[2 + axis] + before + after - span
        if room < 0:
            raise ShapeError(
                f"conv2d: input {name} {input.shape[2 + axis]} + padding {before} + {after} is less than the "
                f"kernel's reach, dilation * (kernel - 1) + 1 = {span}: pad more, or use a smaller kernel"
            )
        size.append(room // geometry.stride[axis] + 1)
    shapes = Shapes(input.shape, weight.shape, (input.shape[0], weight.shape[0], *size))
    return _add_bias(C(geometry, shapes)(input, weight), bias)


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, dilation=1):
    """The adjoint of conv2d in its input: input (N, K, P, Q), weight (K, C, R, S), bias (C,) to (N, C, H, W).

    H = (P - 1) stride - top - bottom + dilation (R - 1) + output_padding + 1, and W alike; arguments
    as in `conv2d`. output_padding, an int or (height, width), chooses among the sizes that conv2d
    maps to P. Raises ShapeError where shapes do not fit, ValueError where output_padding is not
    smaller than stride or dilation.
    """
    geometry = make_geometry(stride, padding, dilation)
    output_padding = _pair(output_padding, "output_padding", 0)
    _check_4d("conv_transpose2d", input, weight)
    if input.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"conv_transpose2d: input {input.shape} has {input.shape[1]} channels in dimension 1, but weight "
            f"{weight.shape} takes {weight.shape[0]} (its dimension 0)"
        )
    size = []
    for axis, name in enumerate(("height", "width")):
        extra, step, spread = output_padding[axis], geometry.stride[axis], geometry.dilation[axis]
        if extra >= max(step, spread):
            raise ValueError(f"output_padding {extra} must be smaller than stride {step} or dilation {spread}")
        reach = spread * (weight.shape[2 + axis] - 1) + 1
        length = (input.shape[2 + axis] - 1) * step + reach - sum(padding_of(geometry, axis)) + extra
        if length < 1:
            raise ShapeError(
                f"conv_transpose2d: input {name} {input.shape[2 + axis]} gives output {name} {length}: pad less"
            )
        size.append(length)
    shapes = Shapes((input.shape[0], weight.shape[1], *size), weight.shape, input.shape)
    return _add_bias(T(geometry, shapes)(input, weight), bias)


def linear(input, weight, bias=None):
    """input (N, in) times weight (out, in) transposed, plus bias (out,): (N, out). A 1x1 convolution."""
    if input.ndim != 2 or input.shape[1] != weight.shape[1]:
        raise ShapeError(
            f"linear: input {input.shape} should be (N, {weight.shape[1]}), since weight (out, in) is {weight.shape}: "
            "flatten the input, or change in_features"
        )
    pixels = input.reshape(*input.shape, 1, 1)  # (N, in, 1, 1)
    out = conv2d(pixels, weight.reshape(*weight.shape, 1, 1))  # (N, out, 1, 1)
    out = out.reshape(out.shape[:2])  # (N, out)
    return _add_bias(out, bias)


def make_geometry(stride, padding, dilation):
    """A Geometry from the forms that users write. Raises ValueError for others."""
    if isinstance(padding, int):
        padding = (padding,) * 4
    elif len(padding) == 2:
        padding = (padding[1], padding[1], padding[0], padding[0])
    elif len(padding) != 4:
        raise ValueError(f"padding is an int, (height, width) or (left, right, top, bottom), not {padding!r}")
    if min(padding) < 0:
        raise ValueError(f"padding must not be negative: {padding}")
    return Geometry(_pair(stride, "stride", 1), tuple(padding), _pair(dilation, "dilation", 1))


def padding_of(geometry, axis):
    """The padding (before, after) along height (axis 0) or width (axis 1)."""
    left, right, top, bottom = geometry.padding
    return (top, bottom) if axis == 0 else (left, right)


def _pair(value, name, least):
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < least:
        raise ValueError(f"{name} is an int or (height, width), each at least {least}, not {value!r}")
    return pair


def _check_4d(function, input, weight):
    if input.ndim != 4 or weight.ndim != 4:
        raise ShapeError(
            f"{function} takes input (N, channels, height, width) and weight (.., .., rows, columns), "
            f"not {input.shape} and {weight.shape}"
        )


def _add_bias(out, bias):
    return out if bias is None else add_bias(out, bias)
