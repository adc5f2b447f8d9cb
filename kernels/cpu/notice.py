"""Tells the user why the first start is slow: Numba compiles in silence."""

import contextlib
import sys

from numba.core import event


class _SayItOnce(event.Listener):
    def __init__(self):
        self.said = False

    def on_start(self, compilation):
        if not self.said and compilation.data["dispatcher"].__module__.startswith(__package__):  # not a reader's own
            self.said = True
            with contextlib.suppress(OSError):  # a reader that went away
                print("minigan: compiling the CPU kernels for this machine (once, less than a minute) ...",
                      file=sys.stderr, flush=True)  # fmt: skip

    def on_end(self, compilation):
        """Required by the interface; the end of one kernel's compilation is of no interest."""


def when_compiling():
    """From now on, the first compilation in this process prints a line to standard error."""
    event.register("numba:compile", _SayItOnce())
