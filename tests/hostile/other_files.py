"""What else strangers hand over, as targets: the text files of a run's folder, images to be judged, and a judge."""

import argparse
import csv
import io
import json
import math
import struct
import zipfile
from dataclasses import asdict

import numpy as np

from hostile import state_mutants
from hostile.byte_mutants import ANY_FILE
from hostile.workers import Target, as_it_is, put
from minigan import data, doctor, evaluate, evaluation, judge, recipes, report, rows, settings

ROWS = 400
FILES = ("metrics.csv", "config.json", "scores.json")
CELLS = (
    "", "0", "-1", "1", "nan", "inf", "-inf", "1e308", "1e-320", "1e999", "9" * 30, "9" * 5000, "0x10", "1_000", " 1", "１", "x",
    '"', '"\n"', "\0", "\ud7ff", "1 2 3", " ".join("0" * 10), " ".join(["9" * 400] * 10), "-1 " * 9 + "1", "<script>", "=1+1", "\x1b[31m",
)  # fmt: skip


def prepare_folder(folder):
    """A run's folder; the seeds are its metrics.csv, config.json and scores.json."""
    folder = folder / "run"
    folder.mkdir()
    lines = [rows.COLUMNS]
    for step in range(1, ROWS + 1):
        seen = {name: tuple(range(10)) if name.startswith("classes") else 0.5 for name in rows.SIGNALS}
        lines.append(rows.cells((step, 1, 1.25, 0.75, 0.5, 0.4, step / 8), seen if step % 50 == 0 else None))
    own = settings.default_settings(recipes.chaudhary2024, batch_size=4, steps=ROWS)
    cell = {"value": 0.5, "low": 0.4, "high": 0.6}
    scores = {
        "format": evaluation.FORMAT, "judge": {"version": judge.VERSION, "sha256": judge.SHA256}, "count": 100, "seed": 0,
        "dataset": "mnist", "source": {"recipe": "chaudhary2024", "step": ROWS, "ema": False}, "trained_on": ["train"],
        "counts": dict.fromkeys(evaluation.ROWS, 100), "rows": {name: dict.fromkeys(evaluation.METRICS, cell) for name in evaluation.ROWS},
        "classes": {name: [0.1] * 10 for name in evaluation.ROWS},
    }  # fmt: skip
    config = {**asdict(own), "environment": {"minigan": "1", "device": "cpu", "threads": 1, "precision": "float32"}}
    seeds = [
        "".join(",".join(line) + "\n" for line in lines).encode(),
        *(json.dumps(v, indent=2).encode() for v in (config, scores)),
    ]
    for name, content in zip(FILES, seeds):
        (folder / name).write_bytes(content)
    (folder / "report.html").write_bytes(b"")
    return folder / FILES[0], seeds


def make_text(rng, seeds, number):
    """A mutant of one of the files, and in front of it a byte with its number."""
    which = rng.randrange(len(seeds))
    content = seeds[which]
    mutation = rng.choice((*ANY_FILE, *[_cells if which == 0 else _values] * len(ANY_FILE)))
    return f"{FILES[which]}: {mutation.__name__.strip('_')}", False, bytes([which]) + mutation(rng, content)


def _cells(rng, content):
    """Cells, rows or columns of a table are others."""
    table = list(csv.reader(content.decode().splitlines()))
    for _ in range(rng.choice((1, 3, 30))):
        row = rng.choice((0, 1, 50 * rng.randrange(9), rng.randrange(len(table)))) % len(table)
        column = rng.randrange(len(table[row]) or 1)
        change = rng.randrange(8)
        if change < 4 and table[row]:
            table[row][column] = rng.choice(CELLS)
        elif change == 4:
            for line in table[1:]:
                if column < len(line):
                    line[column] = table[row][column] if row and table[row] else rng.choice(CELLS)
        elif change == 5 and len(table) > 2:
            del table[row]
        elif change == 6:
            table[row] = (
                table[row][:column] + table[row][column + rng.choice((0, 1)) :] + rng.choice(([], [""], ["1"] * 20))
            )
        else:
            table.insert(row, list(rng.choice(table)))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(table)
    return text.getvalue().encode("utf-8", "replace")


def _values(rng, content):
    """Values of an object are others."""
    _, value = state_mutants.mutate(rng, json.loads(content))
    if rng.random() < 0.05:
        return rng.choice((b"[" * 100_000, b'{"a":' * 100_000, b"null", b"[]", b"1e999", b"9" * 10_000, b'"\\ud800"'))
    try:
        return json.dumps(value, default=str, skipkeys=True).encode("utf-8", "replace")
    except ValueError:  # a value in itself, which JSON cannot say
        return b"{}"


def put_text(path, content):
    """The mutant in place of the file that its first byte says."""
    path = path.with_name(FILES[content[0]])
    path.write_bytes(content[1:])
    return path


def write_report(path):
    """The command report."""
    report.write(path.parent)


def call_doctor(path):
    """The command doctor."""
    doctor.main([str(path.parent)])


# Arrays of images, for evaluate.


def prepare_images(folder):
    """A few images as numpy.save writes them."""
    folder = folder / "images"
    folder.mkdir()
    path = folder / "samples.npy"
    np.save(path, data.load_images("mnist")[:10])
    return path, [path.read_bytes()]


def make_images(rng, seeds, number):
    """A mutant of the array's file."""
    mutation = rng.choice((*ANY_FILE, *[_header] * len(ANY_FILE)))
    return (
        mutation.__name__.strip("_"),
        False,
        mutation(rng, seeds[0]) if mutation is _header else mutation(rng, seeds[0], range(128)),
    )


def _header(rng, content):
    """The description of a NumPy array is another."""
    shape = rng.choice(
        (
            "(10, 28, 28)",
            "(10, 28, 28)",
            "(2147483648, 28, 28)",
            "(9223372036854775807, 28, 28)",
            "(-1, 28, 28)",
            "(0, 28, 28)",
            "()",
            "(10.0, 28, 28)",
            "(10, 28)",
            "10",
            "[10, 28, 28]",
            "(1,)*40",
            "(True, 28, 28)",
        )
    )
    dtype = rng.choice(
        (
            "'|u1'",
            "'|u1'",
            "'|u1'",
            "'|O'",
            "'<f4'",
            "'<M8[s]'",
            "[('a', '|u1')]",
            "'|V784'",
            "'|u1,|u1'",
            "'S1000000000'",
            "'(1000000000)u1'",
            "4",
            "None",
            "'" + "f4," * 1000 + "f4'",
        )
    )
    order = rng.choice(("False", "False", "True", "None", "0"))
    text = f"{{'descr': {dtype}, 'fortran_order': {order}, 'shape': {shape}, }}"
    text = rng.choice(
        (
            text,
            text,
            text,
            text,
            "(" * 4000,
            "[" * 9000,
            "1+" * 4000 + "1",
            "__import__('os')",
            text[:-5],
            text + " " * 70_000,
            "{" * 200,
            "lambda: 0",
            "9" * 9000,
        )
    )
    version = rng.choice(((1, 0), (1, 0), (2, 0), (3, 0), (0, 0), (9, 9)))
    content_length = rng.choice((len(text), len(text), len(text), 0, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
    length = struct.pack("<H", content_length & 0xFFFF) if version[0] == 1 else struct.pack("<I", content_length)
    return b"\x93NUMPY" + bytes(version) + length + text.encode() + content[128:]


def read_images(path):
    """The array, as evaluate reads it."""
    arguments = argparse.Namespace(ema=None, count=None, seed=0, dataset=None)
    *_, images = evaluate._read_array(path, arguments, "cpu")
    images(lambda count: None)


# Judges.


def prepare_judge(folder):
    """The judge that ships."""
    folder = folder / "judge"
    folder.mkdir()
    path = folder / "judge.npz"
    path.write_bytes(judge.SHIPPED.read_bytes())
    return path, [path.read_bytes()]


def make_judge(rng, seeds, number):
    """A mutant of the archive, or of an array in it."""
    content = seeds[0]
    kind = rng.choice(("bytes", "entries", "packed", "arrays"))
    if kind == "bytes":
        mutation = rng.choice(ANY_FILE)
        directory = content.rindex(b"PK\x05\x06") - 3000
        return (
            f"archive: {mutation.__name__}",
            False,
            mutation(rng, content, [*range(200), *range(directory, len(content))]),
        )
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = [(name, archive.read(name)) for name in archive.namelist()]
    place = rng.randrange(len(entries))
    name, array = entries[place]
    methods = [zipfile.ZIP_STORED] * len(entries)
    if kind == "arrays":
        array = rng.choice(
            (
                lambda: _header(rng, array),
                lambda: _floats(rng, array),
                lambda: rng.choice(ANY_FILE)(rng, array, range(128)),
            )
        )()
    elif kind == "entries":
        name = rng.choice(("x.npy", "../x.npy", "/etc/x.npy", name + "/", "", name.upper(), name + "\0"))
        if rng.random() < 0.3:
            entries += [(f"{n}.npy", b"") for n in range(rng.choice((1, 1000)))]
            methods += [zipfile.ZIP_STORED] * (len(entries) - len(methods))
    else:
        array = rng.choice((array, array + bytes(1 << 22), array[:128] + bytes(1 << 24)))
        methods[place] = rng.choice((zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA))
    entries[place] = name, array
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for (entry, value), method in zip(entries, methods):
            archive.writestr(zipfile.ZipInfo(entry or "?"), value, method)
    packed = bytearray(file.getvalue())
    if methods[place] == zipfile.ZIP_LZMA:  # the dictionary's size is what a reader reserves
        at = packed.index(b"\x09\x04\x05\x00") + 5
        packed[at : at + 4] = struct.pack("<I", rng.choice((1 << 16, 1 << 30, 0xFFFFFFFF)))
    return f"archive: {kind}", False, bytes(packed)


def _floats(rng, array):
    """Numbers of an array are none, or absurd."""
    value = rng.choice((math.nan, math.inf, -1.0, 1e38, 0.0))
    return array[:128] + struct.pack("<f", value) * ((len(array) - 128) // 4)


ANY_NUMBER = 1 << 62
REPORT = Target("report", prepare_folder, make_text, put_text, (write_report,), ANY_NUMBER, as_it_is)
DOCTOR = Target("doctor", prepare_folder, make_text, put_text, (call_doctor,), ANY_NUMBER, as_it_is)
IMAGES = Target("images", prepare_images, make_images, put, (read_images,), ANY_NUMBER, as_it_is)
JUDGE = Target("judge", prepare_judge, make_judge, put, (judge.load,), ANY_NUMBER, as_it_is)
TARGETS = (REPORT, DOCTOR, IMAGES, JUDGE)
