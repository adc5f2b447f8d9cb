"""Which launches of a graph wait for which: any order that is allowed computes the same, and a forgotten wait is caught."""

import re

import numpy as np
import pytest
from hypothesis import given, strategies

from minigan.capture import Captured
from minigan.kernels.cuda import dependencies, emulation, loader
from minigan.kernels.cuda.dependencies import Uses
from minigan.tensor import Tensor

CELLS = 5
cells = strategies.lists(strategies.integers(0, CELLS - 1), max_size=3, unique=True)
programs = strategies.lists(strategies.tuples(cells, cells), max_size=12)


def uses_of(program):
    """Uses of launches that read and write cells, four bytes each."""
    return [Uses(*(tuple((4 * cell, 4 * cell + 4) for cell in side) for side in launch)) for launch in program]


def run(program, order):
    """What is in the cells after the launches in an order; each writes what depends on itself and on all it reads."""
    values = [(cell,) for cell in range(CELLS)]
    for number in order:
        reads, writes = program[number]
        found = hash((number, *(values[cell] for cell in reads)))
        for cell in writes:
            values[cell] = (found, cell)
    return values


def all_before(waits):
    """For each launch the set of launches that are done before it begins."""
    found = []
    for direct in waits:
        found.append(set(direct).union(*(found[earlier] for earlier in direct)))
    return found


@given(programs, strategies.randoms(use_true_random=False))
def test_every_order_that_is_allowed_computes_the_same(program, random):
    waits = dependencies.waits(uses_of(program))
    left, order = set(range(len(program))), []
    while left:
        order.append(random.choice(sorted(n for n in left if left.isdisjoint(waits[n]))))
        left.remove(order[-1])
    assert run(program, order) == run(program, range(len(program)))


@given(programs)
def test_launches_wait_for_no_more_than_they_must(program):
    uses = uses_of(program)
    waits = dependencies.waits(uses)
    before = all_before(waits)
    for number, direct in enumerate(waits):
        for earlier in direct:
            assert not any(earlier in before[other] for other in direct), "said twice"
            (r1, w1), (r2, w2) = ((set(side) for side in program[n]) for n in (earlier, number))
            assert w1 & (r2 | w2) or r1 & w2, "nothing in common"


@given(programs, strategies.integers(1, 4))
def test_queues_keep_their_order_and_add_waits_only_where_they_are_full(program, width):
    waits = dependencies.waits(uses_of(program))
    queues, before = dependencies.queues(waits, width), all_before(waits)
    assert all(0 <= queue < width for queue in queues)
    if len(program) <= width:
        tails = {}
        for number, queue in enumerate(queues):
            assert queue not in tails or tails[queue] in before[number]
            tails[queue] = number


def test_addresses_overlap_where_they_share_a_byte():
    def wait(first, second):
        return dependencies.waits([Uses((), (first,)), Uses((second,), ())])[1] == [0]

    assert wait((0, 8), (4, 12)) and wait((4, 12), (0, 8)) and wait((0, 16), (4, 8)) and wait((4, 8), (0, 16))
    assert not wait((0, 8), (8, 16)) and not wait((8, 16), (0, 8))


def test_every_kernel_says_by_const_what_it_reads_and_writes_something():
    count = 0
    for path in sorted(loader.FOLDER.glob("*.cu")):
        for name in re.findall(r"__global__[^{};]*?(\w+)\((?!\d)(?!THREADS)", path.read_text()):
            pointers = loader._pointers(path.name, name)
            assert "writes" in pointers or name in ("adam", "advance_steps", "move_average"), name
            count += 1
    assert count > 30


def test_the_memory_of_a_launch_is_that_of_its_arrays():
    with emulation.active() as xp:
        kernel = loader.compiled(xp, "elementwise.cu", "leaky_relu", (("NUMBER", "float"),))
        x, out = xp.asarray(np.zeros((4, 6), np.float32)), xp.asarray(np.zeros((4, 3), np.float32))
        (read,), (written,) = kernel.uses((12, x[1:, ::2], 0.2, out), ())
    begin = loader.address(x) + 24
    assert read == (begin, begin + 2 * 24 + 4 * 4 + 4)
    assert written == (loader.address(out), loader.address(out) + 48)


@pytest.mark.parametrize("forgotten", ["reads", "writes", None])
def test_a_forgotten_wait_is_caught_by_the_emulated_gpu(monkeypatch, forgotten):
    uses = loader.Kernel.uses
    if forgotten:
        monkeypatch.setattr(loader.Kernel, "uses", lambda *arguments: uses(*arguments)._replace(**{forgotten: ()}))

    def function(x):  # of numbers alone: a wrong index in another function might lead anywhere
        return (((x * 2.0).exp().tanh() + 1.0) * x,)

    with emulation.active():
        first, second = (Tensor(np.linspace(-1, end, 50, dtype=np.float32)).cuda() for end in (1, 2))
        captured = Captured(function)
        captured(first)
        found, expected = captured(second)[0].numpy(), function(second)[0].numpy()
    assert np.array_equal(found, expected) == (forgotten is None)


def test_an_emulated_capture_must_end_in_the_stream_that_it_began_in():
    with emulation.active() as xp:
        stream, other = loader.stream(), loader.side_streams()[0]
        array = xp.asarray(np.zeros(3, np.float32))
        kernel = loader.compiled(xp, "copies.cu", "fill_elements", (("BYTES", 4),))
        layout = np.zeros(25, np.int32)
        stream.begin_capture()
        event = xp.cuda.Event()
        event.record(stream)
        with pytest.raises(emulation.CaptureError, match="not captured"), other:
            kernel((1, 1, 1), (32, 1, 1), 0, np.int32(3), layout, np.float32(1), array)
        other.wait_event(event)
        with other:
            kernel((1, 1, 1), (32, 1, 1), 0, np.int32(3), layout, np.float32(1), array)
        with pytest.raises(emulation.CaptureError, match="does not join"):
            stream.end_capture()
