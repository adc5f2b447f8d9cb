"""Loads a student's file, and turns what it raises into words for the student."""

import builtins
import importlib.util
import traceback
import types
from pathlib import Path

from grading.check import Mistake
from grading.imports import ImportGuard, ImportRefused, scan


class Answers(types.SimpleNamespace):
    """The functions and classes of a student's file; asking for one that is missing says so in words."""

    def __getattr__(self, name):
        raise Mistake(f"{self.__file__} has no {name}: the stub of the exercise shows what to write")


def load(path, allowed=()):
    """The Answers in the file `path`, run once. allowed: modules it may import besides the harmless ones.

    Raises ImportRefused for an import that is not allowed, Mistake where the file cannot be run.
    """
    path = Path(path).resolve()
    scan(path, allowed)
    builtins.__import__ = ImportGuard(path.parent, allowed)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportRefused:
        raise
    except BaseException as error:
        raise Mistake(f"{path.name} cannot be run: {in_words(error, path.parent)}") from None
    return Answers(**{**vars(module), "__file__": path.name})


def in_words(error, folder):
    """An exception of the student's code as text: its kind, its message, and the student's lines it came through."""
    if isinstance(error, NotImplementedError):
        return f"not written yet: {_last_line(error, folder)}"
    if isinstance(error, RecursionError):
        return "it calls itself without end (RecursionError)"
    text = f"{type(error).__name__}: {error}"
    if "read-only" in str(error):
        text += " (an input was changed in place: make a copy of it first)"
    return f"{text}\n  {_last_line(error, folder)}"


def _last_line(error, folder):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(str(folder))]
    return "\n  ".join(f"{Path(f.filename).name}, line {f.lineno}, in {f.name}: {f.line}" for f in frames[-3:])
