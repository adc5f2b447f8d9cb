"""The CUDA kernels: `.cu` sources, compiled when first used, and the functions that launch them.

Same names and arguments as `minigan.kernels.reference`, which says what each one computes; arrays are CuPy's.
Without a GPU, `emulation` runs the same sources on the CPU.
"""

from minigan.kernels.cuda.adam import adam, check_overflow, move_average, update_scale
from minigan.kernels.cuda.batches import gather_images, write_row
from minigan.kernels.cuda.convolution import conv2d, conv2d_weight, conv_transpose2d
from minigan.kernels.cuda.elementwise import (
    bce, bce_backward, bce_with_logits, bce_with_logits_backward, dropout, dropout_backward, leaky_relu,
    leaky_relu_backward, mean, sigmoid, sigmoid_backward, tanh, tanh_backward,
)  # fmt: skip
from minigan.kernels.cuda.normalization import (
    batch_norm, batch_norm_backward, running_statistics, scale_and_shift, sum_channels,
)  # fmt: skip
from minigan.kernels.cuda.random import normal, random_bits, uniform

__all__ = [
    "adam", "batch_norm", "batch_norm_backward", "bce", "bce_backward", "bce_with_logits", "bce_with_logits_backward",
    "check_overflow", "conv2d", "conv2d_weight", "conv_transpose2d", "dropout", "dropout_backward", "gather_images",
    "leaky_relu", "leaky_relu_backward", "mean", "move_average", "normal", "random_bits", "running_statistics",
    "scale_and_shift", "sigmoid", "sigmoid_backward", "sum_channels", "tanh", "tanh_backward", "uniform",
    "update_scale", "write_row",
]  # fmt: skip
