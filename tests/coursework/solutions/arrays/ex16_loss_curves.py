import numpy as np


def read_columns(text):
    names, *rows = [line.split(",") for line in text.split("\n")[:-1]]
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise ValueError(f"line {number + 2} has {len(row)} numbers")
    return dict(zip(names, np.array(rows, float).reshape(len(rows), len(names)).T))


def running_mean(values, window):
    if not 1 <= window <= len(values):
        raise ValueError("no such window")
    return np.lib.stride_tricks.sliding_window_view(values, window).mean(axis=1)


def waviness(values):
    noise = np.mean(np.diff(values) ** 2) / 2
    return np.sqrt(np.var(values) / noise) if noise else 0


def diagnose(loss_d, loss_g, d_real, d_fake):
    rows = np.stack([loss_d, loss_g, d_real, d_fake])[:, -(len(loss_d) // 4) :]
    if not np.isfinite(rows).all():
        return "broken"
    _, mean_g, mean_real, mean_fake = rows.mean(axis=1)
    if mean_real > 0.95 and mean_fake < 0.05:
        return "vanishing" if mean_g <= 0 else "D wins"
    return "collapsed" if waviness(rows[3]) > 4 else "healthy"
