import numpy as np


def nearest(images, others):
    a, b = (np.array([image.ravel() for image in x], float) for x in (images, others))
    squares = (a * a).sum(1)[:, None] - 2 * a @ b.T + (b * b).sum(1)
    indices = squares.argmin(1)
    return indices, np.sqrt(squares[range(len(a)), indices]) / 255


def class_shares(labels, classes):
    return np.eye(classes)[labels].mean(0)


def divergence(p, q):
    return sum(a * (np.log(a) - np.log(b)) for a, b in zip(p, q) if a)


def watt_hours(seconds, watts):
    hours = np.diff(seconds) / 3600
    return hours @ watts[:-1] / 2 + hours @ watts[1:] / 2
