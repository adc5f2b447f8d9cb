"""A training run's whole state in one file: a pickle that no reader needs to trust.

It holds plain containers, numbers, strings and bytes only; an array is its dtype's name, its shape
and its bytes. So no opcode that imports or calls is ever needed, and the reader admits none: it
walks over the opcodes first, and loads the pickle only if every one of them is harmless. The last
entry is a SHA-256 of all before it, so that a file damaged on the disk or on its way is noticed.
"""

import contextlib
import hashlib
import os
import pickle
import pickletools
import re
import sys
from pathlib import Path

import numpy as np

from minigan import backend, files
from minigan.errors import UserError

NAME = "checkpoint.pkl"  # of the newest one in a run's folder
FORMAT = "minigan checkpoint"
VERSION = 2
WITHOUT_CHECKSUM = 1  # the version before; still read
ARRAY_DTYPES = {"float32", "float64", "int64", "uint8"}
MOST_BYTES = 1 << 31
MOST_OPCODES = 200_000  # a run's state takes some thousand; a hostile file could ask for hours of reading
INTEGERS = range(-(2**63), 2**64)  # room for a seed; larger ones can be chosen to collide as keys of a dict

# How a checkpoint ends: a string of 32 bytes, its entry in the memo, its place in the dict, the end.
SEAL, DIGEST_BYTES, END = b"C\x20", 32, b"\x94u."

# What pickle.dumps(protocol=4) writes for the containers and values above. MEMOIZE numbers its
# entries by counting; the opcodes that name a memo index themselves (PUT) could ask for gigabytes.
HARMLESS = {
    "PROTO", "FRAME", "STOP", "MEMOIZE", "BINGET", "LONG_BINGET", "MARK", "NONE", "NEWTRUE", "NEWFALSE",
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES",
    "BINBYTES", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS",
}  # fmt: skip


class DamagedError(UserError):
    """A file that is no whole checkpoint: another one, saved earlier, may still be good."""


def pack(value):
    """The value with every array in it replaced by a dict of its dtype's name, shape and bytes."""
    if isinstance(value, dict):
        return {key: pack(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [pack(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    array = backend.to_numpy(value)
    return {"dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.tobytes()}


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
                raise DamagedError("the checkpoint is damaged: it contains a part of itself twice")
            seen.add(id(item))
        if isinstance(item, dict):
            if set(item) == {"dtype", "shape", "bytes"}:
                container[key] = _array(item)
                most_bytes -= container[key].nbytes
                if most_bytes < 0:
                    raise DamagedError("the checkpoint is damaged: its arrays are larger than the file")
            else:
                todo += [(item, name) for name in item]
        elif isinstance(item, list):
            # np.asarray gives every text of a list the room of the longest: one long text among many short ones is a
            # bomb.
            if any(isinstance(value, (str, bytes)) for value in item):
                raise DamagedError("the checkpoint is damaged: it contains a list of texts")
            todo += [(item, position) for position in range(len(item))]
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
        raise DamagedError("the checkpoint is damaged: an array does not fit its bytes")
    return np.frombuffer(content, name).reshape(shape).copy()


def save(path, state, keep=1):
    """Writes the state so that `path` holds the old file or the new one, whole, whenever the process dies.

    keep: how many checkpoints there are at most, this one included; see `older`.
    Raises OSError where it cannot be written; then `path` is as it was.
    """
    packed = {name: pack(part) for name, part in {"format": FORMAT, "version": VERSION, **state}.items()}
    content = sealed(pickle.dumps({**packed, "sha256": bytes(DIGEST_BYTES)}, protocol=4))
    files.write_atomically(path, content, lambda: _make_room(Path(path), keep))


def path_in(run):
    """The path of the newest checkpoint of a run, named by its folder or by the file itself."""
    run = Path(run)
    return run / NAME if run.is_dir() else run


def older(path, age):
    """The path of the checkpoint saved `age` saves before the newest: checkpoint.1.pkl for checkpoint.pkl and age 1."""
    path = Path(path)
    return path.with_name(f"{path.stem}.{age}{path.suffix}") if age else path


def kept(path):
    """The ages of the older checkpoints that are there, the newest first."""
    path = Path(path)
    names = re.compile(re.escape(path.stem) + r"\.([1-9][0-9]{0,8})" + re.escape(path.suffix))
    return sorted(int(match[1]) for name in os.listdir(path.parent) if (match := names.fullmatch(name)))


def _make_room(path, keep):
    """Renames each checkpoint to one older, and gives the newest a second name, so that it is never missing."""
    for age in reversed(kept(path)):
        if age + 1 < keep:
            older(path, age).replace(older(path, age + 1))
        else:
            older(path, age).unlink()
    if keep > 1 and path.exists():
        try:
            older(path, 1).hardlink_to(path)
        except OSError:  # a file system without links
            files.write_atomically(older(path, 1), path.read_bytes())


def replace_damaged(path, good):
    """Puts `good`, a checkpoint kept from before, in the place of the damaged `path`, which becomes NAME.damaged.pkl."""
    path = Path(path)
    if path.exists():
        path.replace(path.with_name(f"{path.stem}.damaged{path.suffix}"))
    Path(good).replace(path)
    files.sync_folder(path.parent)


def sealed(content):
    """The bytes of a checkpoint with the checksum that belongs to them. Raises ValueError where there is no place for it."""
    start = len(content) - len(END) - DIGEST_BYTES
    if start < len(SEAL) or content[start - len(SEAL) : start] != SEAL or not content.endswith(END):
        raise ValueError("these bytes do not end in a checksum")
    return content[:start] + hashlib.sha256(memoryview(content)[:start]).digest() + END


def _is_sealed(content):
    try:
        return sealed(content) == content
    except ValueError:
        return False


def load(path):
    """The state that `save` wrote. Raises UserError for a file that is anything else; runs no code of it.

    Where the file is not whole, or not there, that is a DamagedError.
    """
    try:
        content = files.read(path, "checkpoint", MOST_BYTES)
    except UserError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise DamagedError(str(error)) from None
        raise
    _check_opcodes(content, path)
    try:
        state = pickle.loads(content)
    except Exception as error:  # whatever a broken pickle raises, the user gets one line
        raise DamagedError(f"{path} is damaged: {type(error).__name__} while reading it") from None
    if not isinstance(state, dict) or state.get("format") != FORMAT:
        raise DamagedError(f"{path} is no checkpoint of minigan")
    version = state.get("version")
    if type(version) is not int:  # a list could be deeper, and its text longer, than anything can be made of
        raise DamagedError(f"{path} is damaged: its format version is no number")
    if version not in (VERSION, WITHOUT_CHECKSUM):
        raise UserError(f"{path} is of format version {version}; this minigan reads {VERSION}")
    if version == VERSION and not _is_sealed(content):
        raise DamagedError(f"{path} is damaged: its checksum does not fit")
    state.pop("sha256", None)
    return unpack(state, len(content))


def load_newest(path):
    """(the state in `path`, path); or, where that is damaged or missing, those of the newest good one kept from before.

    That an older one is taken is said on standard error. Raises the UserError of `path` where there is no good one.
    """
    path = Path(path)
    try:
        return load(path), path
    except DamagedError as error:
        for age in kept(path) if path.parent.is_dir() else ():
            with contextlib.suppress(DamagedError):
                state = load(older(path, age))
                print(f"minigan: {error}; taking the one kept from before it, {older(path, age)}", file=sys.stderr)
                return state, older(path, age)
        raise


def _check_opcodes(content, path):
    """Raises DamagedError unless the whole file is one pickle of harmless opcodes."""
    stopped = None
    try:
        for count, (opcode, argument, position) in enumerate(pickletools.genops(content)):
            if opcode.name not in HARMLESS:
                raise DamagedError(
                    f"{path} is refused: opcode {opcode.name} at byte {position} has no place in a checkpoint"
                )
            if count > MOST_OPCODES:
                raise DamagedError(f"{path} is refused: more than {MOST_OPCODES} opcodes")
            # A frame announces bytes that follow; the unpickler would reserve them unseen.
            if opcode.name == "FRAME" and int(argument) > len(content) - int(position) - 9:
                raise DamagedError(f"{path} is truncated")
            if opcode.name == "LONG1" and argument not in INTEGERS:
                raise DamagedError(f"{path} is refused: an integer of {content[int(position) + 1]} bytes")
            stopped = position if opcode.name == "STOP" else None
    except UserError:
        raise
    except Exception:  # genops raises ValueError, but also others on damaged text
        raise DamagedError(f"{path} is truncated, or no checkpoint of minigan") from None
    if stopped != len(content) - 1:
        raise DamagedError(f"{path} is refused: bytes follow the end of the pickle")
