"""CUDA graphs of recorded launches, and readings that do not hold up what follows ("CUDA C++ Programming Guide", CUDA graphs)."""

import numpy as np

from minigan.kernels.cuda import emulation, loader


def captured(graph):
    """A function that replays a `launch.Graph` of our kernels as one CUDA graph.

    Only the launches are captured, not what decided on them: no memory is allocated and nothing is read back.
    """
    stream = loader.stream()
    stream.begin_capture()
    try:
        graph.replay()
    finally:
        cuda_graph = stream.end_capture()
    return lambda: cuda_graph.launch(stream)


def read_later(array):
    """As `backend.read_later`: through page-locked memory, to which the GPU copies by itself."""
    if emulation.module():
        copy = array.get()
        return lambda: copy
    import cupyx

    host = cupyx.empty_pinned(array.shape, array.dtype)
    array.get(out=host, blocking=False)
    event = loader.arrays().cuda.Event(block=True, disable_timing=True)
    event.record(loader.stream())

    def read():
        event.synchronize()
        return np.array(host)

    return read
