"""The CPU kernels, compiled by Numba on first use and cached for the next start.

Same names and arguments as `minigan.kernels.reference`, which says what each one computes.
"""

import sys

from numba.core import event

from minigan.kernels.cpu import cache

cache.drop_stale(__path__[0])  # before the imports below load what was compiled

from minigan.kernels.cpu.convolution import conv2d, conv2d_weight, conv_transpose2d  # noqa: E402
from minigan.kernels.cpu.elementwise import adam, leaky_relu, leaky_relu_backward, sigmoid  # noqa: E402
from minigan.kernels.cpu.normalization import batch_norm, batch_norm_backward  # noqa: E402
from minigan.kernels.cpu.random import normal, random_bits, uniform  # noqa: E402

__all__ = [
    "adam", "batch_norm", "batch_norm_backward", "conv2d", "conv2d_weight", "conv_transpose2d",
    "leaky_relu", "leaky_relu_backward", "normal", "random_bits", "sigmoid", "uniform",
]  # fmt: skip


class _SayItOnce(event.Listener):
    """Tells the user why the first start is slow: Numba compiles in silence."""

    def __init__(self):
        self.said = False

    def on_start(self, compilation):
        if not self.said:
            self.said = True
            print("minigan: compiling the CPU kernels for this machine (once, under a minute) ...",
                  file=sys.stderr, flush=True)  # fmt: skip

    def on_end(self, compilation):
        """Required by the interface; the end of one kernel's compilation is of no interest."""


event.register("numba:compile", _SayItOnce())
