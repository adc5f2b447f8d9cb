"""What a student's file may import: NumPy, harmless modules of Python's own, and what its exercise names.

`scan` reads the file before it runs; `ImportGuard` watches while it runs.
"""

import ast
import builtins
import importlib.util
import re
import sys
import tokenize
from pathlib import Path

from grading.check import Mistake

HARMLESS = set(
    "numpy __future__ abc bisect collections contextlib copy dataclasses enum fractions functools heapq itertools math "
    "numbers operator random re statistics string time types typing warnings weakref".split()
)
DYNAMIC = {"__import__", "eval", "exec", "compile", "globals", "__builtins__"}  # by which an import can hide
HIDDEN = set(
    "__globals__ __builtins__ __subclasses__ __spec__ __loader__ load_module sys _sys _getframe f_back f_locals "
    "f_globals".split()
)
OURS = {"minigan", "grading", "checks", "conftest", "minigan_answers"}
FRAMEWORKS = set(
    "torch tensorflow keras jax flax autograd theano mxnet paddle chainer cupy tinygrad scipy sklearn numba skimage".split()
)


class ImportRefused(Exception):
    """The file imports what would answer the exercise for it. The message names it."""


def scan(path, allowed, seen=None):
    """Raises ImportRefused for an import, anywhere in the file or in those of its folder that it imports, not allowed."""
    seen = set() if seen is None else seen
    if path in seen:
        return
    seen.add(path)
    try:
        with tokenize.open(path) as file:  # knows Python's encodings, and the mark that some editors put first
            tree = ast.parse(file.read(), path.name)
    except (UnicodeDecodeError, ValueError):
        raise Mistake(f"{path.name} is not a text file in UTF-8") from None
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise Mistake(f"{path.name} is not Python: {line}{error.msg}") from None
    own = own_modules(path.parent)
    for name in _changed_modules(tree):
        raise ImportRefused(f"{path.name} changes {name}, which the checks use, too")
    for name in _imported(tree):
        root = name.split(".")[0]
        if root in own:
            scan(path.parent / f"{root}.py", allowed, seen)
        else:
            refuse_unless_allowed(name, allowed, path)


def own_modules(folder):
    """The names of the modules in a student's folder, without those that are named like somebody else's."""
    return {path.stem for path in folder.glob("*.py") if not _is_taken(path.stem, folder)}


def _is_taken(name, folder):
    if re.match(r"ex\d\d_", name):  # a student's own answer to another exercise
        return False
    if name in OURS or name in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return True
    return spec is not None and not (spec.origin or "").startswith(str(folder))


def _imported(tree):
    """The modules that a file imports or reaches for, by their dotted names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                whole = node.module or "a relative import"
                yield f"{whole}.{alias.name}" if whole == "minigan" else whole
                if alias.name in HIDDEN:
                    yield alias.name
        elif isinstance(node, ast.Name) and node.id in DYNAMIC | HIDDEN:
            yield node.id
        elif isinstance(node, ast.Constant) and node.value in HIDDEN - {"sys"}:  # getattr(f, "__globals__")
            yield node.value
        elif isinstance(node, ast.Attribute) and node.attr in HIDDEN:
            yield node.attr
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "minigan":
            yield f"minigan.{node.attr}"


def _changed_modules(tree):
    """The modules that a file assigns into (`np.allclose = ...`), which would change the checks, too."""
    imported = {}  # the name in the file -> the module's
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported.update({alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names})
    for node in ast.walk(tree):
        written = isinstance(node, ast.Attribute) and isinstance(node.ctx, (ast.Store, ast.Del))
        given = (
            node.args[:1]
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("setattr", "delattr", "vars")
            else []
        )
        for root in [_root(node)] if written else [_root(argument) for argument in given]:
            if root in imported:
                yield imported[root]


def _root(node):
    """The first name of a chain of attributes: "np" of np.linalg.norm."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return getattr(node, "id", None)


def refuse_unless_allowed(name, allowed, path):
    """Raises ImportRefused for a dotted module name, used in the file `path`, that is neither harmless nor allowed."""
    root = name.split(".")[0]
    if root in HARMLESS or any(name == a or name.startswith(a + ".") for a in allowed):
        return
    if root == "minigan" and any(a.startswith(name + ".") for a in allowed):  # import minigan.tensor imports minigan
        return
    if root == "minigan":
        reason = "minigan's own answer"
    elif root in FRAMEWORKS:
        reason = "another framework"
    elif root in DYNAMIC | HIDDEN:
        reason = "a way around the checks"
    else:
        reason = "not among what this exercise allows"
    shadow = (
        f" (your own {root}.py has the name of another module: rename it)"
        if (path.parent / f"{root}.py").is_file()
        else ""
    )
    raise ImportRefused(
        f"{path.name} uses {name}: {reason}{shadow}. Allowed: {', '.join(('numpy', *allowed))}, and Python's "
        "math, itertools, functools, collections and the like"
    )


class ImportGuard:
    """Takes the place of `__import__`: finds the folder's own modules, and refuses what `scan` could not see."""

    def __init__(self, folder, allowed):
        self.folder, self.allowed, self.own = folder, allowed, own_modules(folder)
        self.original = getattr(builtins.__import__, "original", builtins.__import__)

    def __call__(self, name, globals=None, locals=None, fromlist=(), level=0):
        importer = (globals or {}).get("__file__") or ""
        if importer.startswith(str(self.folder)):
            root = name.split(".")[0]
            if root in self.own:
                self._load(root)
            else:
                for whole in [f"minigan.{item}" for item in fromlist or ()] if name == "minigan" else [name]:
                    refuse_unless_allowed(whole, self.allowed, Path(importer))
        return self.original(name, globals, locals, fromlist, level)

    def _load(self, name):
        path = self.folder / f"{name}.py"
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded != str(path):
            spec = importlib.util.spec_from_file_location(name, path)
            sys.modules[name] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
