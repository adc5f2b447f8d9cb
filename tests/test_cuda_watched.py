"""Kernels whose every access to memory is looked at (`watch.h`): none goes astray, none races with another.

On emulated GPUs only. What a launch may read and write is what `dependencies` lets other launches run beside it by.
"""

import contextlib
import functools
import re

import numpy as np
import pytest
import test_cuda_convolutions as convolutions
from gpus import changed, emulated
from test_cuda_kernels import adam_state, batch_norms
from test_gpu_training import make_run
from triples import REAL, operands, triple, with_batch

from minigan.kernels import cuda
from minigan.kernels.cuda import convolution, cost, emulation, loader
from minigan.kernels.cuda.dependencies import Uses

watched = functools.partial(emulation.active, watched=True)

# --- our kernels


@pytest.mark.parametrize("name", ["chaudhary2024", "jeganathan2025"])
def test_the_kernels_of_a_step_keep_to_their_arrays_and_do_not_race(few_images, small_recipes, name):
    with watched():
        run = make_run(name, few_images, ema=0.9)
        run.advance(), run.advance()  # as it is recorded, and replayed
        run.samples()


@pytest.mark.parametrize("case, precision", [
    ("stride 3, so nine phases", "float32"), ("padding on one side", "float32"), ("many images", "float32"),
    ("many images of one channel", "float32"), ("many filters", "tf32"), ("many channels", "fp16"),
])  # fmt: skip
def test_convolutions_keep_to_their_arrays_and_do_not_race(case, precision):
    with convolutions.precision(precision):
        multiply(convolutions.EDGES[case])


def multiply(case):
    with convolutions.kernels_of(watched) as found:
        triple(found, *operands(case, np.float32))


def sum_up():
    with watched() as xp:
        for shape in ((4, 2, 60), (40, 3, 1)):
            batch_norms(cuda, xp.asarray, shape, np.float32, 0.2)


def step_of_adam():
    with watched() as xp:
        parameters, *moments, steps = adam_state(xp.asarray, [(3000,), (5,)], np.float32)
        cuda.adam(parameters, parameters, *moments, steps, 0.01, 0.9, 0.999, 1e-8, False)
        overflow = xp.zeros(1, np.int32)
        parameters[0][...] = np.inf  # which many threads find at once
        cuda.check_overflow(parameters, overflow)
        assert overflow.get() == 1
        cuda.update_scale(xp.ones(1, np.float32), overflow, xp.zeros(1, np.int64), 2000)


@contextlib.contextmanager
def whole_depths():
    """Inside the block, a block of threads takes a product's whole depth, in as many steps as there are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cost, "split_counts", lambda *_: [1])
        convolution._plan.cache_clear()
        try:
            yield
        finally:
            convolution._plan.cache_clear()


def multiply_whole(case):
    with whole_depths():
        multiply(case)


MANY = functools.partial(multiply_whole, convolutions.EDGES["many images"])
PARTS = functools.partial(multiply, with_batch(REAL["chaudhary2024 g.3"], 2))
DEEP = functools.partial(multiply_whole, with_batch(REAL["chaudhary2024 g.3"], 2))
NEED_BARRIERS = {
    "correlate.cu": DEEP, "weight.cu": DEEP, "normalization.cu": sum_up, "sums.cuh": sum_up, "adam.cu": step_of_adam,
}  # fmt: skip
BARRIER = re.compile(r"(?=\n([^\n]*\n *__syncthreads\(\);[^\n]*\n[^\n]*\n))")  # with the lines around it
BARRIERS = [
    (path.name, text) for path in sorted(loader.FOLDER.glob("*.cu*")) for text in BARRIER.findall(path.read_text())
]


@pytest.mark.parametrize(
    "file, text", BARRIERS, ids=[f"{file}-{text.splitlines()[0].strip()}" for file, text in BARRIERS]
)
def test_every_barrier_is_needed(file, text):
    """Without it there is a race, or something that has not been written is read."""
    without = re.sub(r"\n *__syncthreads\(\);[^\n]*", "", text)
    with changed(file, text, without), pytest.raises(RuntimeError, match="before a barrier|no thread has written"):
        NEED_BARRIERS[file]()


def test_all_barriers_are_tried():
    count = sum(path.read_text().count("__syncthreads();") for path in loader.FOLDER.glob("*.cu*"))
    assert len(BARRIERS) == count > 8 and len(set(BARRIERS)) == count


@pytest.mark.parametrize("file, old, new, work, found", [
    ("correlate.cu", "wait_for_copies<0>();", "wait_for_copies<2>();", DEEP, "an unfinished copy"),
    ("weight.cu", "__syncthreads();\n        if (piece + 1 < last) load(piece + 1);",
     "if (piece + 1 < last) load(piece + 1);\n        __syncthreads();", MANY, "before a barrier|unfinished"),
    ("parts.cu", "part < parts;", "part < parts + 1;", PARTS, "reads outside of its arrays"),
    ("adam.cu", "if (i >= size) break;", "if (i > size) break;", step_of_adam, "outside of its arrays"),
])  # fmt: skip
def test_a_mistake_that_may_not_change_a_result_is_found(file, old, new, work, found):
    with changed(file, old, new), pytest.raises(RuntimeError, match=found):
        work()


def test_adam_and_the_search_for_overflows_keep_to_their_arrays_and_do_not_race():
    step_of_adam()


# --- what is looked for

COPY = "SHARED_MEMORY(s); copy_async<4>(s + t, b + t); commit_copies(); "
TWICE = COPY + "copy_async<4>(s + t, b + t); commit_copies(); wait_for_copies<0>();"
BODIES = {
    "a[t] = b[t];": None,
    "a[t] = b[t + 1];": "thread 63 reads outside of its arrays: a\\[t\\] = b",
    "a[t + 1] = b[t];": "thread 63 writes outside of its arrays",
    "((float *)b)[t] = a[t];": "writes into what it may only read",
    "a[blockIdx.x] = 1;": "thread 1 writes where, before a barrier, so does thread 0",
    "if (t % 32 == 0) a[0] = t;": "thread 32 writes where, before a barrier, so does thread 0",
    "a[t] = a[t ^ 1];": "thread 1 reads what, before a barrier, is written by thread 0",
    "a[t] = b[t]; __syncwarp(); a[t] += a[t ^ 1];": "thread 1 (reads|writes) what, before a barrier, is (read|written) by thread 0",
    "float c = a[t ^ 1]; __syncwarp(); a[t] = c;": None,
    "float c = a[t ^ 32]; __syncwarp(); a[t] = c;": "thread 32 reads what, before a barrier, is written by thread 0",
    "float c = a[t ^ 32]; __syncthreads(); a[t] = c;": None,
    "if (t > 5) a[t] = a[5]; if (t == 9) a[5] = 1;": "thread 9 writes what, before a barrier, is read by",
    "if (t > 5) a[t] = a[5]; if (t == 40) a[5] = 1;": "thread 40 writes what, before a barrier, is read by",
    "if (t > 5) a[t] = a[5]; __syncthreads(); if (t == 40) a[5] = 1;": None,
    "a[t + (1 << 28)] = b[t];": "thread 0 writes outside of its arrays",
    "a[t] = *(volatile float *)nullptr;": "thread 0 reads outside of its arrays",
    "a[t] = b[t]; float c = __shfl_xor_sync(ALL_LANES, b[t], 1); __syncthreads(); a[t] = c;": None,
    "a[t] = b[t]; float c = __shfl_xor_sync(ALL_LANES, b[t], 1); a[t] = a[t ^ 1] + c;": "(written|read) by thread",
    "((char *)a)[t] = t;": None,
    "((char *)a)[t / 2] = t;": "thread 1 writes where, before a barrier, so does thread 0",
    "store_alike((int *)a, 1);": None,
    "store_alike((int *)a, t);": "thread 1 writes where, before a barrier, so does thread 0",
    "store_alike((int *)a + 64, 1);": "thread 0 writes outside of its arrays",
    "if (t > 1) store_alike((int *)a, 1); else a[t + 1] = a[0];": "before a barrier",
    "__shared__ float s[64]; s[t] = 1; __syncthreads(); a[t] = s[t + 1];": "thread 63 reads",
    TWICE: "unfinished copy brings: SHARED_MEMORY",  # the kernel's line, not that of copy_async
    "__shared__ float s[64]; a[t] = s[t];": "thread 0 reads shared memory that no thread has written",
    "__shared__ float s[64]; s[t] = 1; a[t] = s[63 - t];": "no thread has written|before a barrier",
    "__shared__ float s[64]; s[t] = 1; __syncthreads(); a[t] = s[63 - t];": None,
    "SHARED_MEMORY(s); s[t] = 1; a[t] = s[t];": None,
    "SHARED_MEMORY(s); s[t + 1] = 1;": "goes beyond the shared memory asked for",
    "SHARED_MEMORY(s); copy_async<4>(s + t, b + t); commit_copies(); s[t ^ 1] = 0;": "thread 1 writes where, before a barrier, so does thread 0",
    COPY + "wait_for_copies<0>(); __syncthreads(); a[t] = s[t ^ 1];": None,
    COPY + "wait_for_copies<0>(); a[t] = s[t];": None,
    COPY + "wait_for_copies<0>(); a[t] = s[t ^ 1];": "no thread has written",
    COPY + "wait_for_copies<1>(); a[t] = s[t];": "thread 0 touches what an unfinished copy brings: .*a\\[t\\] = s\\[t\\];",
    COPY + "__syncthreads(); a[t] = s[t ^ 1]; __syncthreads(); wait_for_copies<0>();": "unfinished copy",
    "SHARED_MEMORY(s); s[t] = 0; __syncthreads(); float c = s[t ^ 1]; copy_async<4>(s + t, b + t); a[t] = c;": "unfinished copy",
}  # fmt: skip


# One source for all, as compiling takes longer than the rest.
CODE = loader.source("device.cuh") + "".join(
    f'extern "C" __global__ void made_{number}(float *a, const float *b) {{ int t = threadIdx.x;\n{body}\n}}\n'
    for number, body in enumerate(BODIES)
)


@pytest.mark.parametrize("body", BODIES)
def test_what_threads_do_wrong_is_reported_in_a_line(body):
    with watched() as xp:
        made = xp.RawModule(code=CODE, options=()).get_function(f"made_{list(BODIES).index(body)}")
        a, b = xp.zeros(64, np.float32), xp.zeros(64, np.float32)
        made.allow(Uses((loader._span(b),), (loader._span(a),)))
        wrong = (
            pytest.raises(RuntimeError, match=f"made_.*{BODIES[body]}") if BODIES[body] else contextlib.nullcontext()
        )
        with wrong:
            made((1, 1, 1), (64, 1, 1), (a, b), shared_mem=256)


@pytest.mark.parametrize("body, found", [
    ("if (threadIdx.x == 0) a[0] = 1;", "thread 0 writes where, before a barrier, so does thread 0 of another block"),
    ("float c = a[0]; __syncthreads(); if (blockIdx.x == 1 && threadIdx.x == 0) a[0] = c + 1;",
     "thread 0 writes what, before a barrier, is read by thread .* of another block"),
])  # fmt: skip
@pytest.mark.parametrize("threads", [32, 64])
def test_blocks_do_not_wait_for_each_other(body, found, threads):
    code = 'extern "C" __global__ void made(float *a) { %s }' % body
    with watched() as xp:
        made, a = xp.RawModule(code=code, options=()).get_function("made"), xp.zeros(1, np.float32)
        made((1, 1, 1), (threads, 1, 1), (a,))
        with pytest.raises(RuntimeError, match=found):
            made((2, 1, 1), (threads, 1, 1), (a,))


def test_a_kernel_launched_by_hand_keeps_to_the_arrays_it_is_given():
    code = """extern "C" __global__ void leaky(const float *x, float *y) {
        int i = blockIdx.x * blockDim.x + threadIdx.x;
        y[i] = x[i] > 0 ? x[i] : 0.2f * x[i];
    }"""
    with watched() as xp:
        leaky = xp.RawModule(code=code, options=()).get_function("leaky")
        x, y = xp.ones(1024, np.float32), xp.zeros(1024, np.float32)
        with pytest.raises(RuntimeError, match="leaky: thread 232 reads outside of its arrays: y\\[i\\] ="):
            leaky((4, 1, 1), (256, 1, 1), (x[:1000], y[:1000]))
        leaky((4, 1, 1), (256, 1, 1), (x, y))
        assert (y == 1).all()


def test_the_library_of_a_report_may_be_gone():
    with watched() as xp:
        module = xp.RawModule(code='extern "C" __global__ void made(float *a) { a[threadIdx.x + 1] = 1; }', options=())
        module.path = module.path.with_name("gone.so")
        with pytest.raises(RuntimeError, match="made: thread 0 writes outside of its arrays$"):
            module.get_function("made")((1, 1, 1), (1, 1, 1), (xp.zeros(1, np.float32),))
