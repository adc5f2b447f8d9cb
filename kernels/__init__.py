"""The hot loops: one set of kernels per device, all with the names and arguments of `reference.py`.

    reference   plain NumPy, the definition
    cpu/        Numba
    cuda/       CUDA sources, launched by CuPy

`for_device` finds the set in use; `use` puts another set, or single functions, in its place:

    with kernels.use(conv2d=my_conv2d):      # train a recipe with your own convolution
        ...
"""

import contextlib
import functools
import importlib
import types

_replaced = []  # what `use` put in place, innermost last: (name of a set or None, {kernel: function})


def for_device(device):
    """The namespace of kernels for "cpu" or "gpu", with the replacements of every enclosing `use`."""
    if not _replaced:
        return _load(device)
    base, functions = device, {}
    for name, replaced in _replaced:
        if name is not None:
            base, functions = name, {}
        functions.update(replaced)
    return types.SimpleNamespace(**{**vars(_load(base)), **functions})


def replaced():
    """Whether any kernel is replaced now."""
    return bool(_replaced)


@functools.cache
def _load(name):
    if name == "gpu":
        name = "cuda"
    return importlib.import_module(f"minigan.kernels.{name}")


@contextlib.contextmanager
def use(name=None, /, **functions):
    """Inside the `with` block, takes kernels from another set and/or uses the given functions.

    name: "reference" or "cpu", a set to use on every device; None keeps the device's own.
    functions: kernels by name, with the arguments of the function of that name in `reference.py`.
    Raises TypeError for a name that is no kernel, ImportError for one that is no set.
    """
    reference = _load("reference")
    for function in functions:
        if not callable(getattr(reference, function, None)):
            raise TypeError(
                f"there is no kernel named {function!r}; the kernels are those of minigan/kernels/reference.py"
            )
    if name is not None:
        _load(name)
    _replaced.append((name, functions))
    try:
        yield
    finally:
        _replaced.pop()
