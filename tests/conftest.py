"""What several test files share: a tiny data set, and commands run as a user runs them."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from small import make_recipes_small

import minigan.kernels
from minigan import backend, cli, data
from minigan.kernels.cpu import precision as cpu_precision
from minigan.kernels.cuda import convolution as gpu_convolution

settings.register_profile("minigan", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("minigan")


COMPILE = """
from minigan import recipes, training
from minigan.settings import default_settings
for recipe in recipes.RECIPES.values():
    for batch_size in (4, 100):
        run = training.Run(default_settings(recipe, batch_size=batch_size))
        run.advance(), run.samples()
"""


def pytest_configure(config):
    """Compiles the kernels once, before workers share the work: tests of commands would else wait for it."""
    compiled = list((Path(minigan.kernels.__path__[0]) / "cpu" / "__pycache__").glob("*.nbi"))
    if not compiled and not hasattr(config, "workerinput"):
        subprocess.run([sys.executable, "-c", COMPILE], check=True)


def write_idx(path, array):
    """Writes a uint8 array as an IDX file."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    path.write_bytes(header + array.tobytes())


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory):
    """A folder with the first 64 training and 16 test images of MNIST, and their labels."""
    folder = tmp_path_factory.mktemp("small")
    for split, count in (("train", 64), ("t10k", 16)):
        write_idx(folder / f"{split}-images-idx3-ubyte", data.load_images("mnist", (split,))[:count])
        write_idx(folder / f"{split}-labels-idx1-ubyte", data.load_labels("mnist", (split,))[:count])
    return folder


@pytest.fixture(scope="session")
def few_images(tmp_path_factory):
    """A folder with ten training and four test images: in batches of 4 an epoch is 4, 4, 2 or, of both, 4, 4, 4, 2."""
    folder = tmp_path_factory.mktemp("few")
    for split, count in (("train", 10), ("t10k", 4)):
        write_idx(folder / f"{split}-images-idx3-ubyte", data.load_images("mnist", (split,))[:count])
    return folder


@pytest.fixture(autouse=True)
def precision_put_back():
    """After each test products are in float32 again, on the CPU and on a GPU, emulated or not."""
    yield
    cpu_precision.set_precision("float32")
    gpu_convolution.set_precision("float32")


@pytest.fixture
def small_recipes(monkeypatch):
    """Inside the test both recipes have few channels."""
    make_recipes_small(monkeypatch)


def run_command(module, *arguments, cwd=None):
    """`python -m module arguments`, inside this process: a process takes a second to start. Returns what `run_process` does."""
    command = importlib.import_module(f"{module}.__main__" if module == "minigan.report" else module).main
    arguments, threads = [str(argument) for argument in arguments], backend.thread_count()
    out, told = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told), contextlib.chdir(cwd or "."):
            cli.run(lambda: command(arguments))
    except SystemExit as end:
        return subprocess.CompletedProcess([module, *arguments], end.code or 0, out.getvalue(), told.getvalue())
    finally:
        backend.set_threads(threads)


def run_process(module, *arguments, cwd=None, timeout=300):
    """`python -m module arguments` in a process of its own; returns it, finished, with its output as text."""
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=cwd, timeout=timeout, capture_output=True, text=True, env={**os.environ, "PYTHONWARNINGS": "error::RuntimeWarning"},
    )  # fmt: skip


def assert_refused(process, *words):
    """The command ended with one clear line that contains the words, and exit code 2."""
    lines = [line for line in process.stderr.splitlines() if "compiling the CPU kernels" not in line]
    assert process.returncode == 2, process.stderr
    assert len(lines) == 1 and "Traceback" not in process.stderr, process.stderr
    for word in words:
        assert word in lines[0]
