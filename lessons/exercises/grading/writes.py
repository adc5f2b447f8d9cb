"""Keeps a student's code from writing outside its folder, or starting programs, by accident.

An audit hook (PEP 578) sees every file that Python opens. It guards against accidents, not against malice: for
that, run the grader in a container.
"""

import os
import sys
from pathlib import Path

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {"os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.link", "os.symlink", "os.chmod", "os.chown", "os.truncate",
           "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile"}  # fmt: skip
PROGRAMS = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "os.kill",
    "os.startfile",
}
CACHES = ("numba/core/caching.py", "kernels/cuda/built.py", "kernels/cuda/emulation.py")  # write on minigan's behalf


class WriteRefused(PermissionError):
    """The student's code tried to change a file outside its folder, or to start a program."""


def guard(folder):
    """From now on, in this process, code in `folder` may write there only."""
    folder = Path(folder).resolve()

    def hook(event, arguments):
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not (flags or 0) & WRITING:
                return
            paths = [path]
        elif event in CHANGES:
            paths = [a for a in arguments[:2] if isinstance(a, (str, bytes, os.PathLike))]
        elif event in PROGRAMS:
            paths = []
        else:
            return
        if not _on_behalf_of(folder):
            return
        if event in PROGRAMS:
            raise WriteRefused(f"starting another program ({event}) is not part of an exercise")
        for path in paths:
            whole = Path(os.fsdecode(path)).resolve()
            if str(whole) != os.devnull and not whole.is_relative_to(folder):
                raise WriteRefused(f"{whole} is outside {folder}: an exercise writes nothing there")

    sys.addaudithook(hook)


def _on_behalf_of(folder):
    """Whether code of the folder is being run, and no cache of compiled kernels below it."""
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.replace(os.sep, "/").endswith(CACHES):
            return False
        if name.startswith(str(folder) + os.sep):
            return True
        frame = frame.f_back
    return False
