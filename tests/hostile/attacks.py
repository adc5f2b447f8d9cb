"""A corpus of known attacks by pickles, built by code: (name, bytes) of files that a reader of checkpoints must refuse.

Where a technique is known from a write-up, a comment names it: "Sour Pickles" (Slaviero, Black Hat 2011); fickling
(Trail of Bits, "Never a dill moment", 2021); "Sleepy Pickle" (Trail of Bits, 2024); picklescan and its advisories
(CVE-2025-1716, CVE-2025-1889, CVE-2025-1944, CVE-2025-1945, CVE-2025-10155 to 10157, GHSA lists of functions that it did
not know); "nullifAI" (ReversingLabs, 2025); "PickleBall" (2025). What the payloads would do is harmless: `true`, or a
call of the canary.
"""

import bz2
import collections
import functools
import gzip
import io
import lzma
import operator
import pickle
import struct
import tarfile
import zipfile
import zlib

import numpy as np

from hostile import canary
from hostile.assembler import call, dict_of, laughs, long1, name, nested, proto, stack_name, text
from minigan import checkpoint

TRUE = text("true")
SING = name("hostile.canary", "sing")
MERSENNE = 2**61 - 1  # CPython's hash of an int is its remainder by this: multiples of it all collide with 0

# Functions that run something. Most were once missing in a scanner's list of the dangerous ones.
FUNCTIONS = {
    "os system": [TRUE], "posix system": [TRUE], "nt system": [TRUE], "os popen": [TRUE], "os execv": [TRUE, b"]"],
    "subprocess Popen": [TRUE], "subprocess run": [TRUE], "subprocess check_output": [TRUE], "commands getoutput": [TRUE],
    "builtins eval": [text("1")], "builtins exec": [text("1")], "__builtin__ eval": [text("1")], "builtins compile": [text("1"), text("x"), text("eval")],
    "builtins __import__": [text("os")], "builtins getattr": [text("x"), text("upper")], "builtins open": [text("/dev/null"), text("w")],
    "builtins breakpoint": [], "builtins input": [], "builtins help": [],
    "importlib import_module": [text("os")], "importlib._bootstrap _gcd_import": [text("os")], "pkgutil resolve_name": [text("os:system")],
    "runpy run_path": [TRUE], "runpy _run_code": [text("1"), b"}"], "runpy run_module": [text("this")],
    "code InteractiveInterpreter": [], "code interact": [], "codeop compile_command": [text("1")],
    "pty spawn": [TRUE], "webbrowser open": [text("http://localhost:9")], "socket create_connection": [text("localhost")],
    "ctypes CDLL": [text("libc.so.6")], "ctypes.util find_library": [text("c")], "_ctypes dlopen": [text("libc.so.6")],
    "marshal loads": [b"C\x01N"], "types FunctionType": [b"N", b"}"], "types CodeType": [],
    "shutil rmtree": [text("/nowhere")], "pathlib Path.unlink": [text("/nowhere")], "tempfile mkdtemp": [],
    "urllib.request urlopen": [text("http://localhost:9")], "smtplib SMTP": [], "ssl get_server_certificate": [text("localhost")],
    "asyncio.unix_events _UnixSubprocessTransport._start": [], "multiprocessing.util spawnv_passfds": [],
    "timeit timeit": [text("1")], "cProfile run": [text("1")], "profile run": [text("1")], "pdb run": [text("1")], "bdb Bdb.run": [text("1")],
    "trace Trace.run": [text("1")], "doctest debug_script": [text("1")], "idlelib.run Executive": [], "lib2to3.pgen2.pgen ParserGenerator": [TRUE],
    "pip main": [b"]"], "ensurepip _run_pip": [b"]"], "venv create": [text("/nowhere")], "distutils.spawn spawn": [b"]"],
    "pickle loads": [b"C\x02N."], "_pickle loads": [b"C\x02N."], "dill loads": [b"C\x02N."], "shelve open": [text("/nowhere")],
    "operator methodcaller": [text("upper")], "operator attrgetter": [text("system")], "functools partial": [SING],
    "functools reduce": [SING, b"]"], "itertools starmap": [SING, b"]"], "builtins map": [SING, b"]"],
    "torch load": [text("x")], "torch.hub load": [text("x")], "torch._inductor.codecache _reload_python_module_in_subproc": [],
    "torch.serialization load": [text("x")], "torch.storage _load_from_bytes": [b"C\x02N."], "torch._utils _rebuild_tensor_v2": [],
    "numpy.testing._private.utils runstring": [text("1"), b"}"], "numpy.f2py.crackfortran getlincoef": [text("1"), b"}"],
    "numpy core.multiarray._reconstruct": [], "numpy._core.multiarray _reconstruct": [], "numpy load": [text("x")],
    "joblib numpy_pickle.load": [text("x")], "sympy sympify": [text("1")], "pandas.core.computation.eval eval": [text("1")],
    "copyreg _reconstructor": [], "copyreg add_extension": [text("os"), text("system"), b"K\x01"], "copyreg __newobj__": [],
    "sys modules": [], "sys exit": [], "os _exit": [b"K\x00"], "os abort": [], "faulthandler _sigsegv": [], "gc get_objects": [],
    "linecache getline": [text("/etc/passwd")], "logging.config listen": [], "uuid _get_command_stdout": [TRUE], "_osx_support _read_output": [TRUE],
    "aifc open": [text("x")], "_aix_support _read_cmd_output": [TRUE], "_pyrepl.pager pipe_pager": [TRUE], "hostile.canary sing": [text("x")],
}  # fmt: skip


class Reduced:
    """Becomes a call when it is unpickled."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


Pair = collections.namedtuple("Pair", "a b")


@functools.cache
def corpus():
    """All attacks: [(name, bytes)]."""
    return [*_calls(), *_opcodes(), *_evasions(), *_exhaustion(), *_other_formats(), *_objects()]


def in_a_checkpoint(push):
    """A checkpoint, with its checksum, in which the bytes `push` put one more value on the stack."""
    head = [("format", text(checkpoint.FORMAT)), ("version", b"K" + bytes([checkpoint.VERSION])), ("x", push)]
    return sealed(proto() + dict_of(*head)[:-1] + text("sha256") + ending())


def ending():
    """How a checkpoint ends, before its checksum is made."""
    return checkpoint.SEAL + bytes(checkpoint.DIGEST_BYTES) + checkpoint.END


def sealed(content):
    """The content with its checksum, or as it is where it has no place for one."""
    try:
        return checkpoint.sealed(content)
    except ValueError:
        return content


def _calls():
    for function, arguments in FUNCTIONS.items():
        module, attribute = function.split()
        yield f"{function}, GLOBAL and REDUCE", proto(2) + call(name(module, attribute), *arguments) + b"."
        yield (
            f"{function}, STACK_GLOBAL in a checkpoint",
            in_a_checkpoint(call(stack_name(module, attribute), *arguments)),
        )


def _opcodes():
    sing = b"hostile.canary\nsing\n"
    bird = name("hostile.canary", "Bird")
    yield "INST", b"(" + TRUE + b"i" + sing + b"."
    yield "OBJ", b"(" + SING + TRUE + b"o."
    yield "NEWOBJ", proto(2) + bird + b")\x81."
    yield "NEWOBJ_EX", proto() + bird + b")}\x92."
    yield "BUILD", proto(2) + bird + b")\x81}b."  # calls __setstate__
    yield "APPEND on an object", proto(2) + bird + b")\x81Na."  # calls append
    yield "APPENDS on an object", proto(2) + bird + b")\x81(NNe."
    yield "SETITEM on an object", proto(2) + bird + b")\x81NNs."  # calls __setitem__
    yield "SETITEMS on an object", proto(2) + bird + b")\x81(NNNNu."
    yield "GLOBAL alone", name("os", "system") + b"."  # importing runs a module
    yield "STACK_GLOBAL alone", proto() + stack_name("antigravity", "x") + b"."
    yield "STACK_GLOBAL of a dotted name", proto() + stack_name("os", "path.os.system") + b"."
    for code, size in ((b"\x82", 1), (b"\x83", 2), (b"\x84", 4)):  # the extension registry
        for number in (0, 1, 0x7F):
            yield f"EXT{size} {number}", proto(2) + code + number.to_bytes(size, "little") + b"."
    yield "EXT4 of -1", proto(2) + b"\x84\xff\xff\xff\xff."
    yield "PERSID", b"Pname\n."
    yield "BINPERSID", proto() + TRUE + b"Q."
    yield "NEXT_BUFFER", proto(5) + b"\x97."
    yield "READONLY_BUFFER", proto(5) + b"C\x01x\x98."
    yield "FROZENSET and ADDITEMS", proto() + b"\x8f(K\x01\x90(K\x01\x91\x86."
    for version in range(6):
        yield (
            f"protocol {version}, text opcodes",
            proto(version) + b"(dS'a'\nI1\nsS'b'\nL2L\nsS'c'\nF1.5\nsVd\n(lp0\ns.",
        )
        yield f"protocol {version}, a call", proto(version) + call(SING, TRUE) + b"."
    for version in (6, 127, 255):
        yield f"protocol {version}", proto(version) + b"}."
    yield "DUP", proto() + b"]2a."  # a list in itself
    yield "POP of nothing", proto() + b"0."
    yield "POP_MARK without a mark", proto() + b"N1."
    yield "stack underflow: TUPLE3", proto() + b"N\x87."
    yield "stack underflow: SETITEMS", proto() + b"u."
    yield "stack underflow: STOP", proto() + b"."
    yield "stack underflow past a mark", proto() + b"}(Ns."
    yield "a mark left over", proto() + b"((((N."
    yield "nothing but a mark", proto() + b"(."
    yield "memo: BINGET of nothing", proto() + b"h\x07."
    yield "memo: GET of nothing", b"g7\n."
    yield "memo: GET of a negative place", b"g-1\n."
    yield "memo: PUT at a negative place", b"Np-1\n."
    yield "memo: PUT at no number", b"Npx\n."
    yield "a list that contains itself", proto() + b"]\x94h\x00a."
    yield "a dict that contains itself", proto() + b"}\x94" + text("x") + b"h\x00s."
    yield "a tuple that contains itself", proto() + b"]\x94h\x00\x85\x94a0h\x01."
    yield "a list as a key", proto() + b"}]Ns."


def _evasions():
    """Files at which a scanner stops, or looks away, while an unpickler runs their beginning."""
    run = call(SING, TRUE)
    # nullifAI: the payload comes first, then the stream breaks.
    yield "a call, then a broken stream", proto(2) + run + b"\xff\xff\xff"
    yield "a call, then a truncated string", proto(2) + run + b"X\xff\xff\x00\x00abc"
    yield "a call without STOP", proto(2) + run
    yield "a call, then STOP, then more", proto(2) + run + b"." + bytes(8)
    # Sleepy Pickle, fickling's inject: the payload before or behind an untouched object.
    good = checkpoint_bytes()
    yield "a call before a good checkpoint", proto() + run + b"0" + good[2:]
    yield "a call before STOP of a good checkpoint", good[:-1] + run + b"0."
    yield "a call behind a good checkpoint", good + run + b"."
    yield "a good checkpoint, twice", good + good
    yield "a harmless pickle before a call", proto() + b"N." + proto() + run + b"."
    yield "a good checkpoint behind zeros", bytes(16) + good
    yield "PROTO 0 in front of opcodes of 4", proto(0) + good[2:]
    yield "a call inside a frame of another length", proto() + b"\x95" + struct.pack("<Q", 1) + run + b"."
    yield "a frame in a frame", proto() + 3 * (b"\x95" + struct.pack("<Q", 4)) + run + b"."
    yield "a frame that ends inside an opcode", proto() + b"\x95" + struct.pack("<Q", 5) + good[2:]
    # CVE-2025-1944 and 1945: a call hidden from those who stop at a memo, or who read names from the stack only.
    yield "names taken from the memo", proto() + text("os") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93."
    yield (
        "names put together by a call",
        proto() + call(stack_name("operator", "concat"), text("sys"), text("tem")) + b".",
    )
    yield "a name with a newline", proto() + stack_name("os\nsystem", "system\n") + b"."
    yield "a name in other letters", proto() + stack_name("ｏｓ", "ｓｙｓｔｅｍ") + b"."
    yield "an object whose class is made", proto(2) + call(name("builtins", "type"), text("X"), b")", b"}") + b")R."
    yield (
        "getattr of an import",
        proto(2)
        + call(name("builtins", "getattr"), call(name("builtins", "__import__"), text("os")), text("system"))
        + TRUE
        + b"\x85R.",
    )
    yield (
        "attrgetter of a module",
        proto(2) + call(call(name("operator", "attrgetter"), text("system")), name("sys", "modules")) + b".",
    )
    yield (
        "BUILD of an object's __class__",
        proto(2) + name("hostile.canary", "Bird") + b")\x81}" + text("__class__") + SING + b"sb.",
    )
    yield (
        "a call whose value is thrown away",
        proto() + run + b"0" + dict_of(("format", text(checkpoint.FORMAT))) + b".",
    )
    yield "a call as a key", proto() + b"}" + run + b"Ns."
    yield "a format that is a call", proto() + dict_of(("format", run)) + b"."


def _exhaustion():
    """Files that ask for more than they are."""
    huge = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
    for size in huge:
        four = struct.pack("<I", size)
        for code, what in ((b"\x8b", "LONG4"), (b"B", "BINBYTES"), (b"X", "BINUNICODE"), (b"T", "BINSTRING")):
            yield f"{what} of {size}", proto() + code + four + b"x."
        yield f"LONG_BINPUT {size}", proto() + b"Nr" + four + b"."
        yield f"LONG_BINGET {size}", proto() + b"j" + four + b"."
        yield f"PUT {size}", proto() + b"Np%d\n." % size
    for size in (1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
        eight = struct.pack("<Q", size)
        codes = ((b"\x8e", "BINBYTES8"), (b"\x8d", "BINUNICODE8"), (b"\x96", "BYTEARRAY8"), (b"\x95", "FRAME"))
        for code, what in codes:
            yield f"{what} of {size}", proto(5) + code + eight + b"x."
    yield "LONG1 of 255 bytes", in_a_checkpoint(b"\x8a\xff" + b"\x7f" * 255)
    yield "INT of a million digits", b"I" + b"9" * 1_000_000 + b"\n."  # conversion takes quadratic time
    yield "LONG of a million digits", b"L" + b"9" * 1_000_000 + b"L\n."
    yield "FLOAT of a million digits", b"F" + b"9" * 1_000_000 + b"\n."
    yield "PUT of a million digits", b"Np" + b"9" * 1_000_000 + b"\n."
    yield "a string without an end", b"S'" + b"x" * 100_000
    yield "lists, 90,000 deep", in_a_checkpoint(nested(90_000))
    yield "dicts, 60,000 deep", in_a_checkpoint(b"}N" * 60_000 + b"}" + b"s" * 60_000)
    yield "tuples, 150,000 deep, as a key", in_a_checkpoint(b"})" + b"\x85" * 150_000 + b"Ns")  # a hash without an end
    yield "tuples, 150,000 deep", in_a_checkpoint(b")" + b"\x85" * 150_000)
    yield "the format, 90,000 deep", proto() + dict_of(("format", nested(90_000))) + b"."
    yield (
        "the version, 90,000 deep",
        proto() + dict_of(("format", text(checkpoint.FORMAT)), ("version", nested(90_000))) + b".",
    )
    yield "laughs", in_a_checkpoint(laughs(60, 0))
    version = dict_of(("format", text(checkpoint.FORMAT)), ("version", laughs(60, 0)))
    yield "a version that laughs", proto() + version + b"."
    yield (
        "keys that collide: integers",
        in_a_checkpoint(b"}(" + b"".join(long1(MERSENNE * n) + b"N" for n in range(1, 30_000)) + b"u"),
    )
    few = b"}(" + b"".join(long1(MERSENNE * n) + b"N" for n in range(-1000, 1000)) + b"u"
    yield "keys that collide: integers of 9 bytes", in_a_checkpoint(b"](" + few * 49 + b"e")
    pairs = (b"\x8a\x08" + struct.pack("<q", n) + long1(MERSENNE - n) + b"\x86N" for n in range(1, 30_000))
    yield "keys that collide: tuples", in_a_checkpoint(b"}(" + b"".join(pairs) + b"u")
    texts = text("x" * 100_000) + text("") * 50_000
    yield "one long text among many short ones", in_a_checkpoint(b"](" + texts + b"e")  # as an array: 20 GB
    yield "marks alone", proto() + b"(" * 150_000 + b"."
    yield "a million values", proto() + b"](" + b"N" * 1_000_000 + b"e."
    yield "a million dicts", in_a_checkpoint(b"](" + b"}" * 1_000_000 + b"e")
    yield "150,000 dicts", in_a_checkpoint(b"](" + b"}" * 150_000 + b"e")
    yield "one string, 150,000 times", in_a_checkpoint(text("x" * 1000) + b"\x94" + b"0](" + b"h\x00" * 90_000 + b"e")
    array = dict_of(("dtype", text("uint8")), ("shape", b"]J\x00\x00\x01\x00a"), ("bytes", b"j\x00\x00\x00\x00"))
    content = b"B" + struct.pack("<I", 1 << 16) + bytes(1 << 16)
    yield "one array's bytes, 5,000 times", in_a_checkpoint(content + b"\x940](" + array * 5000 + b"e")


def _other_formats():
    """Files that are no pickle, or a pickle and something else."""
    evil = proto(2) + call(SING, TRUE) + b"."
    good = checkpoint_bytes()
    for what, content in (("a good checkpoint", good), ("a call", evil)):
        # CVE-2025-10155 and others: a scanner that goes by the file's name or first bytes.
        yield f"zlib of {what}", zlib.compress(content)  # as joblib does
        yield f"gzip of {what}", gzip.compress(content)
        yield f"bz2 of {what}", bz2.compress(content)
        yield f"xz of {what}", lzma.compress(content)
        yield f"7z's first bytes before {what}", b"7z\xbc\xaf\x27\x1c" + content  # nullifAI
        yield f"zip of {what}", _zipped({"archive/data.pkl": content, "archive/version": b"3\n"})  # as torch.save does
        yield f"zip behind {what}", content + _zipped({"data.pkl": evil})  # both are found: a polyglot
        yield f"zip before {what}", _zipped({"data.pkl": evil}) + content
        yield f"tar of {what}", _tarred({"data.pkl": content})  # as torch.save did before 2020
        yield f"a hash-bang before {what}", b"#!/bin/sh\ntrue\n" + content
        yield f"PNG's first bytes before {what}", b"\x89PNG\r\n\x1a\n" + content
    with_wrong_sums = bytearray(_zipped({"archive/data.pkl": evil}))
    with_wrong_sums[14:18] = b"\xff\xff\xff\xff"  # CVE-2025-10156: a scanner that a wrong CRC stops
    yield "zip with a wrong sum", bytes(with_wrong_sums)
    magic, version, layout = 0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}
    yield "torch's old format", b"".join(pickle.dumps(part, 2) for part in (magic, version, layout, {})) + evil
    array = io.BytesIO()
    np.save(array, np.array([Reduced(canary.sing, ())], object), allow_pickle=True)
    yield "npy of objects", array.getvalue()
    archive = io.BytesIO()
    np.savez(archive, x=np.array([Reduced(canary.sing, ())], object))
    yield "npz of objects", archive.getvalue()
    yield "safetensors", struct.pack("<Q", 2) + b"{}"
    yield "HDF5's first bytes", b"\x89HDF\r\n\x1a\n" + bytes(64)
    yield "JSON", b'{"format": "minigan checkpoint", "version": 2}'
    yield "Python", b"import os\nos.system('true')\n"
    yield "nothing", b""
    yield "zeros", bytes(4096)
    yield "text in UTF-16", "minigan checkpoint".encode("utf-16")


def _objects():
    """Objects that pickle.dumps writes, in every protocol."""
    objects = {
        "an instance": canary.Bird(), "a call": Reduced(canary.sing, ("x",)), "a function": canary.sing, "a class": dict,
        "a partial": functools.partial(canary.sing, 1), "an attrgetter": operator.attrgetter("songs"),
        "an array": np.zeros(3), "an array of objects": np.array([{}, []], object), "a NumPy number": np.float32(1),
        "a dtype": np.dtype("f4"), "a set": {1}, "a frozenset": frozenset({1}), "a complex number": 1j,
        "a bytearray": bytearray(b"x"), "an OrderedDict": collections.OrderedDict(a=1), "a defaultdict": collections.defaultdict(list),
        "a namedtuple": Pair(1, 2), "a slice": slice(1), "a range": range(3), "an exception": ValueError("x"), "a tuple": (1, 2, 3, 4),
    }  # fmt: skip
    for what, value in objects.items():
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            state = {"format": checkpoint.FORMAT, "version": checkpoint.WITHOUT_CHECKSUM, "x": value}
            yield f"{what}, protocol {protocol}", pickle.dumps(state, protocol)


def checkpoint_bytes():
    """A small good file."""
    return in_a_checkpoint(b"N")


def _zipped(files):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return file.getvalue()


def _tarred(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()
