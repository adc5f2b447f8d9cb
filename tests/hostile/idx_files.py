"""IDX files as a target, plain and compressed: images and labels of a data set, as MNIST's are."""

import gzip
import struct
import zlib

import numpy as np

from hostile.byte_mutants import ANY_FILE
from hostile.workers import Target
from minigan import data

COUNT = 10
# A prefix of the seed says in which file it is to be put.
NAMES = (
    "train-images-idx3-ubyte",
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte",
    "train-labels-idx1-ubyte.gz",
)
LENGTHS = (0, 1, 2, 9, 10, 11, 27, 29, 784, 60_000, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
HEADER = 16  # bytes of an IDX file of three dimensions, and of gzip with some of what follows


def prepare(folder):
    """A folder with the images, compressed; the seeds are images and labels, plain."""
    folder = folder / "images"
    folder.mkdir()
    images, labels = data.load_images("mnist")[:COUNT], data.load_labels("mnist")[:COUNT]
    path = folder / NAMES[1]
    seeds = [as_idx(array) for array in (images, labels)]
    path.write_bytes(gzip.compress(seeds[0], mtime=0))
    return path, seeds


def as_idx(array):
    """The bytes of an IDX file of a uint8 array."""
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def make(rng, seeds, number):
    """A mutant, and in front of it a byte with the number of the name that it is to have."""
    which = rng.randrange(2)
    content = seeds[which]
    kind, mutation, compressed = rng.choice(_KINDS)
    compressed = rng.random() < 0.5 if compressed is None else compressed
    if mutation in ANY_FILE:
        content = mutation(rng, gzip.compress(content, mtime=0) if compressed else content, range(HEADER))
    else:
        content = mutation(rng, content)
        if compressed and mutation not in _OF_GZIP:
            content = gzip.compress(content, mtime=0)
    return f"{kind}{', gz' if compressed else ''}", False, bytes([2 * which + compressed]) + content


def wrong_lengths(rng, content):
    """Lengths of dimensions are absurd; the rest is as it was."""
    lengths = list(_lengths(content))
    for _ in range(rng.choice((1, 1, 2, 3))):
        lengths[rng.randrange(len(lengths))] = rng.choice(LENGTHS)
    return _with_lengths(content, lengths)


def wrong_dimensions(rng, content):
    """More or fewer dimensions, with as many lengths as the header says, or as before."""
    count = rng.choice((0, 1, 2, 4, 5, 8, 127, 255))
    if rng.random() < 0.3:
        return content[:3] + bytes([count]) + content[4:]
    lengths = [rng.choice((*LENGTHS, COUNT, 28, 28)) for _ in range(count)]
    return _with_lengths(content, lengths)


def wrong_type(rng, content):
    """Another type of element, or other first bytes."""
    place = rng.randrange(3)
    return content[:place] + bytes([rng.choice((0, 8, 9, 11, 12, 13, 14, 15, 255))]) + content[place + 1 :]


def _lengths(content):
    return struct.unpack(f">{content[3]}I", content[4 : 4 + 4 * content[3]])


def _with_lengths(content, lengths):
    head = struct.pack(f">{len(lengths)}I", *lengths)
    return content[:3] + bytes([len(lengths)]) + head + content[4 + 4 * content[3] :]


# Of a compressed file (RFC 1952).


def bomb(rng, content):
    """Much that compresses to little, with a header that says so, or not."""
    count = rng.choice((1 << 16, 1 << 20, 1 << 24, 1 << 28))
    head = rng.choice(
        (
            content[:HEADER],
            b"",
            _with_lengths(content[:16], (count // 784, 28, 28)),
            _with_lengths(content[:16], (count,)),
        )
    )
    packer = zlib.compressobj(9, wbits=31)
    block = bytes(1 << 16)
    return packer.compress(head) + b"".join(packer.compress(block) for _ in range(count >> 16)) + packer.flush()


def broken_header(rng, content):
    """Flags for fields that are not there, or that do not end; another method; reserved bits."""
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[rng.choice((0, 1, 2, 3, 3, 3, 8, 9))] = rng.choice((0, 2, 4, 8, 16, 31, 32, 128, 255))
    field = rng.choice((b"", b"\xff\xff", b"x" * 100_000, b"\0" * 100, b"\xff\xff" + b"x" * 70_000))
    return bytes(packed[:10]) + field + bytes(packed[10:])


def wrong_trailer(rng, content):
    """The sum or the length at the end is another."""
    packed = bytearray(gzip.compress(content, mtime=0))
    packed[-rng.randrange(1, 9)] ^= 1 << rng.randrange(8)
    return bytes(packed)


def members(rng, content):
    """Several members one after another, with zeros or other bytes between and behind them."""
    cuts = sorted(rng.choices(range(len(content)), k=rng.choice((1, 2, 10))))
    parts = [gzip.compress(content[a:b], mtime=0) for a, b in zip([0, *cuts], [*cuts, len(content)])]
    parts += rng.choice(([], [gzip.compress(b"")] * rng.choice((1, 1000)), [bytes(100)], [b"x" * 100], [parts[0]]))
    return rng.choice((b"", b"", b"", bytes(4))).join(parts)


def packed_twice(rng, content):
    """A compressed file, compressed."""
    return gzip.compress(gzip.compress(content, mtime=0), mtime=0)


_OF_GZIP = (bomb, broken_header, wrong_trailer, members, packed_twice)
_KINDS = (
    *((mutation.__name__, mutation, None) for mutation in (*ANY_FILE, wrong_lengths, wrong_lengths, wrong_dimensions, wrong_type)),
    *((mutation.__name__, mutation, True) for mutation in _OF_GZIP),
)  # fmt: skip


def put(path, content):
    """The mutant under the name that its first byte says."""
    path.unlink()
    path = path.with_name(NAMES[content[0]])
    path.write_bytes(content[1:])
    return path


def read(path):
    """Images or labels."""
    (data.load_labels if "labels" in path.name else data.load_images)(path.parent)


TARGET = Target("idx", prepare, make, put, (read,), 0, data.most_unpacked)
