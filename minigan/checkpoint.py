"""A training run's whole state in one file: a pickle that no reader needs to trust.

It holds plain containers, numbers, strings and bytes only; an array is its dtype's name, its shape
and its bytes. So no opcode that imports or calls is ever needed, and the reader admits none: it
walks over the opcodes first, and loads the pickle only if every one of them is harmless.
"""

import contextlib
import os
import pickle
import pickletools
from pathlib import Path

import numpy as np

from minigan import backend
from minigan.errors import UserError

FORMAT = "minigan checkpoint"
VERSION = 1
ARRAY_DTYPES = {"float32", "float64", "int64", "uint8"}
MOST_BYTES = 1 << 31
MOST_OPCODES = 200_000  # a run's state takes some thousand; a hostile file could ask for hours of reading

# What pickle.dumps(protocol=4) writes for the containers and values above. MEMOIZE numbers its
# entries by counting; the opcodes that name a memo index themselves (PUT) could ask for gigabytes.
HARMLESS = {
    "PROTO", "FRAME", "STOP", "MEMOIZE", "BINGET", "LONG_BINGET", "MARK", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES",
    "BINBYTES", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_TUPLE", "TUPLE",
    "TUPLE1", "TUPLE2", "TUPLE3",
}  # fmt: skip


def pack(value):
    """The value with every array in it replaced by a dict of its dtype's name, shape and bytes."""
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    array = np.ascontiguousarray(backend.to_numpy(value))
    return {"dtype": array.dtype.name, "shape": list(np.shape(value)), "bytes": array.tobytes()}


def unpack(value, most_bytes=MOST_BYTES):
    """The inverse of `pack` (tuples come back as lists). Raises UserError for an array that does not fit its bytes.

    most_bytes: of all arrays together; a pickle can name the same bytes a thousand times.
    """
    # A file can nest deeper than Python recurses: the walk keeps its own stack.
    result = [value]
    todo, seen = [(result, 0)], set()
    while todo:
        container, key = todo.pop()
        item = container[key]
        if isinstance(item, (dict, list)):
            if id(item) in seen:
                raise UserError("the checkpoint is damaged: it contains a part of itself twice")
            seen.add(id(item))
        if isinstance(item, dict):
            if set(item) == {"dtype", "shape", "bytes"}:
                container[key] = _array(item)
                most_bytes -= container[key].nbytes
                if most_bytes < 0:
                    raise UserError("the checkpoint is damaged: its arrays are larger than the file")
            else:
                todo += [(item, name) for name in item]
        elif isinstance(item, list):
            todo += [(item, position) for position in range(len(item))]
        elif isinstance(item, tuple):
            raise UserError("the checkpoint is damaged: it contains a tuple")
    return result[0]


def _array(item):
    name, shape, content = item["dtype"], item["shape"], item["bytes"]
    fits = (
        isinstance(name, str) and name in ARRAY_DTYPES and isinstance(content, bytes) and isinstance(shape, list)
        and len(shape) <= 8 and all(type(n) is int and 0 < n < 2**31 for n in shape)
    )  # fmt: skip
    if fits:
        size = np.dtype(name).itemsize
        for length in shape:
            size *= length
        fits = size == len(content)
    if not fits:
        raise UserError("the checkpoint is damaged: an array does not fit its bytes")
    return np.frombuffer(content, name).reshape(shape).copy()


def save(path, state):
    """Writes the state so that `path` holds the old file or the new one, whole, whenever the process dies."""
    content = pickle.dumps(pack({"format": FORMAT, "version": VERSION, **state}), protocol=4)
    write_atomically(path, content)


def write_atomically(path, content):
    """Bytes to a temporary file beside `path`, synced to the disk, then renamed over it."""
    path = Path(path)
    temporary = path.with_name(f"{path.name}.tmp")  # one name: what a killed process left is overwritten
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the rename, too, must be on the disk
    finally:
        os.close(folder)


def load(path):
    """The state that `save` wrote. Raises UserError for a file that is anything else; runs no code of it."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # reading a device or a pipe might never end
            raise UserError(f"cannot read the checkpoint {path}: it is not a file")
        if path.stat().st_size > MOST_BYTES:
            raise UserError(f"{path} is larger than any checkpoint ({MOST_BYTES >> 30} GiB)")
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read the checkpoint {path}: {error.strerror}") from None
    _check_opcodes(content, path)
    try:
        state = pickle.loads(content)
    except Exception as error:  # whatever a broken pickle raises, the user gets one line
        raise UserError(f"{path} is damaged: {type(error).__name__} while reading it") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise UserError(f"{path} is no checkpoint of minigan")
    if state.get("version") != VERSION:
        raise UserError(f"{path} is of format version {state.get('version')!r}; this minigan reads {VERSION}")
    return unpack(state, len(content))


def _check_opcodes(content, path):
    """Raises UserError unless the whole file is one pickle of harmless opcodes."""
    stopped = None
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(content)):
            if opcode.name not in HARMLESS:
                raise UserError(
                    f"{path} is refused: opcode {opcode.name} at byte {position} has no place in a checkpoint"
                )
            if count > MOST_OPCODES:
                raise UserError(f"{path} is refused: more than {MOST_OPCODES} opcodes")
            # A frame announces bytes that follow; the unpickler would reserve them unseen.
            if opcode.name == "FRAME" and argument > len(content) - position - 9:
                raise UserError(f"{path} is truncated")
            stopped = position if opcode.name == "STOP" else None
    except UserError:
        raise
    except Exception:  # genops raises ValueError, but also others on damaged text
        raise UserError(f"{path} is truncated, or no checkpoint of minigan") from None
    if stopped != len(content) - 1:
        raise UserError(f"{path} is refused: bytes follow the end of the pickle")
