"""Exercise 5: a gradient check that notices (lesson 5). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex05

Everywhere f is a function of an array of x's shape that returns an array, of any shape; vjp(g, x) returns what claims
to be the gradient of <g, f(x)> in x, for a cotangent g of f(x)'s shape; <a, b> is the sum of the products of the
elements. x, v and g are left as they were.
"""

import numpy as np


def directional_difference(f, x, v, g, h=1e-5):
    """How fast <g, f> changes along v: (<g, f(x + h v)> - <g, f(x - h v)>) / 2h, a number.

    v: a direction, an array of x's shape, of any length. h: the step.
    """
    raise NotImplementedError("directional_difference")


def gradient_is_right(f, vjp, x, rng, h=1e-5, rtol=1e-6, atol=1e-9):
    """Whether vjp agrees with f at x, along a random direction and for a random cotangent: True or False.

    Draws g of f(x)'s shape first, then v of x's shape, both by rng.standard_normal. With the gradient G = vjp(g, x) and
    the directional difference d it is right where

        |<G, v> - d| <= atol (1 + |<g, f(x)>|) + rtol max(|G|, |d|),

    |G| being the root of the sum of its squares. (The first term is for rounding, which grows with <g, f>.) A gradient
    of another shape than x's is wrong, and so is one that holds a NaN.
    """
    raise NotImplementedError("gradient_is_right")


def worst_element(f, vjp, x, g, h=1e-5):
    """Where vjp(g, x) is furthest from central differences of <g, f>, taken one element of x at a time.

    Furthest is what has the largest |analytic - numeric|: any of the elements if all are right to the last bit.
    Returns (index, analytic, numeric): the element's index, a tuple of ints, and its two derivatives, numbers.
    """
    raise NotImplementedError("worst_element")
