"""Which launches of a recorded graph must wait for which, so that the others may run side by side.

Two launches may run in either order, or at once, if neither writes what the other reads or writes (Bernstein,
"Analysis of programs for parallel processing", 1966). What a launch reads and writes is what its pointers lead to,
`const` ones and the others; memory that is used again inside a graph counts, too, as addresses are compared.
"""

from typing import NamedTuple


class Uses(NamedTuple):
    """The memory of a launch: addresses (begin, end) in bytes, the end excluded."""

    reads: tuple
    writes: tuple


def waits(uses):
    """For each launch, in their order, the earlier ones it must wait for: no more than say all the rest (a list each)."""
    before = []  # for each launch, a bit for every launch that is done before it begins
    found = []
    for number, use in enumerate(uses):
        known, direct = 0, []
        for earlier in reversed(range(number)):
            if not known >> earlier & 1 and _conflict(uses[earlier], use):
                direct.append(earlier)
                known |= before[earlier] | 1 << earlier
        before.append(known)
        found.append(direct)
    return found


def _conflict(first, second):
    """Whether the order of two launches matters."""
    return (
        _overlap(first.writes, second.writes)
        or _overlap(first.writes, second.reads)
        or _overlap(first.reads, second.writes)
    )


def _overlap(some, others):
    return any(begin < other_end and other_begin < end for begin, end in some for other_begin, other_end in others)


def queues(waits, width):
    """For each launch the number, below `width`, of the queue it goes to, where it follows the launch put there before.

    Following one that it need not wait for is avoided, while there are queues: a launch follows one that it waits for, or
    one that is done by then, or begins a queue.
    """
    before, last, chosen = [], [], []  # `last`: of each queue begun, the launch put there last
    for number, direct in enumerate(waits):
        known = 0
        for earlier in direct:
            known |= before[earlier] | 1 << earlier
        done = [queue for queue, tail in enumerate(last) if known >> tail & 1]
        following = [queue for queue in done if last[queue] in direct]
        if following or done:
            queue = max(following or done, key=last.__getitem__)
        elif len(last) < width:
            queue = len(last)
            last.append(number)
        else:
            queue = min(range(width), key=last.__getitem__)
            known |= before[last[queue]] | 1 << last[queue]
        last[queue] = number
        before.append(known)
        chosen.append(queue)
    return chosen
