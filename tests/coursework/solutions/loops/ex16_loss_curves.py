import itertools
import math

import numpy as np


def read_columns(text):
    lines = text.split("\n")[:-1]
    names = lines[0].split(",")
    columns = {name: [] for name in names}
    for number in range(1, len(lines)):
        cells = lines[number].split(",")
        if len(cells) != len(names):
            raise ValueError(f"line {number + 1}: {len(cells)} cells")
        for name, cell in zip(names, cells):
            columns[name].append(float(cell))
    return {name: np.array(column) for name, column in columns.items()}


def running_mean(values, window):
    if window < 1 or window > len(values):
        raise ValueError("window")
    means = []
    for start in range(len(values) - window + 1):
        total = 0.0
        for i in range(window):
            total += values[start + i]
        means.append(total / window)
    return np.array(means)


def waviness(values):
    squares = 0.0
    for before, after in itertools.pairwise(values):
        squares += (after - before) ** 2
    if squares == 0:
        return 0.0
    mean = sum(values) / len(values)
    variance = 0.0
    for value in values:
        variance += (value - mean) ** 2 / len(values)
    return math.sqrt(2 * variance * (len(values) - 1) / squares)


def diagnose(loss_d, loss_g, d_real, d_fake):
    start = len(loss_d) - len(loss_d) // 4
    for column in (loss_d, loss_g, d_real, d_fake):
        for value in column[start:]:
            if not math.isfinite(value):
                return "broken"
    count = len(loss_d) // 4
    if sum(d_real[start:]) / count > 0.95 and sum(d_fake[start:]) / count < 0.05:
        if sum(loss_g[start:]) > 0:
            return "D wins"
        return "vanishing"
    if waviness(d_fake[start:]) > 4:
        return "collapsed"
    return "healthy"
