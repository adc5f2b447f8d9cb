"""How long the blocks of a product of matrices take, roughly: what plans are chosen by.

A block takes its share of its multiprocessor's rate, and waits once to begin and once a step. The numbers were fitted,
on an H100 and some three thousand timings of the recipes' shapes, so that the plans chosen are the fastest ones (they
take 2 to 6 in a hundred longer, on average); they are means to that end, not measurements. Other GPUs get the same
choices, scaled to their number of multiprocessors.
"""

import math
from typing import NamedTuple

CLOCK = 1755.0  # cycles a microsecond
REGISTERS, MOST_THREADS, RESERVED_BYTES = 65536, 2048, 1024  # of a multiprocessor; of a block's shared memory
OTHER_REGISTERS = 64  # of a thread, besides its sums
ADDING = 1.8  # microseconds of the launch that adds up parts


class Waits(NamedTuple):
    """Microseconds: of the launches, of a block's beginning and end, of a step, of a megabyte that parts are added up from."""

    launch: float
    block: float
    step: float
    megabyte: float


class Work(NamedTuple):
    """Some equal blocks: how many, the depth of each, and the steps it is taken in."""

    blocks: int
    depth: int
    steps: int


def microseconds(tile, rate, works, splits, size, shared_bytes, waits, device):
    """The estimate. rate: products a cycle of a multiprocessor; size: numbers of the result, of which there are `splits`."""
    blocks = sum(work.blocks for work in works)
    products = sum(work.blocks * work.depth for work in works) * tile.rows * tile.columns / blocks
    waiting = waits.block + waits.step * sum(work.blocks * work.steps for work in works) / blocks
    at_once = _blocks_at_once(tile, shared_bytes, device)
    each = blocks / device.multiprocessors
    taken = math.ceil(each) * products / (rate * CLOCK) + math.ceil(each / at_once) * waiting
    adding = waits.megabyte * (splits + 1) * size * 4 / 1e6 + ADDING if splits > 1 else 0.0
    return waits.launch + taken + adding


def split_counts(blocks, most, device):
    """Into how many parts the depth may be cut, so that the blocks fill the multiprocessors one to three times."""
    return sorted(
        {1} | {max(1, min(most, round(fill * device.multiprocessors / blocks))) for fill in (0.75, 1, 1.5, 2, 3)}
    )


def _blocks_at_once(tile, shared_bytes, device):
    registers = min(255, tile.sums + OTHER_REGISTERS) * tile.threads
    by_memory = (device.shared_bytes + RESERVED_BYTES) // (shared_bytes + RESERVED_BYTES)
    return max(1, min(by_memory, REGISTERS // registers, MOST_THREADS // tile.threads))
