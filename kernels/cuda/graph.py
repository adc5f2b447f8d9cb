"""CUDA graphs of recorded launches, and readings that do not hold up what follows ("CUDA C++ Programming Guide", CUDA graphs)."""

import numpy as np

from minigan.kernels.cuda import dependencies, emulation, loader


def captured(graph):
    """A function that replays a `launch.Graph` of our kernels as one CUDA graph.

    Only the launches are captured, not what decided on them: no memory is allocated and nothing is read back. Launches
    that need not wait for each other are captured on several streams, so that a replay runs them side by side: small
    ones do not leave most of the GPU idle. The bits are the same in any order.
    """
    stream = loader.stream()
    stream.begin_capture()
    try:
        _enqueue(graph, [stream, *loader.side_streams()])
    finally:
        cuda_graph = stream.end_capture()
    return lambda: cuda_graph.launch(stream)


def _enqueue(graph, streams):
    """Makes the launches on several streams, the first one being the one that all others start from and end in."""
    waits = dependencies.waits(graph.uses)
    chosen = dependencies.queues(waits, len(streams))
    begun = _event_on(streams[0])
    done, last = [], {}  # the event after each launch; each stream's last launch
    for number, (kernel, arguments) in enumerate(graph.launches):
        queue = chosen[number]
        if queue not in last and queue > 0:
            streams[queue].wait_event(begun)
        for earlier in waits[number]:
            if chosen[earlier] != queue:
                streams[queue].wait_event(done[earlier])
        with streams[queue]:
            kernel(*arguments)
        done.append(_event_on(streams[queue]))
        last[queue] = number
    for queue, number in last.items():
        if queue > 0:
            streams[0].wait_event(done[number])


def _event_on(stream):
    event = loader.arrays().cuda.Event(disable_timing=True)
    event.record(stream)
    return event


def read_later(array):
    """As `backend.read_later`: through page-locked memory, to which the GPU copies by itself."""
    if emulation.module():
        copy = array.get()
        return lambda: copy
    import cupyx

    host = cupyx.empty_pinned(array.shape, array.dtype)
    array.get(out=host, blocking=False, stream=loader.stream())
    event = loader.arrays().cuda.Event(block=True, disable_timing=True)
    event.record(loader.stream())

    def read():
        event.synchronize()
        return np.array(host)

    return read
