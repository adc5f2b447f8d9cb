"""Pickles written opcode by opcode, as attackers write them and as pickle.dumps never would.

The opcodes and their arguments are those of CPython's Lib/pickletools.py.
"""

import contextlib
import functools
import pickle
import pickletools
import struct


def proto(version=4):
    """PROTO."""
    return b"\x80" + bytes([version])


def name(module, attribute):
    """GLOBAL: the text form of an import."""
    return f"c{module}\n{attribute}\n".encode()


def stack_name(module, attribute):
    """STACK_GLOBAL: an import of two strings on the stack."""
    return text(module) + text(attribute) + b"\x93"


def text(value):
    """SHORT_BINUNICODE or BINUNICODE."""
    content = value.encode("utf-8", "surrogatepass")
    return (
        b"\x8c" + bytes([len(content)]) + content
        if len(content) < 256
        else b"X" + struct.pack("<I", len(content)) + content
    )


def long1(value):
    """LONG1, whatever a smaller opcode would do."""
    content = pickle.encode_long(value)
    return b"\x8a" + bytes([len(content)]) + content


def call(function, *arguments):
    """MARK, arguments, TUPLE, REDUCE: the function, pushed by `function`, is called."""
    return function + b"(" + b"".join(arguments) + b"tR"


def dict_of(*entries):
    """A dict of (key, bytes that push the value)."""
    return b"}(" + b"".join(text(key) + value for key, value in entries) + b"u"


def nested(depth, opener=b"]", closer=b"a"):
    """A list in a list in a list: two bytes a level."""
    return opener * depth + closer * (depth - 1)


def laughs(levels, first_memo):
    """A list of two references to a list of two references to ...: 2 to the power of `levels` values in a few bytes.

    As the "billion laughs" of XML. Each list goes into the memo, from the place `first_memo` on; no POP is needed,
    since all of them are in one more list.
    """
    made = b"](]\x94"
    for level in range(levels):
        place = b"j" + struct.pack("<I", first_memo + level)
        made += b"]\x94(" + place + place + b"e"
    return made + b"e"


@functools.lru_cache(maxsize=8)
def opcodes(content):
    """[(name, position)] of a pickle's opcodes, as far as they can be read."""
    found = []
    with contextlib.suppress(Exception):  # it may lack its end
        for opcode, _, position in pickletools.genops(content):
            found.append((opcode.name, position))
    return found


def memo_length(content):
    """How many MEMOIZE a pickle has: the next one's place in the memo."""
    return sum(opcode == "MEMOIZE" for opcode, _ in opcodes(content))


def boundaries(content):
    """Where the opcodes of a pickle begin, and where it ends."""
    return [position for _, position in opcodes(content)] + [len(content)]


def spine(content):
    """The positions of all bytes of a good pickle but the contents of long strings of bytes, which are mere numbers."""
    positions, ends = [], boundaries(content)
    for begin, end in zip(ends, ends[1:]):
        positions += range(begin, min(end, begin + 40))
    return positions
