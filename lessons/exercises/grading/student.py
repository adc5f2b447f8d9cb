"""Loads a student's file, refuses what it may not import, and turns what it raises into words for the student."""

import ast
import builtins
import importlib.util
import sys
import traceback
import types
from pathlib import Path

from grading.check import Mistake

HARMLESS = set(
    "numpy __future__ abc bisect collections contextlib copy dataclasses enum fractions functools heapq itertools math "
    "numbers operator random re statistics string time types typing warnings weakref".split()
)
DYNAMIC = {"__import__", "eval", "exec", "compile", "globals", "__builtins__"}  # by which an import can hide
FRAMEWORKS = set(
    "torch tensorflow keras jax flax autograd theano mxnet paddle chainer cupy tinygrad scipy sklearn numba skimage".split()
)


class ImportRefused(Exception):
    """The file imports what would answer the exercise for it. The message names it."""


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
    guard = ImportGuard(path.parent, allowed)
    builtins.__import__ = guard
    sys.path.append(str(path.parent))  # for modules of the student's own
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportRefused:
        raise
    except BaseException as error:
        raise Mistake(f"{path.name} cannot be run: {in_words(error, path.parent)}") from None
    return Answers(**{**vars(module), "__file__": path.name})


def scan(path, allowed, seen=None):
    """Raises ImportRefused for an import, anywhere in the file or in those of its folder that it imports, not allowed."""
    seen = set() if seen is None else seen
    if path in seen:
        return
    seen.add(path)
    try:
        tree = ast.parse(path.read_text(), path.name)
    except SyntaxError as error:
        raise Mistake(f"{path.name} is not Python: line {error.lineno}: {error.msg}") from None
    except (UnicodeDecodeError, ValueError):
        raise Mistake(f"{path.name} is not a text file in UTF-8") from None
    for name in _imported(tree):
        own = path.parent / f"{name.split('.')[0]}.py"
        if own.is_file():
            scan(own, allowed, seen)
        else:
            refuse_unless_allowed(name, allowed, path.name)


def _imported(tree):
    """The modules that a file imports or reaches for, by their dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = node.module or "a relative import"
                yield f"{whole}.{alias.name}" if whole == "minigan" else whole
        elif isinstance(node, ast.Name) and node.id in DYNAMIC:
            yield node.id
        elif isinstance(node, ast.Attribute) and node.attr in (
            "__globals__",
            "__builtins__",
            "__subclasses__",
            "modules",
        ):
            yield node.attr


def refuse_unless_allowed(name, allowed, file):
    """Raises ImportRefused for a dotted module name that is neither harmless nor allowed."""
    root = name.split(".")[0]
    if root in HARMLESS or any(name == a or name.startswith(a + ".") for a in allowed):
        return
    if root == "minigan" and any(a.startswith(name + ".") for a in allowed):  # import minigan.tensor imports minigan
        return
    if root == "minigan":
        reason = "minigan's own answer"
    elif root in FRAMEWORKS:
        reason = "another framework"
    elif root in DYNAMIC:
        reason = "a way to hide an import"
    else:
        reason = "not among what this exercise allows"
    raise ImportRefused(
        f"{file} uses {name}: {reason}. Allowed: {', '.join(('numpy', *allowed))}, and Python's "
        "math, itertools, functools, collections and the like"
    )


class ImportGuard:
    """Takes the place of `__import__`: refuses, at the moment it happens, what `scan` could not see."""

    def __init__(self, folder, allowed):
        self.folder, self.allowed = str(folder), allowed
        self.original = getattr(builtins.__import__, "original", builtins.__import__)

    def __call__(self, name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get("__file__") or ""
        own = Path(self.folder, f"{name.split('.')[0]}.py").is_file()
        if importer.startswith(self.folder) and not own:
            for whole in [f"minigan.{item}" for item in fromlist or ()] if name == "minigan" else [name]:
                refuse_unless_allowed(whole, self.allowed, Path(importer).name)
        return self.original(name, globals, locals, fromlist, level)


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
