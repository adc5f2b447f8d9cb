"""What a run folder says about its run, read with patience: whatever is missing or damaged becomes a sentence.

A report is wanted most where something went wrong, so nothing here raises for what a folder holds: a run
under way, a half-written last row, a metrics.csv of an older minigan, scores from another program.
"""

import csv
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minigan import doctor, recipes, settings
from minigan.errors import UserError
from minigan.report import words
from minigan.rows import STEP_COLUMNS

CLASSES = ("classes_fixed", "classes_fresh")  # ten counts in a cell
MOST_BYTES = 1 << 28  # of metrics.csv: ten times what the longest recipe writes


@dataclass
class Facts:
    """A run, as its folder tells it; what is not known is None or empty."""

    folder: Path
    config: dict = field(default_factory=dict)  # the settings, without the environment
    environment: dict = field(default_factory=dict)
    metrics: dict = field(default_factory=dict)  # column -> float array (rows,), or (rows, 10) of class counts
    samples: list = field(default_factory=list)  # (step, path), in order
    scores: dict = field(default_factory=dict)
    problems: list = field(default_factory=list)  # sentences: what could not be read

    @property
    def recipe(self):
        """The Recipe, or None where this minigan has none of that name."""
        name = self.config.get("recipe")
        return recipes.RECIPES.get(name) if isinstance(name, str) else None

    @property
    def step(self):
        """The last step of metrics.csv."""
        return int(self.metrics["step"][-1]) if self.metrics else 0

    @property
    def seconds(self):
        """Those spent in the steps, or None."""
        if not self.metrics:
            return None
        seconds = self.metrics["seconds"][np.isfinite(self.metrics["seconds"])]
        return float(seconds[-1]) if len(seconds) and seconds[-1] > 0 else None

    @property
    def probes(self):
        """How many times the run's signals were measured."""
        measured = self.metrics.get("gradient_g")
        return 0 if measured is None else int(np.isfinite(measured).sum())

    @property
    def skips(self):
        """Whether steps that leave a number that is not finite are skipped."""
        return self.config.get("on_nonfinite") == "skip"

    @property
    def broken_at(self):
        """The step that ended the run, as a loss was no finite number in it, or None; others were skipped."""
        if not self.metrics or self.skips:
            return None
        last_is_finite = all(np.isfinite(self.metrics[name][-1]) for name in ("loss_d", "loss_g"))
        return None if last_is_finite else self.step

    def last_step(self, images):
        """The step after which the run is complete, if known. images: how many it trains on, or None."""
        steps, epochs, size = (whole(self.config.get(name)) for name in ("steps", "epochs", "batch_size"))
        if steps:
            return steps
        if not (images and epochs and size and size > 1):
            return None
        full, rest = divmod(images, size)
        return epochs * (full + (rest > 1))

    def defaults(self):
        """The recipe's own settings by name."""
        return vars(settings.default_settings(self.recipe)) if self.recipe else {}


def read(folder):
    """The Facts of a run folder. Raises UserError where there is no folder, or no run in it."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: name the folder of a run, such as runs/chaudhary2024")
    if not (folder / "config.json").is_file() and not (folder / "metrics.csv").is_file():
        raise UserError(f"{folder} holds no run (neither config.json nor metrics.csv): name the folder of a run")
    facts = Facts(folder)
    facts.config = _json(folder / "config.json", facts.problems)
    environment = facts.config.pop("environment", {})
    facts.environment = environment if isinstance(environment, dict) else {}
    facts.metrics = _metrics(folder / "metrics.csv", facts.problems)
    found = [(re.fullmatch(r"step_(\d{1,12})\.png", path.name), path) for path in _listed(folder / "samples")]
    facts.samples = sorted((int(match[1]), path) for match, path in found if match)
    if facts.metrics:  # what lies beyond them is of steps that a resume takes again
        facts.samples = [(step, path) for step, path in facts.samples if step <= facts.step]
    if (folder / "scores.json").is_file():
        facts.scores = _json(folder / "scores.json", facts.problems)
        if facts.scores and not isinstance(facts.scores.get("rows"), dict):
            facts.problems.append("scores.json holds no scores.")
            facts.scores = {}
    return facts


class Setting(NamedTuple):
    """A setting of a run beside the recipe's own."""

    name: str
    label: str
    value: object
    own: object
    changed: bool
    decides: bool  # whether a changed one makes it another experiment


def compared(run):
    """The Settings of a run, without those that are neither chosen nor the recipe's."""
    defaults = run.defaults()
    found = []
    for name, value in run.config.items():
        label, decides = words.SETTINGS.get(name, (words.clipped(name).replace("_", " ") or "?", False))
        changed = name in defaults and defaults[name] != value
        if name != "recipe" and (value is not None or changed):
            found.append(Setting(name, label, value, defaults.get(name), changed, decides))
    return found


class Diagnosis(NamedTuple):
    """What the doctor found, [(step, sentence)], and how much there was to go by."""

    findings: list
    seen: doctor.Seen


def diagnosis(run):
    """The doctor's Diagnosis; None where there are no steps, or signals that make no sense."""
    if not run.metrics:
        return None
    try:
        asked = doctor.examined(_rows(run.metrics), run.skips)
    except (ArithmeticError, LookupError, TypeError, ValueError):  # signals of another program, or only some of them
        run.problems.append("The doctor cannot make sense of the signals in metrics.csv.")
        return None
    return Diagnosis([(whole(finding.step), finding.sentence) for finding in asked.findings], asked.seen)


def _rows(metrics):
    """The rows as the doctor reads them, dicts; where the run was not probed, of what is known at every step alone."""
    steps = zip(*(_cells(name, metrics[name]) for name in STEP_COLUMNS))
    signals = {name: values for name, values in metrics.items() if name not in STEP_COLUMNS}
    probed = np.zeros(len(metrics["step"]), bool)
    for values in signals.values():
        probed |= np.isfinite(values.reshape(len(values), -1)).any(1)
    cells = zip(*(_cells(name, values[probed]) for name, values in signals.items()))
    for here, row in zip(probed.tolist(), steps):
        yield dict(zip(STEP_COLUMNS, row)) | (dict(zip(signals, next(cells))) if here else {})


def _cells(name, values):
    """A column's values as Python's: whole steps, None where a signal is missing, counts as a tuple."""
    if name in CLASSES:
        return [tuple(map(int, counts)) if counts[0] == counts[0] else None for counts in values.tolist()]
    if name in ("step", "epoch"):
        return [int(value) if value == value else 0 for value in values.tolist()]
    return values.tolist() if name in STEP_COLUMNS else [None if value != value else value for value in values.tolist()]


def whole(value):
    """The value where it is a positive whole number, else None."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53 else None


def number(value):
    """The value as a float, NaN where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def score(scores, row, metric):
    """(value, low, high) of a metric in a row of scores.json, or None."""
    cell = scores["rows"].get(row)
    cell = cell.get(metric) if isinstance(cell, dict) else None
    if not isinstance(cell, dict):
        return None
    value, low, high = (number(cell.get(name)) for name in ("value", "low", "high"))
    return (value, low, high) if math.isfinite(value) else None


def shares(scores, row):
    """The ten class shares of a row of scores.json as an array, or None."""
    classes = scores.get("classes")
    cell = classes.get(row) if isinstance(classes, dict) else None
    if not isinstance(cell, list) or len(cell) != 10:
        return None
    values = np.array([number(value) for value in cell])
    return values if np.isfinite(values).all() and (values >= 0).all() else None


def _listed(folder):
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _json(path, problems):
    """The dict in a JSON file, or {} and a sentence."""
    try:
        value = json.loads(path.read_text(errors="replace"))
    except FileNotFoundError:
        problems.append(f"{path.name} is missing.")
        return {}
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        problems.append(f"{path.name} cannot be read.")
        return {}
    return value


def _metrics(path, problems):
    """The columns of metrics.csv; {} where there are no rows yet."""
    try:
        if path.stat().st_size > MOST_BYTES:
            problems.append(f"metrics.csv is left out: it is larger than {MOST_BYTES >> 20} MiB.")
            return {}
        text = path.read_text(errors="replace")
        header, *rows = csv.reader(text[: text.rfind("\n") + 1].splitlines())  # a row may be half written
    except FileNotFoundError:
        problems.append("metrics.csv is missing.")
        return {}
    except (OSError, ValueError, csv.Error):  # a ValueError: there is no header
        problems.append("metrics.csv cannot be read.")
        return {}
    if tuple(header[: len(STEP_COLUMNS)]) != STEP_COLUMNS:
        problems.append("metrics.csv is of another program: its columns are not those of a run.")
        return {}
    width = len(header)
    whole_rows = [
        row if len(row) == width else row + [""] * (width - len(row))
        for row in rows
        if len(STEP_COLUMNS) <= len(row) <= width
    ]
    columns = dict(zip(header, zip(*whole_rows)))
    steps = _numbers(columns.get("step", ()))
    good = np.isfinite(steps) & (steps >= 1) & (steps < 2**53)
    if good.sum() < len(rows):
        noun = "row" if len(rows) - good.sum() == 1 else "rows"
        problems.append(f"metrics.csv has {len(rows) - good.sum():,} damaged {noun}, left out here.")
    if not good.any():
        return {}
    return {name: (_classes(cells) if name in CLASSES else _numbers(cells))[good] for name, cells in columns.items()}


def _numbers(cells):
    """Cells as a float array, NaN where a cell is empty or no number."""
    try:
        return np.array([float(cell) if cell else math.nan for cell in cells])
    except ValueError:
        return np.array([number(cell) for cell in cells])


def _classes(cells):
    """Cells of ten counts as a float array (rows, 10), NaN where a cell is empty or something else."""
    counts = np.full((len(cells), 10), math.nan)
    for row, cell in enumerate(cells):
        if cell:
            values = [number(value) for value in cell.split(" ")]
            if len(values) == 10 and all(0 <= value < math.inf for value in values):
                counts[row] = values
    return counts
