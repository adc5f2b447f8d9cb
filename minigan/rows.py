"""metrics.csv, a row a step: its columns, and its rows as text and as numbers.

The columns after `seconds` are the signals of `signals.py`, empty but on the steps at which the run was probed. Files
of before there were signals end with `seconds`; they are read all the same.
"""

import csv

STEP_COLUMNS = ("step", "epoch", "loss_d", "loss_g", "d_real", "d_fake", "seconds")
SIGNALS = (
    "d_accuracy", "d_saturation", "gradient_d", "gradient_g", "diversity", "classes_fixed", "classes_fresh",
    "entropy_fixed", "entropy_fresh", "update_d", "update_g",
)  # fmt: skip
COLUMNS = STEP_COLUMNS + SIGNALS


def cells(row, signals=None):
    """A row's cells, as text. row: the numbers of STEP_COLUMNS. signals: {name of SIGNALS: value}, or None.

    Floats keep nine digits: enough to tell any two float32 apart. The ten counts of a cell are separated by spaces.
    """
    return [_text(value) for value in row] + [_text((signals or {}).get(name)) for name in SIGNALS]


def _text(value):
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def padded(line, step):
    """A line of metrics.csv with all columns. Raises ValueError if it is not the row of the step."""
    values = line.split(",")
    if len(values) == len(STEP_COLUMNS):
        values += [""] * len(SIGNALS)
    if len(values) != len(COLUMNS) or values[0] != str(step):
        raise ValueError(f"not the row of step {step}")
    for name, value in zip(COLUMNS, values):
        _number(name, value)
    return ",".join(values)


def read(path, most=None):
    """The rows of a metrics.csv, at most `most`: dicts {column: number}; None where a cell is empty or not there.

    The counts of `classes_fixed` and `classes_fresh` are tuples. A last row that a killed process did not finish is
    left out. Raises ValueError where the file is no metrics.csv, OSError where it cannot be read.
    """
    found = []
    with open(path, newline="", errors="replace") as file:
        lines = csv.reader(line for line in file if line.endswith("\n"))
        if tuple(next(lines, ())[: len(STEP_COLUMNS)]) != STEP_COLUMNS:
            raise ValueError(f"{path} does not begin with the columns {','.join(STEP_COLUMNS)}")
        for values in lines:
            if len(found) == most:
                break
            if len(values) not in (len(STEP_COLUMNS), len(COLUMNS)):
                raise ValueError(f"{path} is damaged: line {len(found) + 2} has {len(values)} cells")
            row = dict.fromkeys(COLUMNS)
            row.update((name, _number(name, value)) for name, value in zip(COLUMNS, values))
            found.append(row)
    return found


def _number(name, text):
    """A cell's value. Raises ValueError for one that does not belong there."""
    if not text and name in SIGNALS:
        return None
    if name.startswith("classes"):
        counts = tuple(int(count) for count in text.split(" "))
        if len(counts) != 10 or min(counts) < 0:
            raise ValueError(f"{name} should be ten counts, not {text!r}")
        return counts
    return int(text) if name in ("step", "epoch") else float(text)
