"""Weights in the files of other tools: safetensors, and NumPy's .npz.

Names and layouts are those of `state_dict()`, which are PyTorch's: either side loads the other's file as it is. A file
may come from a stranger. Its readers run no code, and what they take of memory is bounded by its size: a few bytes of
a zip file can ask for gigabytes, and so can the header of an array.
(Formats: safetensors of Hugging Face, version 1; NumPy's NEP 1; PKWARE's APPNOTE for zip.)
"""

import importlib
import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np

from minigan import backend, files
from minigan.errors import UserError

LARGEST_FILE = 2 << 30  # bytes
MOST_ARRAYS = 10_000  # each takes memory of its own, however short its entry in the file is
LARGEST_HEADER = 1 << 20  # bytes, of a safetensors file: it is read as a whole

# What the arrays of a .npz file may take of memory, where deflate would admit 1000 times the file's size. Trained
# weights hardly shrink; but a network's zeros, fresh from its initialisation, do.
MOST_EXPANSION, ALWAYS_ADMITTED = 16, 16 << 20

DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip


class _Unfit(ValueError):
    """A file holds something else than arrays of numbers; the message says what."""


def read_weights(path):
    """{name: array} of a .safetensors or .npz file, for `Module.load_state_dict`.

    The arrays have the dtypes of the file: floats of 16, 32 or 64 bits, integers, booleans. bfloat16, which NumPy has
    not, becomes float32, without loss. Raises UserError for other dtypes; for a file that is of neither format,
    damaged, larger than 2 GiB, or that unpacks to more than 16 times its size and 16 MiB; where safetensors is not
    installed.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise UserError(
            f"cannot read weights from {path}: its name must end in {' or '.join(READERS)} "
            "(in PyTorch, safetensors.torch.save_file(model.state_dict(), path) writes one)"
        )
    content = files.read(path, "weights", LARGEST_FILE)
    try:
        return READERS[path.suffix](content)
    except UserError:
        raise
    except _Unfit as error:
        raise UserError(f"{path} {error}") from None
    except Exception as error:  # whatever a damaged file raises, the user gets one line
        why = ascii(f"{type(error).__name__}: {error}")[1:-1]
        raise UserError(f"{path} is damaged, or no {path.suffix} file ({why:.200})") from None


def safetensors_content(arrays, metadata):
    """The bytes of a safetensors file of {name: array}; metadata, {name: text}, is in its header.

    Raises UserError where safetensors is not installed.
    """
    in_order = {name: np.array(backend.to_numpy(array), order="C") for name, array in arrays.items()}
    content = library("safetensors.numpy").save(in_order, metadata)
    # The library writes metadata in another order each time; the same weights shall give the same file.
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.dumps({**json.loads(content[8:start]), "__metadata__": metadata}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # aligns the numbers that follow
    return len(header).to_bytes(8, "little") + header + content[start:]


def npz_content(arrays, metadata):
    """The bytes of an .npz file of {name: array}; metadata, {name: text}, is the zip file's comment, as JSON."""
    file = io.BytesIO()
    np.savez(file, **{name: backend.to_numpy(array) for name, array in arrays.items()})
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = json.dumps(metadata).encode()
    return file.getvalue()


def library(name):
    """A module of what the extra `export` installs, imported when asked for. Raises UserError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UserError(f"{name.partition('.')[0]} is not installed: pip install -e '.[export]'") from None


def _read_safetensors(content):
    if int.from_bytes(content[:8], "little") > LARGEST_HEADER:
        raise _Unfit(f"has a header of more than {LARGEST_HEADER >> 20} MiB, or is no .safetensors file")
    # The library checks that the arrays cover the file once, each with as many bytes as its shape asks for.
    return {name: _safetensors_array(name, entry) for name, entry in library("safetensors").deserialize(content)}


def _safetensors_array(name, entry):
    if entry["dtype"] == "BF16":  # the upper half of a float32
        halves = np.frombuffer(entry["data"], "<u2").astype(np.uint32)
        return (halves << 16).view(np.float32).reshape(entry["shape"])
    if entry["dtype"] not in DTYPES:
        raise _Unfit(f"holds {ascii(name):.100} as {entry['dtype']}: store it as float32")
    dtype = np.dtype(DTYPES[entry["dtype"]])
    return _native(np.frombuffer(entry["data"], dtype.newbyteorder("<")).reshape(entry["shape"]))


def _read_npz(content):
    if content.count(b"PK\1\2") > MOST_ARRAYS:  # what an entry of a zip file's directory begins with
        raise _Unfit(f"holds more than {MOST_ARRAYS} arrays")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > MOST_EXPANSION * len(content) + ALWAYS_ADMITTED:
            raise _Unfit("is refused: it would unpack to far more than its own size")
        arrays = {}
        for member in members:
            name = member.filename.removesuffix(".npy")
            if name == member.filename or name in arrays:
                raise _Unfit(
                    f"holds {ascii(member.filename):.100}{' twice' * (name in arrays)}: numpy.savez did not write it"
                )
            arrays[name] = _npz_array(archive, member)
        return arrays


def _npz_array(archive, member):
    """An array of the archive; its header is compared with its length before anything is reserved for it."""
    shown = f"{ascii(member.filename):.100}"
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # the others reserve what they are told
        raise _Unfit(f"holds {shown} in a compression that numpy.savez does not use")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise _Unfit(f"holds {shown} in a version that numpy.savez does not use for numbers")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        room = member.file_size - file.tell()
    if dtype.name not in DTYPES.values():
        raise _Unfit(f"holds {shown} as {ascii(str(dtype)):.100}: store it as float32")
    if math.prod(shape) * dtype.itemsize != room:  # Python integers: no overflow
        raise _Unfit(f"is damaged: {shown} has {room} bytes, not those of {ascii(shape):.200} in {dtype}")
    with archive.open(member) as file:
        return _native(np.lib.format.read_array(file, allow_pickle=False))


def _native(array):
    """The array in the byte order of this machine."""
    return array.astype(array.dtype.newbyteorder("="), copy=False)


READERS = {".safetensors": _read_safetensors, ".npz": _read_npz}
