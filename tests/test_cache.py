"""An edited kernel recompiles, also when the edit is in a file that it calls."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import minigan
from minigan import kernels

PROBE = """
import numpy as np
from minigan.kernels import cpu
out = np.empty((1, 1, 5, 5), np.float32)
cpu.conv_transpose2d(np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 4, 4), np.float32), (1, 1), (0,) * 4, (1, 1), out)
print(cpu.__file__, out.sum())
"""


def test_an_edit_of_what_it_calls_changes_the_convolution(tmp_path):
    with ThreadPoolExecutor(2) as pool:  # each compiles for some ten seconds
        list(pool.map(assert_edits_count, (tmp_path / "beside", tmp_path / "elsewhere"), (False, True)))


def assert_edits_count(tmp_path, elsewhere):
    """With the cache beside the sources, or in NUMBA_CACHE_DIR."""
    package = tmp_path / "minigan"
    shutil.copytree(Path(minigan.__file__).parent, package, ignore=shutil.ignore_patterns("mnist", "__pycache__"))
    shutil.copytree(Path(kernels.__file__).parent, package / "kernels", ignore=shutil.ignore_patterns("__pycache__"))

    def probe():
        environment = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"}
        if elsewhere:
            environment["NUMBA_CACHE_DIR"] = str(tmp_path / "cache")
        process = subprocess.run(
            [sys.executable, "-c", PROBE], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        where, total = process.stdout.split()
        assert where.startswith(str(tmp_path))
        return float(total), "compiling" in process.stderr

    assert probe() == (64.0, True)
    assert probe() == (64.0, False)
    called = package / "kernels" / "cpu" / "registers.py"
    called.write_text(called.read_text().replace("builder.fadd(", "builder.fsub("))
    assert probe() == (-64.0, True)
