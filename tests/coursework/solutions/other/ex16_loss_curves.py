import numpy as np


def read_columns(text):
    finished, _, _ = text.rpartition("\n")
    table = [line.split(",") for line in finished.split("\n")]
    wrong = [n for n, row in enumerate(table, 1) if len(row) != len(table[0])]
    if wrong:
        raise ValueError(f"lines {wrong}")
    return {name: np.array(column, float) for name, *column in zip(*table)}


def running_mean(values, window):
    if window not in range(1, len(values) + 1):
        raise ValueError(window)
    return np.array([np.mean(values[end - window : end]) for end in range(window, len(values) + 1)])


def waviness(values):
    steps = values[1:] - values[:-1]
    if not steps.any():
        return 0.0
    return values.std() / np.linalg.norm(steps) * (2 * len(steps)) ** 0.5


def diagnose(loss_d, loss_g, d_real, d_fake):
    count = len(loss_d) // 4
    loss_d, loss_g, d_real, d_fake = (column[-count:] for column in (loss_d, loss_g, d_real, d_fake))
    rules = [
        (not np.isfinite([loss_d, loss_g, d_real, d_fake]).all(), "broken"),
        (d_real.mean() <= 0.95 or d_fake.mean() >= 0.05, "collapsed" if waviness(d_fake) > 4 else "healthy"),
        (loss_g.mean() > 0, "D wins"),
        (True, "vanishing"),
    ]
    return next(name for holds, name in rules if holds)
