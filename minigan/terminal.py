"""A training's terminal: signals that end it in good order, and a standard error that nobody need be reading."""

import contextlib
import signal
import sys


class StopSignals:
    """While active, Ctrl-C and SIGTERM are noted in `.received` instead of ending the process in mid-step."""

    def __enter__(self):
        self.received = None
        self._before = {s: signal.signal(s, self._note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def _note(self, number, frame):
        self.received = number

    def __exit__(self, *exception):
        for number, handler in self._before.items():
            signal.signal(number, handler)


class LastingStderr:
    """Standard error, which may stop being read (a closed terminal, `| head`) without ending the training."""

    def write(self, text):
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self):
        with contextlib.suppress(OSError):
            sys.stderr.flush()

    def __getattr__(self, name):
        return getattr(sys.stderr, name)
