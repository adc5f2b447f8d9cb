"""Our kernels in PyTorch: for each, the operation that does the same, on the CPU or by cuDNN and cuBLAS on a GPU.

What the benchmark times ours against, kernel by kernel, and what the tests compare them with.
"""

import numpy as np
import torch
from torch.nn import functional as F

from minigan import backend
from minigan.torch_peer import HALF


def make_kernel(kernel, arguments, channels_last, device="cpu", precision="float32"):
    """A function of no arguments that does in PyTorch what minigan's kernel, one of KERNELS, does to these arrays."""
    function = KERNELS[kernel](*as_tensors(arguments, channels_last, device, precision))

    def call():
        with torch.inference_mode():
            return function()

    return call


def as_tensors(arguments, channels_last, device="cpu", precision="float32"):
    """The arguments of a kernel of ours, arrays copied to tensors, images and weights in the memory layout asked for.

    precision: "bf16" and "fp16" turn floats into such, but for those of one dimension (scales, shifts, statistics),
    as autocast does.
    """
    return [
        _as_tensor(a, channels_last, device, HALF.get(precision)) if hasattr(a, "dtype") and a.ndim else a
        for a in arguments
    ]


def _as_tensor(array, channels_last, device, half):
    array = backend.to_numpy(array)
    if array.dtype.kind not in "fiub":  # a bfloat16 that is not NumPy's own
        array = array.astype(np.float32)
    tensor = torch.from_numpy(np.array(array, order="C")).to(device)
    if half and tensor.is_floating_point() and tensor.ndim > 1:
        tensor = tensor.to(half)
    return tensor.contiguous(memory_format=torch.channels_last) if channels_last and tensor.ndim == 4 else tensor


def difference(kernel, arguments, device="cpu", precision="float32"):
    """How far `arguments[5]`, what a convolution of ours gave, is from PyTorch's result: as a share of the largest."""
    theirs = make_kernel(kernel, arguments, False, device, precision)()
    theirs = theirs[1] if isinstance(theirs, tuple) else theirs
    ours = backend.to_numpy(arguments[5]).astype(np.float32)
    theirs = theirs.float().cpu().numpy().reshape(ours.shape)
    return float(abs(ours - theirs).max() / max(abs(theirs).max(), np.finfo(np.float32).tiny))


def _conv2d(x, weight, stride, padding, dilation, _out):
    if x.shape[2:] == weight.shape[2:] == (1, 1):
        return lambda: F.linear(x[:, :, 0, 0], weight[:, :, 0, 0])
    if _is_even(padding):
        return lambda: F.conv2d(x, weight, None, stride, padding[::2][::-1], dilation)
    return lambda: F.conv2d(F.pad(x, padding), weight, None, stride, 0, dilation)


def _conv_transpose2d(y, weight, stride, padding, dilation, out):
    if y.shape[2:] == weight.shape[2:] == (1, 1):
        return lambda: y[:, :, 0, 0] @ weight[:, :, 0, 0]
    begin, size = padding[::2][::-1], out.shape[2:]
    full = [
        (y.shape[2 + a] - 1) * stride[a] - 2 * begin[a] + dilation[a] * (weight.shape[2 + a] - 1) + 1 for a in (0, 1)
    ]
    more = [max(0, n - m) for n, m in zip(size, full)]
    if any(n < m for n, m in zip(size, full)):
        return lambda: F.conv_transpose2d(y, weight, None, stride, begin, more, 1, dilation)[..., : size[0], : size[1]]
    return lambda: F.conv_transpose2d(y, weight, None, stride, begin, more, 1, dilation)


def _conv2d_weight(x, y, stride, padding, dilation, out):
    if x.shape[2:] == out.shape[2:] == (1, 1):
        return lambda: y[:, :, 0, 0].T @ x[:, :, 0, 0]
    backward, even, only_weight = torch.ops.aten.convolution_backward, _is_even(padding), [False, True, False]
    begin = padding[::2][::-1] if even else (0, 0)
    return lambda: backward(
        y, x if even else F.pad(x, padding), out, None, stride, begin, dilation, False, [0, 0], 1, only_weight
    )


def _is_even(padding):
    return padding[0] == padding[1] and padding[2] == padding[3]


def _batch_norm(x, weight, bias, eps, slope, _mean, _var, _out):
    def normalise():
        out = F.batch_norm(x, None, None, weight, bias, True, 0.1, eps)
        return out if slope == 1 else F.leaky_relu_(out, slope)

    return normalise


def _batch_norm_backward(g, x, y, weight, eps, slope, mean, var, *_outs):
    inverse_std = (var + eps).rsqrt()

    def gradients():
        inner = g if slope == 1 else torch.ops.aten.leaky_relu_backward(g, y, slope, True)
        return torch.ops.aten.native_batch_norm_backward(
            inner, x, weight, None, None, mean, inverse_std, True, eps, [True, True, True]
        )

    return gradients


# For each kernel of ours, a function of its arguments that returns one of none, which computes the same.
KERNELS = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "conv2d_weight": _conv2d_weight,
    "batch_norm": _batch_norm,
    "batch_norm_backward": _batch_norm_backward,
    "leaky_relu": lambda x, slope, _out: lambda: F.leaky_relu_(x, slope),
    "leaky_relu_backward": lambda g, x, slope, _out: lambda: torch.ops.aten.leaky_relu_backward(g, x, slope, True),
    "dropout": lambda x, p, *_: lambda: F.dropout(x, p),
    "dropout_backward": lambda g, mask, _out: lambda: g * mask,
    "tanh": lambda x, _out: lambda: torch.tanh(x),
    "tanh_backward": lambda g, y, _out: lambda: torch.ops.aten.tanh_backward(g, y),
    "sigmoid": lambda x, _out: lambda: torch.sigmoid(x),
    "normal": lambda *arguments: lambda: torch.randn_like(arguments[-1]),
}
