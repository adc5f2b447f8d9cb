"""Checks of exercise 16."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen, refuses

NAMES = ("loss_d", "loss_g", "d_real", "d_fake")


@check(points=2)
def columns(student, rng):
    """read_columns takes the columns apart, and knows a line that was not finished"""
    table = rng.normal(size=(int(rng.integers(3, 6)), 3)).round(3)
    names = [str(n) for n in rng.permutation(["step", "loss_d", "seconds"])]
    lines = [",".join(names), *(",".join(map(str, row)) for row in table)]
    whole = "\n".join(lines) + "\n"
    unfinished = whole + f"{rng.random():.3f},{rng.random():.3f},{rng.integers(1, 9)}"
    slip = "the last line, which does not end in a newline, was read: it is not finished"
    for text, wrong in ((whole, table[:-1]), (unfinished, np.vstack([table, unfinished.splitlines()[-1].split(",")]))):
        found = student.read_columns(text)
        expect(isinstance(found, dict), f"read_columns should return a dict, not {found!r:.100}", {"text": text})
        expect(set(found) == set(names), f"its keys should be {names}, not {list(found)}", {"text": text})
        for name, right, other in zip(names, table.T, np.asarray(wrong, float).T):
            expect(
                getattr(found[name], "dtype", np.dtype(object)).kind == "f",
                f"column {name} should be an array of floats, not {found[name]!r:.100}", {"text": text},
            )  # fmt: skip
            slips = {slip if len(other) > len(right) else "the last line, though it is finished, was left out": other}
            agree(found[name], right, f"column {name}", {"text": text}, slips)
    for rest in ("0.5", "0.5,0.25,-", "0.5,0.25,"):
        text = whole + rest
        try:
            found = student.read_columns(text)
        except ValueError as error:
            raise Mistake(
                f"read_columns of {text!r} raises ValueError ({error}). Its last line does not end in a newline: it was not "
                "finished, and is left out before anything looks at its numbers"
            ) from None
        for name, right in zip(names, table.T):
            agree(found[name], right, f"column {name}", {"text": text})
    text = lines[0] + "\n"
    found = student.read_columns(text)
    expect(
        set(found) == set(names) and all(np.shape(column) == (0,) for column in found.values()),
        f"read_columns of a file without rows should be an empty array for each of {names}, not {found!r:.200}",
        {"text": text},
    )
    for cells, line in ((2, 3), (4, 2), (2, len(lines)), (0, 3)):
        wrong = lines.copy()
        wrong[line - 1] = ",".join(["0.5"] * cells)
        text = "\n".join(wrong) + "\n"
        what = f"read_columns of {text!r}, where line {line} has {cells} numbers and not 3,"
        refuses(lambda text=text: student.read_columns(text), ValueError, what, mention=(line,))


@check(points=2)
def means(student, rng):
    """running_mean averages each window of neighbours"""
    for count, window in ((7, 3), (5, 1), (4, 4), (9, 2)):
        values = frozen(rng.normal(size=count))
        right = np.array([values[i : i + window].mean() for i in range(count - window + 1)])
        padded = np.convolve(values, np.ones(window) / window, "same")
        agree(
            student.running_mean(values, window), right, "the running mean", {"values": values, "window": window},
            slips={
                "the sum was not divided by the window": right * window,
                "the last window is missing": right[:-1],
                "the windows reach beyond the ends, as with np.convolve's mode 'same'": padded,
                "the windows do not overlap": values[: count // window * window].reshape(-1, window).mean(axis=1),
            },
        )  # fmt: skip
    values = frozen([0.5, np.nan, *rng.normal(size=4)])
    found = student.running_mean(values, 2)
    right = (values[2:-1] + values[3:]) / 2
    expect(
        np.all(np.isnan(np.asarray(found, float)[:2])) and np.all(np.isfinite(np.asarray(found, float)[2:])),
        f"the running mean by windows of 2 is {found!r:.200}: its first two values should be NaN, and no other. "
        "A sum that is carried on from window to window never loses a NaN again",
        {"values": values},
    )
    agree(np.asarray(found, float)[2:], right, "the running mean behind a NaN, from index 2 on,", {"values": values})
    for window in (0, 4):
        refuses(
            lambda window=window: student.running_mean(np.zeros(3), window),
            ValueError,
            f"running_mean of 3 values with a window of {window}",
        )


@check(points=2)
def waves(student, rng):
    """waviness compares the swings with the step-to-step noise"""
    for count in (5, int(rng.integers(20, 40)), 2):
        values = rng.normal(size=count) + 3 * np.sin(np.arange(count) / 4) + 2
        values[-2:] = values[-2:] if count == 2 else values[-1]  # two neighbours are equal
        values = frozen(values)
        steps = np.diff(values)
        right = _waviness(values)
        slips = {
            "the root of the noise is missing": values.std() / (np.mean(steps**2) / 2),
            "it is the variance's ratio, its root is missing": right**2,
            "the half is missing": right / 2**0.5,
            "the mean square is doubled, where it should be halved": right / 2,
            "the mean of the values was not subtracted": np.sqrt(np.mean(values**2) / (np.mean(steps**2) / 2)),
        }
        if count > 2:
            slips["the mean of the differences was subtracted"] = values.std() / (steps.std() / np.sqrt(2))
            slips["the standard deviation is that of a sample, divided by N - 1"] = right * (count / (count - 1)) ** 0.5
        agree(student.waviness(values), right, "the waviness", {"values": values}, slips)
    for constant in (np.full(5, 0.5), np.full(3, 0.1)):  # the rounded mean of the second one is not 0.1
        constant = frozen(constant)
        found = student.waviness(constant)
        what = "the waviness of a constant (ask whether the differences are 0: rounding can keep the deviation from it)"
        agree(found, 0, what, {"values": constant})


@check(points=2)
def levels(student, rng):
    """diagnose tells D wins, vanishing, broken and healthy apart by the last quarter's means"""
    low, high = rng.uniform(0.01, 0.04), rng.uniform(0.06, 0.09)
    for loss_g, d_real, d_fake, right, why in (
        (5.0, 1 - low, low, "D wins", "D is sure, and loss_g is positive"),
        (0.5, 0.96, 0.04, "D wins", "D is sure, and loss_g is positive"),
        (-0.02, 1 - low, low, "vanishing", "D is sure, and loss_g is not positive"),
        (-2.0, 0.96, 0.04, "vanishing", "D is sure, and loss_g is not positive"),
        (0.0, 1 - low, low, "vanishing", "D is sure, and loss_g is exactly 0"),
        (5.0, 1 - high, low, "healthy", "d_real is not above 0.95"),
        (5.0, 0.95, low, "healthy", "d_real is 0.95, not above it"),
        (-0.1, 1 - low, high, "healthy", "d_fake is not below 0.05"),
        (-0.1, 1 - low, 0.05, "healthy", "d_fake is 0.05, not below it"),
        (0.7, 0.5, 0.5, "healthy", "no rule holds"),
    ):
        count = 8 if right in ("D wins", "vanishing") else 11  # a quarter is 2: the values before do not count
        rows = {name: np.full(count, v) for name, v in zip(NAMES, (1.0, loss_g, d_real, d_fake))}
        for name, values in rows.items():
            values[:-2] = rng.random()
            values[-2:] += 2.0**-7 * np.array([1, -1]) if name == "loss_g" else 0  # the mean counts, not each value
        _verdict(student, rows, right, why)
    for name in NAMES:
        for value in (np.nan, np.inf, -np.inf):
            rows = {n: rng.uniform(0.4, 0.6, 13) for n in NAMES}
            rows[name][rng.integers(10, 13)] = value
            _verdict(student, rows, "broken", f"{name} holds {value} in its last quarter")
    rows = {n: np.full(13, 0.5) for n in NAMES}
    rows["loss_g"][9] = np.nan
    _verdict(student, rows, "healthy", "13 // 4 = 3: the nan lies before the last 3 values")


@check(points=2)
def swings(student, rng):
    """diagnose finds a collapse by the waves of d_fake in the last quarter"""
    count = 4 * int(rng.integers(60, 90))
    time = np.arange(count)
    noise = 0.01 * rng.normal(size=(4, count))
    calm = dict(zip(NAMES, np.array([1.2, 0.9, 0.55, 0.45])[:, None] + noise))
    wave = 0.2 * np.sin(2 * np.pi * time / 40)
    last = time >= count - count // 4
    _verdict(student, calm, "healthy", "there is only noise")
    _verdict(student, {**calm, "d_fake": calm["d_fake"] + wave}, "collapsed", "d_fake swings in slow waves")
    why = "the waves of d_fake end before the last quarter"
    _verdict(student, {**calm, "d_fake": calm["d_fake"] + wave * ~last}, "healthy", why)
    why = "d_fake swings in slow waves in the last quarter"
    _verdict(student, {**calm, "d_fake": calm["d_fake"] + wave * last}, "collapsed", why)
    for name in NAMES[:3]:
        _verdict(student, {**calm, name: calm[name] + wave}, "healthy", f"the waves are in {name}, not in d_fake")
    sure = {**calm, "d_real": calm["d_real"] * 0 + 0.99, "d_fake": 0.02 + wave / 10}
    _verdict(student, sure, "D wins", "D is sure: rule 2 comes before rule 3")
    broken = {**sure, "loss_d": np.where(time == count - 1, np.nan, 1.0)}
    _verdict(student, broken, "broken", "rule 1 comes before rules 2 and 3")
    for amount, right in ((3.5, "healthy"), (4.5, "collapsed")):
        values = np.tile(0.5 + 0.01 * _with_waviness(40, amount), 4)
        why = f"the waviness of d_fake is {amount} in the last quarter"
        _verdict(student, {**{n: np.full(160, 0.5) for n in NAMES}, "d_fake": values}, right, why)


def _waviness(values):
    return values.std() / np.sqrt(np.mean(np.diff(values) ** 2) / 2)


def _with_waviness(count, amount):
    """A wave (count,) with so much of a zigzag that its waviness is `amount`."""
    wave, zigzag = np.sin(np.arange(count) / 6), np.where(np.arange(count) % 2, 1.0, -1.0)
    low, high = 0.0, 100.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _waviness(wave + middle * zigzag) > amount else (low, middle)
    return wave + low * zigzag


def _verdict(student, rows, right, why):
    found = student.diagnose(*(frozen(rows[name]) for name in NAMES))
    expect(found is not None, "diagnose returns None: is there a `return` for every case?")
    quarter = {name: values[-(len(values) // 4) :] for name, values in rows.items()}
    means = ", ".join(f"{name} {values.mean():.3g}" for name, values in quarter.items())
    expect(
        found == right,
        f"diagnose says {found!r} where it should say {right!r}, because {why}.\nMeans of the last "
        f"{len(quarter['d_fake'])} of {len(rows['d_fake'])} values: {means}.",
        rows,
    )
