"""The CPU kernels, compiled by Numba on first use and cached for the next start.

Same names and arguments as `minigan.kernels.reference`, which says what each one computes.
"""

from minigan.kernels.cpu import cache, notice

cache.drop_stale(__path__[0])  # before the imports below load what was compiled
notice.when_compiling()

from minigan.kernels.cpu.batches import gather_images, write_row  # noqa: E402
from minigan.kernels.cpu.convolution import conv2d, conv2d_weight, conv_transpose2d  # noqa: E402
from minigan.kernels.cpu.elementwise import (  # noqa: E402
    bce, bce_backward, bce_with_logits, bce_with_logits_backward, dropout, dropout_backward, leaky_relu,
    leaky_relu_backward, mean, sigmoid, sigmoid_backward, tanh, tanh_backward,
)  # fmt: skip
from minigan.kernels.cpu.normalization import (  # noqa: E402
    batch_norm, batch_norm_backward, running_statistics, scale_and_shift, sum_channels,
)  # fmt: skip
from minigan.kernels.cpu.optimizer import adam, check_overflow, move_average, update_scale  # noqa: E402
from minigan.kernels.cpu.random import normal, random_bits, uniform  # noqa: E402

__all__ = [
    "adam", "batch_norm", "batch_norm_backward", "bce", "bce_backward", "bce_with_logits", "bce_with_logits_backward",
    "check_overflow", "conv2d", "conv2d_weight", "conv_transpose2d", "dropout", "dropout_backward", "gather_images",
    "leaky_relu", "leaky_relu_backward", "mean", "move_average", "normal", "random_bits", "running_statistics",
    "scale_and_shift", "sigmoid", "sigmoid_backward", "sum_channels", "tanh", "tanh_backward", "uniform", "update_scale", "write_row",
]  # fmt: skip
