"""Peak memory of a training step, measured in a process of its own (Linux).

python -m minigan.peak_memory minigan|torch RECIPE BATCH THREADS [channels-last] prints megabytes:
how much the process grew from the moment before images were read and networks built to the peak of
ten steps.
"""

import subprocess
import sys

from minigan import backend, kernels, workloads

STEPS = 10


def of_training_step(who, recipe, batch_size, threads, layout=""):
    """The megabytes, or None where the system does not tell."""
    if sys.platform != "linux":
        return None
    command = [sys.executable, "-m", "minigan.peak_memory", who, recipe, str(batch_size), str(threads), layout]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(who, recipe, batch_size, threads, layout):
    """Takes the steps and prints the megabytes."""
    if who == "torch":
        from minigan import torch_peer

        before = _kilobytes("VmRSS")
        step = torch_peer.make_step(recipe, int(batch_size), layout == "channels-last", int(threads))
    else:
        kernels.for_device("cpu")
        backend.set_threads(int(threads))
        before = _kilobytes("VmRSS")
        step = workloads.training_step(recipe, int(batch_size))
    for _ in range(STEPS):
        step()
    print((_kilobytes("VmHWM") - before) / 1024)


def _kilobytes(field):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(field + ":"))


if __name__ == "__main__":
    main(*sys.argv[1:])
