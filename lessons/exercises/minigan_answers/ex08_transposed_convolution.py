"""Exercise 8 by minigan."""

from minigan import conv, kernels
from minigan.tensor import Tensor


def conv_transpose2d(y, weight, stride=1, padding=0, output_padding=0):
    """minigan's, with its own kernels even where this function is in the place of one."""
    with kernels.use("cpu"):
        return conv.conv_transpose2d(Tensor(y), Tensor(weight), None, stride, padding, output_padding).data


def conv2d_weight_gradient(x, y, kernel_size, stride=1, padding=0):
    """The op G of the triple."""
    shapes = conv.Shapes(x.shape, (y.shape[1], x.shape[1], *kernel_size), y.shape)
    with kernels.use("cpu"):
        return conv.G(conv.make_geometry(stride, padding, 1), shapes)(Tensor(x), Tensor(y)).data
