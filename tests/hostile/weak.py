"""Readers that are weak on purpose, each in its own way: what the fuzzer must catch (see ../test_fuzz.py)."""

import os
import pickle
import sys
import time

import numpy as np

from hostile.assembler import call, name, proto, text
from hostile.workers import Target, as_it_is, put
from minigan.errors import UserError

LENGTH = 1 << 28  # bytes that the mutants ask for


def trusting(path):
    """Unpickles whatever it is given."""
    pickle.loads(path.read_bytes())


def reserving(path):
    """Believes a length that the file names."""
    np.zeros(int(path.read_bytes()[-9:]), np.uint8)


def talkative(path):
    """Shows the file's bytes."""
    raise UserError(f"bad bytes:\n{path.read_bytes()[:20]}")


def endless(path):
    """Shows all of them."""
    raise UserError(ascii(path.read_bytes()) * 1000)


def raising(path):
    """Leaves an error as it is."""
    raise KeyError("x")


def untidy(path):
    """Leaves something behind."""
    path.with_name("litter").touch()
    raise UserError("one line")


def writing(path):
    """Writes where it has no business."""
    with open(os.path.join(path.parent.parent, "elsewhere"), "w"):
        pass


def chatty(path):
    """Says more than one line."""
    print("a line before", file=sys.stderr)
    raise UserError("one line")


def crashing(path):
    """Takes the process down."""
    os.abort()


def looping(path):
    """Never ends."""
    time.sleep(1000)


# What each is caught by.
READERS = {
    trusting: "executed", reserving: "memory", talkative: "unprintable", endless: "long line", raising: "KeyError", untidy: "changed",
    writing: "executed", chatty: "several lines", crashing: "crash", looping: "hang",
}  # fmt: skip


def prepare(folder):
    """An empty file."""
    path = folder / "there" / "file"
    path.parent.mkdir()
    path.write_bytes(b"")
    return path, []


def make(rng, seeds, number):
    """The number of its reader, a call of the canary, and a length."""
    content = proto(2) + call(name("hostile.canary", "sing"), text("x")) + b"." + b"%09d" % LENGTH
    return list(READERS)[number].__name__, True, bytes([number]) + content


def put_for(path, content):
    """The mutant in a file of its reader's number."""
    path.unlink()
    return put(path.with_name(str(content[0])), content[1:])


def read(path):
    """The reader of the file's number reads it."""
    list(READERS)[int(path.name)](path)


TARGET = Target("weak", prepare, make, put_for, (read,), 0, as_it_is)
