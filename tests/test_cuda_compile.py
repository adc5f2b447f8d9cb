"""Every kernel as a real GPU's machine code: compiled for a T4, an A100 and an H100, without having one.

By nvcc, or by NVRTC (pip install nvidia-cuda-nvrtc), in the combinations of macros that the recipes' steps use. The
compiler's report says what a kernel takes: registers beyond what a thread has would be kept in slow memory.
"""

import ctypes
import functools
import math
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from gpus import emulated

from minigan import backend, recipes, training
from minigan.kernels.cuda import convolution, loader
from minigan.settings import default_settings

MOST_SPILLED, MOST_REGISTERS, REGISTER_FILE = 64, 255, 65536  # bytes; of a thread; of a multiprocessor
GPUS = {
    "sm_75": loader.Device("T4", multiprocessors=40, shared_bytes=64 << 10, compute_capability=75),
    "sm_80": loader.Device("A100", multiprocessors=108, shared_bytes=163 << 10, compute_capability=80),
    "sm_90": loader.Device("H100", multiprocessors=132, shared_bytes=227 << 10, compute_capability=90),
}
CONVOLUTIONS = ("correlate.cu", "weight.cu")
FLOAT64 = (("NUMBER", "double"),)


def nvcc(code, options):
    """The compiler's report on the code's kernels."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernels.cu"
        source.write_text(code)
        command = ["nvcc", "-cubin", "-Xptxas=-v", *options, source, "-o", source.with_suffix(".cubin")]
        made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stderr


@functools.cache
def nvrtc_library():
    """NVRTC of the PyPI package, or None."""
    for name in ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12"):
        try:
            files = metadata.files(name) or ()
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if re.fullmatch(r"libnvrtc\.so\.\d+", file.name):
                return ctypes.CDLL(str(file.locate()))
    return None


def nvrtc(code, options):
    """As `nvcc`."""
    library, program, size = nvrtc_library(), ctypes.c_void_p(), ctypes.c_size_t()
    assert library.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"kernels.cu", 0, None, None) == 0
    options = ["--ptxas-options=-v", *options]
    failed = library.nvrtcCompileProgram(
        program, len(options), (ctypes.c_char_p * len(options))(*map(str.encode, options))
    )
    library.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.nvrtcGetProgramLog(program, log)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    assert not failed, log.value.decode()
    return log.value.decode()


@pytest.fixture(scope="module")
def compiler():
    if shutil.which("nvcc"):
        return nvcc
    if nvrtc_library() is None:
        pytest.skip("neither nvcc nor the package nvidia-cuda-nvrtc is here")
    return nvrtc


@functools.cache
def launches_of_recipes(architecture):
    """{(file, macros): {kernel: the most threads of a block}} of the recipes' steps and samples on that GPU.

    In every precision that the GPU has, at the papers' batch sizes; the launches are noted, not made.
    """
    launches, gpu = {}, GPUS[architecture]

    def note(file, kernel, blocks, threads, *arguments, shared_bytes=0, in_structs=(), **macros):
        assert shared_bytes <= gpu.shared_bytes, (file, kernel)
        threads = math.prod(threads) if isinstance(threads, tuple) else threads
        kernels = launches.setdefault((file, tuple(sorted(macros.items()))), {})
        kernels[kernel] = max(threads, kernels.get(kernel, 0))

    with pytest.MonkeyPatch.context() as patch, emulated(), np.errstate(all="ignore"):  # arrays hold anything
        patch.setattr(loader, "run", note)
        patch.setattr(loader, "device", lambda: gpu)
        patch.setattr(convolution, "_precision", "float32")  # what was set is put back
        for name, needed in backend.PRECISIONS.items():
            if needed <= gpu.compute_capability:
                convolution.set_precision(name)
                for recipe in recipes.RECIPES.values():
                    run = training.Run(default_settings(recipe), "gpu", graph=False)
                    run.take_steps(1), run.samples()
    return launches


def chosen(launches):
    """All but the convolutions, and of those in each precision the one that takes most of a thread."""
    hungriest = {}
    for file, macros in sorted(launches):
        values = dict(macros)
        hunger = values.get("WARP_ROWS", 0) * values.get("WARP_COLUMNS", 0), values.get("CHUNK", 0)
        group = (file, values["PRECISION"]) if file in CONVOLUTIONS else (file, macros)
        hungriest[group] = max(hungriest.get(group, ((0, 0), ())), (hunger, (file, macros)))
    return [module for _, module in hungriest.values()]


def report_on(compiler, architecture, file, macros):
    """{kernel: (bytes of stack that are no spilled registers, bytes spilled, registers)} by the compiler."""
    wants_groups = dict(macros).get("GROUPS")  # instructions of this very architecture, see tensor_core.cuh
    options = ("-std=c++17", f"-arch={architecture}{'a' if wants_groups else ''}", *(f"-D{n}={v}" for n, v in macros))
    text = compiler(loader.source(file), options)
    found = {}
    for kernel, facts in re.findall(r"Compiling entry function '(\w+)'(.*?Used \d+ registers)", text, re.S):
        stack, stores, loads = re.search(r"(\d+) bytes stack frame, (\d+) \D*, (\d+) ", facts).groups()
        spilled_to_stack = -(-int(stores) // 8) * 8
        found[kernel] = (
            max(0, int(stack) - spilled_to_stack),
            int(stores) + int(loads),
            int(re.search(r"Used (\d+)", facts)[1]),
        )
    return found


@pytest.mark.parametrize("architecture", GPUS)
def test_the_kernels_that_recipes_use_fit_into_registers(compiler, architecture):
    launches = {**launches_of_recipes(architecture), ("naive.cu", FLOAT64): {"naive_conv2d": 256}}
    modules = chosen(launches)
    with ThreadPoolExecutor(2) as pool:
        reports = pool.map(lambda module: report_on(compiler, architecture, *module), modules)
    for (file, macros), report in zip(modules, reports):
        kernels = launches[file, macros]
        assert kernels.keys() <= report.keys(), file
        for kernel, (stack, spilled, registers) in report.items():
            what = file, macros, kernel
            assert stack == 0, what
            assert spilled <= MOST_SPILLED and registers <= MOST_REGISTERS, what
            assert -(-registers // 8) * 8 * kernels.get(kernel, 1) <= REGISTER_FILE, what


@pytest.mark.parametrize("architecture", GPUS)
def test_the_recipes_use_every_file_but_the_one_for_float64(architecture):
    files = {path.name for path in loader.FOLDER.glob("*.cu")}
    assert {file for file, _ in launches_of_recipes(architecture)} == files - {"naive.cu"}


def test_every_file_compiles_for_whatever_else_it_is_made_for(compiler):
    modules = [("copies.cu", (("BYTES", count),)) for count in (1, 2, 8)] + [("naive.cu", (("NUMBER", "float"),))]
    for path in sorted(loader.FOLDER.glob("*.cu")):
        if path.name not in CONVOLUTIONS and "NUMBER" in loader.source(path.name):
            modules.append((path.name, FLOAT64))
    with ThreadPoolExecutor(2) as pool:
        for report in pool.map(lambda module: report_on(compiler, "sm_75", *module), modules):
            assert report
            assert all(stack == 0 and spilled <= MOST_SPILLED for stack, spilled, _ in report.values()), report
