"""The GPUs that tests of the GPU run on: the emulated one, always, and a real one where there is one (-m gpu)."""

import contextlib

import pytest

from minigan import backend
from minigan.kernels import cuda
from minigan.kernels.cuda import emulation, loader


def emulated():
    """Inside the block, "gpu" is emulated."""
    return emulation.active()


@contextlib.contextmanager
def real():
    """Inside the block, "gpu" is this machine's. Skips the test where there is none."""
    missing = backend.why_no_gpu()
    if missing:
        pytest.skip(missing)
    yield cuda.loader.arrays()


@contextlib.contextmanager
def changed(file, old, new):
    """Inside the block, a text of a `.cu` or `.cuh` file is another one, wherever it stands."""
    assert old in (loader.FOLDER / file).read_text(), f"{file} no longer has {old!r}: plant the mistake elsewhere"
    source = loader.source
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "source", lambda name: source(name).replace(old, new))
        _forget_what_is_compiled()
        try:
            yield
        finally:
            _forget_what_is_compiled()


def _forget_what_is_compiled():
    loader.compiled.cache_clear(), loader._module.cache_clear()


# A test body takes `gpu` and works inside `with gpu() as xp:`, xp being CuPy or its stand-in.
on_gpus = pytest.mark.parametrize("gpu", [emulated, pytest.param(real, marks=pytest.mark.gpu)])
