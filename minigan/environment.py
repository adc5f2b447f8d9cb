"""What a run's bits and its speed depend on besides its settings: versions, processor, GPU, the source's commit."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from minigan import __version__, backend

LIBRARIES = ("numpy", "numba", "llvmlite", "matplotlib", "pillow")


def versions(device):
    """{name: text or number} of the software and the machine; on a GPU, of CuPy, CUDA and the driver, too."""
    found = {
        "minigan": __version__,
        "git_commit": git_commit(),
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        "system": platform.platform(),
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
    }
    if device == "gpu":
        found |= {"cupy": getattr(backend.array_module(device), "__version__", None), "gpu_driver": gpu_driver()}
    return found


def cpu_name():
    """What the processor's maker calls it, where the system says so."""
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def gpu_driver():
    """The version of NVIDIA's driver, or None."""
    found = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    return found.splitlines()[0] if found else None


def git_commit():
    """The commit of the source that runs, with "-dirty" where files have been changed since; None for an installed copy."""
    here = Path(__file__)
    # A copy in a virtual environment may lie in somebody else's repository: this file must be the repository's own.
    git = "git", "-C", str(here.parent), "--no-optional-locks"
    if _output(*git, "ls-files", "--error-unmatch", here.name) is None:
        return None
    return _output(*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _output(*command):
    """What a command prints, or None where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
