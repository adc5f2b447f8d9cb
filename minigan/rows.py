"""metrics.csv, a row a step: its columns, and its rows as text and as numbers.

The columns after `seconds` are the signals of `signals.py`, empty but on the steps at which the run was probed. Files
of before there were signals end with `seconds`; they are read all the same.
"""

from pathlib import Path

STEP_COLUMNS = ("step", "epoch", "loss_d", "loss_g", "d_real", "d_fake", "seconds")
SIGNALS = (
    "d_accuracy", "d_saturation", "gradient_d", "gradient_g", "diversity", "classes_fixed", "classes_fresh",
    "entropy_fixed", "entropy_fresh", "update_d", "update_g",
)  # fmt: skip
COLUMNS = STEP_COLUMNS + SIGNALS
NUMBERS = {  # of every step: their columns, and what they are
    "loss_d": "the loss of D", "loss_g": "the loss of G", "d_real": "D's mean output for real images",
    "d_fake": "D's mean output for generated images",
}  # fmt: skip


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
    if _values(line)[0] != step or not line.startswith(f"{step},"):
        raise ValueError(f"not the row of step {step}")
    return line if line.count(",") == len(COLUMNS) - 1 else line + "," * len(SIGNALS)


def read(path):
    """The rows of a metrics.csv: dicts {column: number}, with None where a cell is empty or not there.

    The counts of `classes_fixed` and `classes_fresh` are tuples. A last row that a killed process did not finish is
    left out. Raises ValueError where the file is no metrics.csv, OSError where it cannot be read.
    """
    text = Path(path).read_text(errors="replace")
    header, *lines = text[: text.rfind("\n") + 1].splitlines() or [""]
    if tuple(header.split(",")[: len(STEP_COLUMNS)]) != STEP_COLUMNS:
        raise ValueError(f"it does not begin with the columns {','.join(STEP_COLUMNS)}")
    found = []
    for number, line in enumerate(lines, 2):
        try:
            found.append(dict(zip(COLUMNS, _values(line))))
        except ValueError as error:
            raise ValueError(f"line {number} is damaged ({str(error):.200})") from None
    return found


def _values(line):
    """A line's values, of all columns. Raises ValueError for a line that is no row."""
    values = line.split(",")
    if len(values) not in (len(STEP_COLUMNS), len(COLUMNS)):
        raise ValueError(f"{len(values)} cells")
    step, epoch, *losses = values[: len(STEP_COLUMNS)]
    signals = values[len(STEP_COLUMNS) :]
    seen = map(_signal, SIGNALS, signals) if any(signals) else [None] * len(SIGNALS)
    return [int(step), int(epoch), *map(float, losses), *seen]


def _signal(name, text):
    if not text:
        return None
    if not name.startswith("classes"):
        return float(text)
    counts = tuple(map(int, text.split(" ")))
    if len(counts) != 10 or min(counts) < 0:
        raise ValueError(f"{name} should be ten counts, not {text!r}")
    return counts
