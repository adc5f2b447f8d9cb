"""The CPU kernels, compiled by Numba on first use and cached for the next start.

Same names and arguments as `minigan.kernels.reference`, which says what each one computes.
"""

import contextlib
import sys

from numba.core import event

from minigan.kernels.cpu import cache

cache.drop_stale(__path__[0])  # before the imports below load what was compiled

from minigan.kernels.cpu.convolution import conv2d, conv2d_weight, conv_transpose2d  # noqa: E402
from minigan.kernels.cpu.elementwise import (  # noqa: E402
    adam, bce, bce_backward, bce_with_logits, bce_with_logits_backward, dropout, dropout_backward, leaky_relu,
    leaky_relu_backward, mean, sigmoid, sigmoid_backward, tanh, tanh_backward,
)  # fmt: skip
from minigan.kernels.cpu.normalization import (  # noqa: E402
    batch_norm, batch_norm_backward, running_statistics, scale_and_shift, sum_channels,
)  # fmt: skip
from minigan.kernels.cpu.random import normal, random_bits, uniform  # noqa: E402

__all__ = [
    "adam", "batch_norm", "batch_norm_backward", "bce", "bce_backward", "bce_with_logits", "bce_with_logits_backward",
    "conv2d", "conv2d_weight", "conv_transpose2d", "dropout", "dropout_backward", "leaky_relu", "leaky_relu_backward",
    "mean", "normal", "random_bits", "running_statistics", "scale_and_shift", "sigmoid", "sigmoid_backward",
    "sum_channels", "tanh", "tanh_backward", "uniform",
]  # fmt: skip


class _SayItOnce(event.Listener):
    """Tells the user why the first start is slow: Numba compiles in silence."""

    def __init__(self):
        self.said = False

    def on_start(self, compilation):
        if not self.said:
            self.said = True
            with contextlib.suppress(OSError):  # a reader that went away
                print("minigan: compiling the CPU kernels for this machine (once, less than a minute) ...",
                      file=sys.stderr, flush=True)  # fmt: skip

    def on_end(self, compilation):
        """Required by the interface; the end of one kernel's compilation is of no interest."""


event.register("numba:compile", _SayItOnce())
