"""What the commands share: arguments that are checked as they are read, errors of one line, an end in good order."""

import argparse
import io
import math
import os
import signal
import sys

from minigan.errors import UserError

MOST_CHARACTERS = 2000  # of an error
EXIT_BAD_INPUT, EXIT_INTERRUPTED, EXIT_TERMINATED = 2, 130, 143


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, without the usage in front."""

    def __init__(self, **arguments):
        super().__init__(allow_abbrev=False, **arguments)

    def error(self, message):
        """Prints the message and exits with code 2."""
        print(f"{self.prog}: error: {message} (--help lists the options)", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT)


def run(main):
    """Calls main(); an error of the user's or the system's becomes one line and exit code 2.

    Ctrl-C ends it with exit code 130, SIGTERM with 143, once it has cleaned up.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # paths may hold what the terminal's encoding cannot say
    try:
        code = main()
        if sys.stdout is not None:
            sys.stdout.flush()
        raise SystemExit(code)
    except UserError as error:
        print(f"minigan: error: {_one_line(str(error))}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from None
    except BrokenPipeError:  # whoever read our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SystemExit(141) from None
    except OSError as error:
        print(f"minigan: error: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from None
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        raise SystemExit(EXIT_INTERRUPTED) from None


def _one_line(text):
    """The text in one line of bounded length, without characters by which a stranger's file could steer a terminal."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.splitlines()))
    return shown if len(shown) <= MOST_CHARACTERS else f"{shown[:MOST_CHARACTERS]} ..."


def _terminate(number, frame):
    raise SystemExit(EXIT_TERMINATED)


def _interrupted_while_importing(kind, error, trace):
    if issubclass(kind, KeyboardInterrupt):
        print("minigan: interrupted", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


if any(word.startswith("minigan.") for word in sys.orig_argv[1:]):  # python -m minigan.train: we are the program
    sys.excepthook = _interrupted_while_importing


def path(text):
    """A path, which must not be empty: an unset shell variable would name the wrong folder."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return text


def positive_int(text):
    """An integer of at least 1."""
    return _number(text, int, lambda n: 1 <= n < 2**31, "a whole number of at least 1")


def count(text):
    """An integer of at least 0."""
    return _number(text, int, lambda n: 0 <= n < 2**31, "a whole number of at least 0")


def seed(text):
    """An integer from 0 to 2^64 - 1."""
    return _number(text, int, lambda n: 0 <= n < 2**64, "a whole number from 0 to 2**64 - 1")


def learning_rate(text):
    """A positive number."""
    return _number(text, float, lambda x: x > 0 and math.isfinite(x), "a number greater than 0")


def decay(text):
    """A number between 0 and 1."""
    return _number(text, float, lambda x: 0 < x < 1, "a number between 0 and 1, such as 0.999")


def d_steps(text):
    """N or N:EPOCHS, as (N, EPOCHS or None)."""
    count, colon, epochs = text.partition(":")
    return positive_int(count), positive_int(epochs) if colon else None


def _number(text, kind, fits, description):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not fits(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {description}")
    return value
