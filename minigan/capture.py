"""Captured functions: run by the engine once, then replayed as the kernel launches they made.

A training step does the same to the same memory every time; only the numbers change. So the engine, which
decides what to launch, is needed once. On the CPU the launches are made again one by one, on a GPU they become
one CUDA graph. On small batches, where Python takes as long as the arithmetic or longer, that is most of the speed.
"""

from minigan import backend, kernels
from minigan.anomaly import is_checking
from minigan.kernels.launch import record
from minigan.tensor import Tensor


class Captured:
    """A function of tensors that is recorded at its first call for each set of inputs' shapes, then replayed.

    The function's launches must be the same at every call: it may not decide anything by looking at
    numbers, and what it does beside launching kernels (and NumPy functions through ops) happens once.
    Its outputs, tensors, are new at every call.
    """

    def __init__(self, function):
        self.function = function
        self._recorded = {}  # (kinds of inputs, threads) -> (input arrays, output arrays, Graph, kept for its memory, its replay)

    def __call__(self, *inputs):
        """The function's outputs, a tuple of tensors without history."""
        if kernels.replaced() or is_checking():
            return tuple(t.detach() for t in self.function(*inputs))
        key = tuple((t.shape, t.dtype, t.device) for t in inputs), backend.thread_count()
        if key in self._recorded:
            arrays, outputs, _, replay = self._recorded[key]
            for array, t in zip(arrays, inputs):
                backend.copy_into(array, t.data)
            replay()
        else:
            arrays = [t.data.copy() for t in inputs]
            with record() as graph:
                outputs = [t.data for t in self.function(*map(Tensor, arrays))]
            self._recorded[key] = arrays, outputs, graph, backend.capture(graph)
        return tuple(Tensor(array.copy()) for array in outputs)
