"""The GPUs that tests of the GPU run on: the emulated one, always, and a real one where there is one (-m gpu)."""

import contextlib

import pytest

from minigan import backend
from minigan.kernels import cuda
from minigan.kernels.cuda import emulation


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


# A test body takes `gpu` and works inside `with gpu() as xp:`, xp being CuPy or its stand-in.
on_gpus = pytest.mark.parametrize("gpu", [emulated, pytest.param(real, marks=pytest.mark.gpu)])
