"""Mutations of bytes: of any file, and of a pickle, opcode by opcode. Each takes a random.Random and the bytes."""

import struct

from hostile.assembler import (
    boundaries,
    call,
    laughs,
    long1,
    memo_length,
    name,
    nested,
    opcodes,
    proto,
    spine,
    stack_name,
    text,
)

INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)
HUGE = (0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, 1 << 62, (1 << 63) - 1, (1 << 64) - 1)


def flip_bits(rng, content, places=None):
    """One to eight bits are turned over."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[_place(rng, changed, places)] ^= 1 << rng.randrange(8)
    return bytes(changed)


def set_bytes(rng, content, places=None):
    """Some bytes in a row get other values."""
    changed = bytearray(content)
    start = _place(rng, changed, places)
    for place in range(start, min(len(changed), start + rng.choice((1, 2, 4, 8)))):
        changed[place] = rng.choice((*INTERESTING, rng.randrange(256)))
    return bytes(changed)


def truncate(rng, content, places=None):
    """The end is missing."""
    return content[: _place(rng, content, places)]


def insert(rng, content, places=None):
    """Bytes are put in between."""
    place = _place(rng, content, places)
    return content[:place] + rng.randbytes(rng.choice((1, 2, 4, 16, 256))) + content[place:]


def remove(rng, content, places=None):
    """Bytes are missing in between."""
    place = _place(rng, content, places)
    return content[:place] + content[place + rng.choice((1, 2, 4, 16, 256)) :]


def repeat(rng, content, places=None):
    """A part is there several times."""
    place = _place(rng, content, places)
    part = content[place : place + rng.choice((1, 4, 64, 1024))]
    return content[:place] + part * rng.choice((2, 3, 100)) + content[place:]


def garbage(rng, content, places=None):
    """Nothing but random bytes, or the first bytes and then random ones."""
    return content[: rng.choice((0, 2, 4, 16))] + rng.randbytes(rng.randrange(1, 2000))


ANY_FILE = (flip_bits, set_bytes, truncate, insert, remove, repeat, garbage)


def _place(rng, content, places):
    """A position, mostly one of the places given."""
    if not content:
        return 0
    if places and rng.random() < 0.9:
        return min(rng.choice(places), len(content) - 1)
    return rng.randrange(len(content))


# Of a pickle.


def on_the_spine(mutation):
    """A mutation of any file, where it meets opcodes and short arguments rather than the contents of arrays."""

    def mutated(rng, content):
        return mutation(rng, content, spine(content))

    return mutated


def swap(rng, content):
    """Two opcodes have changed places."""
    ends = boundaries(content)
    first, second = sorted(rng.sample(range(len(ends) - 1), 2))
    a, b, c, d = ends[first], ends[first + 1], ends[second], ends[second + 1]
    return content[:a] + content[c:d] + content[b:c] + content[a:b] + content[d:]


def transplant(rng, content):
    """A row of opcodes stands somewhere else, too."""
    ends = boundaries(content)
    start = rng.randrange(len(ends) - 1)
    row = content[ends[start] : ends[min(len(ends) - 1, start + rng.choice((1, 2, 5, 20)))]]
    return _spliced(rng, content, row[:4096] * rng.choice((1, 1, 50)))


def executing(rng, content):
    """Opcodes that can import or call, and their operands, are put in between."""
    return _spliced(rng, content, rng.choice(_EXECUTING)(rng))


def _spliced(rng, content, push):
    place = rng.choice(boundaries(content))
    return content[:place] + push + content[place:]


_NAMES = (
    ("hostile.canary", "sing"),
    ("hostile.canary", "Bird"),
    ("os", "system"),
    ("builtins", "eval"),
    ("no.such", "thing"),
)
_EXECUTING = (
    lambda rng: name(*rng.choice(_NAMES)),
    lambda rng: stack_name(*rng.choice(_NAMES)),
    lambda rng: b"\x93",
    lambda rng: b"(i" + "\n".join(rng.choice(_NAMES)).encode() + b"\n",
    lambda rng: b"(" + name("hostile.canary", "sing") + b"o",
    lambda rng: call(name("hostile.canary", "sing"), text("x")),
    lambda rng: b"R",
    lambda rng: name("hostile.canary", "Bird") + b")\x81",
    lambda rng: name("hostile.canary", "Bird") + b")}\x92",
    lambda rng: b"\x81",
    lambda rng: b"\x92",
    lambda rng: name("hostile.canary", "Bird") + b")\x81}b",
    lambda rng: b"}b",
    lambda rng: b"b",
    lambda rng: b"\x82" + rng.randbytes(1),
    lambda rng: b"\x83" + rng.randbytes(2),
    lambda rng: b"\x84" + rng.randbytes(4),
    lambda rng: b"Pname\n",
    lambda rng: text("name") + b"Q",
    lambda rng: b"\x97",
    lambda rng: b"\x98",
    lambda rng: bytes([rng.randrange(256)]),  # whatever opcode that is
)


def huge_argument(rng, content):
    """An opcode with an absurd size or memo place is put in between."""
    size = rng.choice(HUGE)
    four, eight = struct.pack("<I", size & 0xFFFFFFFF), struct.pack("<Q", size)
    push = rng.choice((
        b"\x8b" + four, b"B" + four, b"X" + four, b"T" + four, b"\x8e" + eight, b"\x8d" + eight, b"\x96" + eight, b"\x95" + eight,
        b"Nr" + four, b"j" + four, b"Np%d\n" % size, b"g%d\n" % size, b"\x8a\xff" + rng.randbytes(255), b"C\xff", b"\x8c\xff",
        b"U\xff", b"I%d\n" % size, b"L%dL\n" % size, long1(size), long1(-size),
    ))  # fmt: skip
    return _spliced(rng, content, push)


def wrong_length(rng, content):
    """The length in front of a string, a frame or an integer is another."""
    sized = {"BINBYTES": 4, "BINUNICODE": 4, "FRAME": 8, "SHORT_BINBYTES": 1, "SHORT_BINUNICODE": 1, "LONG1": 1}
    found = [(at, sized[code]) for code, at in opcodes(content) if code in sized]
    at, width = rng.choice(found)
    old = int.from_bytes(content[at + 1 : at + 1 + width], "little")
    new = rng.choice((old + 1, old - 1, old * 2, old // 2, 0, rng.choice(HUGE))) % (1 << 8 * width)
    return content[: at + 1] + new.to_bytes(width, "little") + content[at + 1 + width :]


def frames(rng, content):
    """Frames in frames, and frames that end anywhere."""
    for _ in range(rng.choice((1, 2, 5))):
        content = content[: (place := rng.choice(boundaries(content)))] + (
            b"\x95" + struct.pack("<Q", rng.choice((0, 1, 7, len(content), len(content) - place)))
        ) + content[place:]  # fmt: skip
    return content


def structure(rng, content):
    """Nested, recursive, laughing, colliding values are put in place of one of the pickle's values."""
    depth = rng.choice((10, 100, 1000, 10_000, 60_000))
    width = rng.choice((10, 1000, 30_000))
    memo = memo_length(content)
    mersenne = 2**61 - 1
    push = rng.choice((
        lambda: nested(depth), lambda: b"}N" * depth + b"}" + b"s" * depth, lambda: b")" + b"\x85" * depth,
        lambda: b"})" + b"\x85" * depth + b"Ns", lambda: laughs(rng.choice((3, 30, 100)), memo),
        lambda: b"]\x94j" + struct.pack("<I", memo) + b"a", lambda: b"}\x94" + text("x") + b"j" + struct.pack("<I", memo) + b"s",
        lambda: b"](" + b"N" * width + b"e", lambda: b"](" + b"}" * width + b"e", lambda: b"](" + b"]" * width + b"e",
        lambda: b"}(" + b"".join(long1(mersenne * n) + b"N" for n in range(1, width)) + b"u",
        lambda: b"}(" + b"".join(long1(n << 40) + b"N" for n in range(1, width)) + b"u",
        lambda: b"}(" + b"".join(b"G" + struct.pack(">d", 2.0 ** (n % 1000)) + b"N" for n in range(width)) + b"u",
        lambda: b"](" + text("x" * width) + text("") * width + b"e",
        lambda: b"j" + struct.pack("<I", rng.randrange(memo + 2)), lambda: b"(" * depth,
        lambda: proto() + b"N.", lambda: b"C" + bytes([4]) + proto() + b"N.", lambda: b"K\x01(\x85t",
    ))()  # fmt: skip
    ends = boundaries(content)
    if rng.random() < 0.3:
        return _spliced(rng, content, push)
    # In the place of a value that is one opcode: a number, a string, nothing.
    values = [
        number for number, (code, _) in enumerate(opcodes(content))
        if code in ("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE", "SHORT_BINUNICODE", "BINBYTES", "EMPTY_DICT")
    ]  # fmt: skip
    number = rng.choice(values)
    return content[: ends[number]] + push + content[ends[number + 1] :]


OF_A_PICKLE = (
    *((mutation.__name__, on_the_spine(mutation)) for mutation in ANY_FILE),
    *((mutation.__name__, mutation) for mutation in (swap, transplant, executing, executing, huge_argument, wrong_length, frames, structure, structure)),
)  # fmt: skip
