"""The promise about a file from a stranger: no code of it runs, memory is bounded by its size, and the answer is either
what it holds or one line.

`Watch` sees what a reader does by audit hooks (PEP 578), by the canary, by tracemalloc and by the process's clock.
A crash or a hang is seen by the parent (see workers.py).
"""

import codecs
import contextlib
import io
import os
import resource
import sys
import time
import tracemalloc
import traceback
import warnings
from collections import namedtuple

from hostile import canary

codecs.lookup("raw_unicode_escape")  # a text opcode would import it while a file is read

READ, REFUSED = "read", "refused"
# broken: what was not kept, in words; then `kind` names it shortly.
Outcome = namedtuple("Outcome", "kind detail")

MOST_SECONDS = 5.0  # of processor time
MOST_LETTERS = 1200  # of the line, without the name of the file: it says what does not fit of a state, cut after 1000
SPARE_ADDRESSES = 3 << 30  # bytes a worker may map beyond what it has mapped already: the wall behind the bound


def most_bytes(size, cells, usual):
    """What reading a file of so many bytes, or that unpacks to so many, may take of memory: the one bound of all readers.

    Eight times the file: its bytes, the unpickled bytes, the arrays made of them, the copies that networks and
    optimizers keep, and a string that needs four bytes a letter. 400 bytes for each value, of which there are no more
    than `cells`: an empty dict is one byte in a file, and 64 and its places in lists, memo and sets in memory. `usual`
    is what the reader takes for a good file, whatever its size: networks, images, a page.
    """
    return (2 << 20) + usual + 8 * size + 400 * min(size, cells)


# Audit events by their first part; what a reader may do is listed, the rest of these is code of the file.
_SUSPECT = {
    "os", "subprocess", "socket", "ctypes", "shutil", "webbrowser", "code", "marshal", "import", "exec", "compile",
    "pickle", "open", "builtins", "glob", "sys", "pty", "ftplib", "smtplib", "urllib", "http", "imaplib", "poplib",
    "telnetlib", "nntplib", "sqlite3", "tempfile", "fcntl", "signal", "setopencodehook", "msvcrt", "winreg", "syslog",
}  # fmt: skip
_READING = {
    "os.listdir", "os.scandir", "os.fwalk", "os.walk", "glob.glob", "glob.glob/2", "sys._getframe", "sys.unraisablehook",
    "sys.excepthook", "builtins.id", "fcntl.flock", "sys._current_frames",
}  # fmt: skip
_IN_FOLDER = {"os.mkdir", "os.remove", "os.rename", "os.link", "os.truncate", "os.chmod", "os.utime", "os.rmdir"}


class Watch:
    """Reads files under observation. One in a process: an audit hook stays as long as it."""

    def __init__(self):
        self._folder, self._events = None, []
        sys.addaudithook(self._hear)

    def _hear(self, event, arguments):
        if self._folder is None or event.partition(".")[0] not in _SUSPECT or event in _READING:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) if isinstance(flags, int) else mode
            if not writes or self._inside(path):
                return
        if event in _IN_FOLDER and self._inside(arguments[0]):
            return
        # NumPy reads the header of an array by ast.literal_eval, which parses without running.
        if event == "compile" and sys._getframe(1).f_code.co_filename.endswith("ast.py"):
            return
        self._events.append(f"{event}{tuple(map(str, arguments))}"[:200])

    def _inside(self, path):
        try:
            path = os.fsdecode(path)
        except TypeError:  # a file descriptor
            return True
        return path == os.devnull or f"{os.path.abspath(path)}{os.sep}".startswith(f"{self._folder}{os.sep}")

    def read(self, target, path, usual=None):
        """(the Outcome of reading `path`, whose folder is the only one that may be written; the most bytes of each stage).

        target.stages: functions; the first takes the path, each other what the one before it returned. cells, unpacked
        (a function of the file's size) and usual (for each stage) are what `most_bytes` takes; without usual, nothing
        is too much. target.beside: bytes for each stage of what a file may name without holding it, such as MNIST.
        """
        size, folder = os.path.getsize(path), os.path.dirname(os.path.abspath(path))
        before = listing(folder)
        canary.songs.clear()
        self._events, value, took = [], path, []
        kind, detail = READ, ""
        printed = io.StringIO()
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(printed):
            warnings.simplefilter("error")
            tracemalloc.start(1)
            begun, self._folder = time.process_time(), folder
            try:
                for stage in target.stages:
                    tracemalloc.reset_peak()
                    held = tracemalloc.get_traced_memory()[0]
                    try:
                        value = stage(value)
                    finally:
                        took.append(tracemalloc.get_traced_memory()[1] - held)
            except BaseException as error:
                kind, detail = _judged(error, path)
            finally:
                self._folder = None
                seconds = time.process_time() - begun
                tracemalloc.stop()
        if canary.songs or self._events:
            kind, detail = "executed", f"{canary.songs[:2]} {self._events[:4]}"
        elif usual is not None and kind in (READ, REFUSED):
            beside = target.beside or [0] * len(usual)
            for number, (taken, often, named) in enumerate(zip(took, usual, beside)):
                if taken > most_bytes(target.unpacked(size), target.cells, often + named):
                    kind, detail = "memory", f"stage {number}: {taken} bytes for a file of {size}"
            if seconds > MOST_SECONDS:
                kind, detail = "slow", f"{seconds:.1f} seconds for a file of {size} bytes"
            if kind == REFUSED and listing(folder) != before:
                kind, detail = "changed", f"the folder's files, though: {detail}"
            if kind == REFUSED and printed.getvalue():
                kind, detail = "several lines", printed.getvalue()
        return Outcome(kind, detail), took


def _judged(error, path):
    """The kind and detail of what a reader raised. The commands make one line of a UserError and of an OSError."""
    from minigan.errors import UserError

    if isinstance(error, SystemExit):
        return (REFUSED, "") if error.code == 2 else (f"exit {error.code}", "")
    if not isinstance(error, (UserError, OSError)):
        last = traceback.extract_tb(error.__traceback__)[-3:]
        where = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(last))
        return type(error).__name__, f"{ascii(str(error))[:120]} at {where}"
    line = str(error).replace(str(path), "FILE").replace(os.path.dirname(path), "FOLDER")
    if not line.isprintable() or not line:
        return "unprintable", ascii(line[:200])
    if len(line) > MOST_LETTERS:
        return "long line", f"{len(line)} letters: {line[:200]}"
    return REFUSED, line


def listing(folder):
    """What is in a folder, without the lock that a command leaves (and which is empty)."""
    return sorted(
        (entry.name, entry.stat().st_size, entry.stat().st_mtime_ns)
        for entry in os.scandir(folder)
        if entry.is_file() and entry.name != ".lock"
    )


def limit_addresses():
    """Has the operating system refuse this process memory far beyond the bound: the machine stays usable."""
    with open("/proc/self/statm") as pages:
        mapped = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + SPARE_ADDRESSES, resource.RLIM_INFINITY))
