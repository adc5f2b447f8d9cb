"""Minimal filtering: a one-dimensional convolution of a few outputs in as few products as there can be.

Winograd, "Arithmetic Complexity of Computations" (1980), and Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks" (2016): the polynomials d(t) w(t) are multiplied by their values at n
points. Turned around (transposed), that is a correlation of r taps with m outputs in n = m + r - 1
products instead of m r:

    y = A^T [(G w) * (B d)],      y[p] = sum over j < r of d[p + j] w[j],      p < m

and in two dimensions, with the same matrices along rows and columns, in n^2 instead of (m r)^2.
The other two convolutions of the triple are the same three matrices in other roles:

    T, the gradient of d:  B^T [(G w) * (A y)]         G, that of w:  G^T [(B d) * (A y)]
"""

import functools
import math
from typing import NamedTuple

import numpy as np

WARP = 0.09  # radians; see `points`


class Matrices(NamedTuple):
    """A (n, m), for the outputs; G (n, r), for the taps; B (n, m + r - 1), for the inputs. float64."""

    outputs: np.ndarray
    taps: np.ndarray
    inputs: np.ndarray


def points(count):
    """Angles whose tangents are the points: a homogeneous point is (cos, sin), and infinity is one like any other.

    Equal steps of the half circle, drawn a little towards the tangents 1 and -1. That the usual
    small fractions (0, 1, -1, 2, 1/2, ...) are not needed saves four fifths of the rounding error
    (of 11 points: 3e-5 instead of 1.5e-4 in float32); the warp was found by minimising the product
    of the norms of the three matrices' rows, which that error follows.
    """
    equal = math.pi * (np.arange(count) + 0.5) / count
    return equal + WARP * np.sin(4 * equal)


@functools.cache
def matrices(outputs, taps, most_points):
    """The `Matrices` of m = `outputs` and r = `taps`, in pieces of at most `most_points` points.

    Rounding errors grow with the points of a piece: 3e-6 for 8, 5e-6 for 9, 3e-5 for 11 in both
    dimensions. Two pieces need more products, since their inputs overlap by r - 1.
    """
    longest = max(1, most_points - taps + 1)  # outputs of a piece
    count = -(-outputs // longest)
    bounds = [piece * outputs // count for piece in range(count + 1)]
    pieces = [_piece(end - begin, taps) for begin, end in zip(bounds, bounds[1:])]
    rows = sum(len(piece.taps) for piece in pieces)
    a, b, first = np.zeros((rows, outputs)), np.zeros((rows, outputs + taps - 1)), 0
    for piece, begin, end in zip(pieces, bounds, bounds[1:]):
        last = first + len(piece.taps)
        a[first:last, begin:end] = piece.outputs
        b[first:last, begin : end + taps - 1] = piece.inputs
        first = last
    return Matrices(a, np.concatenate([piece.taps for piece in pieces]), b)


def _piece(outputs, taps):
    count = outputs + taps - 1
    cos, sin = np.cos(points(count)), np.sin(points(count))

    def values(length):  # of the polynomials 1, t, t^2, ... of fewer than `length` terms, at each point
        return np.stack([cos ** (length - 1 - j) * sin**j for j in range(length)], axis=1)  # (n, length)

    inputs = np.linalg.inv(values(count)).T  # (n, n)
    # A power of two from each row of B to the same row of G: no rounding, and products of like size.
    scale = 2.0 ** np.round(np.log2(abs(inputs).max(axis=1, keepdims=True)))
    return Matrices(values(outputs), values(taps) * scale, inputs / scale)
