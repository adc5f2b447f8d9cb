"""Exercise 16: reading metrics.csv (lesson 16). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex16
"""

import numpy as np


def read_columns(text):
    """The columns of a metrics.csv, of a run with --probe-every 0: {name: array (rows,) of floats}.

    text: the file's content. Its first line holds the names, each other line a row of as many numbers, all separated by
    commas; every line ends in "\\n". A last line without it is a row that a killed run did not finish: it is left out,
    wherever it breaks off. Where no rows are left, the arrays are empty.
    Raises ValueError for any other row with too few or too many numbers, an empty line among them; the message holds the
    number of its line (the line of names is line 1).
    """
    raise NotImplementedError("read_columns")


def running_mean(values, window):
    """The means of every `window` neighbours: what losses.png draws as thick lines.

    values: (N,). Returns (N - window + 1,): first the mean of values[0] .. values[window - 1], and so on.
    A value that is not a number (NaN) spoils the windows that hold it, and no other.
    Raises ValueError unless 1 <= window <= N.
    """
    raise NotImplementedError("running_mean")


def waviness(values):
    """How much larger the swings of a curve are than its step-to-step noise.

    values: (N,), N >= 2. The standard deviation of the values, divided by the root of half the mean square of
    their N - 1 differences from one to the next (von Neumann 1941): about 1 for independent values, large for slow
    waves. 0 if all the values are equal.
    """
    raise NotImplementedError("waviness")


def diagnose(loss_d, loss_g, d_real, d_fake):
    """A verdict on a run from four columns (N,) of its metrics.csv: the first of these rules that holds.

    Only the last quarter counts: the last N // 4 values of each column, N >= 8. There
    1. "broken" if any value of any of the four columns is infinite or not a number;
    2. if the mean of d_real is above 0.95 and that of d_fake below 0.05, D is sure: "vanishing" if the mean of
       loss_g is 0 or less (only the minimax loss is), else "D wins";
    3. "collapsed" if the waviness of d_fake is above 4;
    4. "healthy".
    """
    raise NotImplementedError("diagnose")
