"""PyTorch on a GPU as a competitor: eager, compiled, and captured in CUDA graphs.

The capture follows PyTorch's "CUDA semantics", section "CUDA Graphs": a warm-up on a stream of its own, then the
whole step once inside torch.cuda.graph. With device "cpu" everything runs, without graphs: a rehearsal.
"""

import contextlib
import gc

import torch

from minigan import gpu_benchmark, torch_kernels, torch_peer
from minigan.errors import UserError
from minigan.gpu_benchmark import Competitor

# How torch.compile is asked to compile; without CUDA graphs, and with its own.
COMPILED, COMPILED_WITH_GRAPHS = "default", "reduce-overhead"
WARM_UP_STEPS = 3


def prepare(precision, device="cuda"):
    """Sets what PyTorch may do in this process. Raises UserError where it finds no GPU."""
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--against torch: this PyTorch finds no GPU; install one that is built for CUDA")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"


def version():
    """PyTorch's version and cuDNN's, in words."""
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return f"PyTorch {torch.__version__}" + (f", cuDNN {cudnn}" if cudnn else "")


def matrix_rate(precision, device="cuda"):
    """Operations a second of a large matrix product in the precision."""
    size = gpu_benchmark.MATRIX_SIZE
    a, b = torch.randn(2, size, size, device=device, dtype=torch_peer.HALF.get(precision, torch.float32))
    out = torch.empty_like(a)
    return gpu_benchmark.rate(lambda: torch.matmul(a, b, out=out), 2 * size**3, _synchronizer(device))


def convolution_error(device="cuda"):
    """The largest error of a float32 convolution as it is set now, as a share of its largest value."""
    x, weight = torch.randn(8, 64, 14, 14, device=device), torch.randn(64, 64, 5, 5, device=device)
    exact = torch.nn.functional.conv2d(x.cpu().double(), weight.cpu().double())
    found = torch.nn.functional.conv2d(x, weight).cpu()
    return float((found - exact).abs().max() / exact.abs().max())


def training(name, batch_size, device, precision, channels_last=False, compiled=None, graph=False):
    """The Competitor of training a recipe. compiled: a mode of torch.compile. graph: the step is a CUDA graph."""
    step = torch_peer.training_step(name, batch_size, channels_last, compiled, device, precision)
    return _competitor(step, compiled, graph, device)


def generation(name, batch_size, device, precision, channels_last=False, compiled=None, graph=False):
    """The Competitor of drawing a batch of images in eval mode; arguments as for `training`."""
    draw = torch_peer.generation(name, batch_size, channels_last, compiled, device, precision)
    return _competitor(draw, compiled, graph, device)


def kernel(name, arguments, device, precision, channels_last=False):
    """The Competitor of one of our kernels, several calls in a CUDA graph."""
    function = torch_kernels.make_kernel(name, arguments, channels_last, device, precision)
    return graphed(function, gpu_benchmark.CALLS, device)


def graphed(function, calls, device):
    """The Competitor whose turn replays one CUDA graph of `calls` calls of function()."""
    if device == "cpu":
        return Competitor(lambda count: [function() for _ in range(count * calls)], _synchronizer(device), calls)
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP_STEPS):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    _renew_random_state()
    try:
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):  # the backward pass has another thread
            for _ in range(calls):
                function()
    except Exception:
        _renew_random_state()
        raise

    def run(count):
        for _ in range(count):
            graph.replay()

    run.keeps = function  # and with it the memory that the graph reads
    return Competitor(run, torch.cuda.synchronize, calls)


def free():
    """Gives back the memory of competitors that are gone, and forgets what was compiled for them."""
    gc.collect()
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _competitor(step, compiled, graph, device):
    if graph:
        return graphed(step, 1, device)
    if compiled == COMPILED_WITH_GRAPHS:
        return gpu_benchmark.repeated(_marking_steps(step), _synchronizer(device))
    return gpu_benchmark.repeated(step, _synchronizer(device))


def _marking_steps(step):
    """The step, said to be a new one: what graphs of torch.compile returned in the last may be overwritten."""

    def marked():
        torch.compiler.cudagraph_mark_step_begin()
        return step()

    return marked


def _renew_random_state():
    """Gives the device's random generator a state of its own: a failed capture leaves the one it used unusable."""
    generator = torch.cuda.default_generators[torch.cuda.current_device()]
    with contextlib.suppress(AttributeError, RuntimeError):  # a precaution, which a capture that works does without
        generator.graphsafe_set_state(generator.clone_state())


def _synchronizer(device):
    return torch.cuda.synchronize if device == "cuda" else lambda: None
