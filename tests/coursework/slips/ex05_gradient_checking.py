"""Slips of exercise 5: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

SHAPE = """    if gradient.shape != x.shape:
        return False
"""
SLIPS = [
    ("cotangent of ones", "loops", "g = rng.standard_normal(y.shape)", "g = np.ones(y.shape)", "it is all ones, which hides"),
    ("direction first", "loops", "    g = rng.standard_normal(y.shape)\n    v = rng.standard_normal(x.shape)\n",
     "    v = rng.standard_normal(x.shape)\n    g = rng.standard_normal(y.shape)\n", "the direction was drawn first"),
    ("uniform", "arrays", "g = rng.standard_normal(y.shape)", "g = rng.random(y.shape)", "it is uniform, not normal"),
    ("one index", "arrays", "v = rng.standard_normal(x.shape)", "v = np.zeros(x.shape); v[(0,) * x.ndim] = rng.normal()", "in one element only"),
    ("unit vector", "arrays", "v = rng.standard_normal(x.shape)", "v = rng.standard_normal(x.shape); v /= np.linalg.norm(v)", "it is a unit vector"),
    ("float32", "other", "g = rng.normal(size=np.shape(f(x)))", "g = rng.normal(size=np.shape(f(x))).astype(np.float32); x = np.float32(x)", "along which f was nudged is wrong"),
    ("forward difference", "loops", "    below = inner(g, f(x - h * v))\n", "    below = inner(g, f(x)); h = h / 2\n", "the difference is forward"),
    ("divided by h", "arrays", " / (2 * h)", " / h", "divided by h where it should be by 2h"),
    ("cotangent ignored", "arrays", "np.vdot(g, f(x + h * v) - f(x - h * v))", "np.sum(f(x + h * v) - f(x - h * v))", "the cotangent g is ignored"),
    ("direction to length 1", "loops", "    above = inner(g", "    v = v / math.sqrt(inner(v, v))\n    above = inner(g", "brought to length 1"),
    ("step fixed", "loops", "    above = inner(g", "    h = 1e-5\n    above = inner(g", "h is not used"),
    ("loose tolerance", "other", "rtol * np.max", "1e-2 + rtol * np.max", "1.1 times what should be tolerated"),
    ("no tolerance for small numbers", "arrays", "rounding + rtol", "rtol", "0.9 times what should be tolerated"),
    ("norm forgotten", "arrays", "np.maximum(np.linalg.norm(gradient), np.abs(d))", "np.abs(d)", "times what should be tolerated"),
    ("NaN passes", "arrays", "return np.abs(np.vdot(gradient, v) - d) <= rounding + rtol * np.maximum(np.linalg.norm(gradient), np.abs(d))",
     "return not np.abs(np.vdot(gradient, v) - d) > rounding + rtol * np.maximum(np.linalg.norm(gradient), np.abs(d))", "vjp is NaN in one element"),
    ("shape not looked at", "loops", SHAPE, "", "flattened to shape"),
    ("no verdict", "loops", "    return abs(inner(gradient, v) - d) <= tolerance", "    assert abs(inner(gradient, v) - d) <= tolerance", "should return True or False"),
    ("largest with its sign", "loops", "error = abs(gradient[index] - numeric)", "error = gradient[index] - numeric", "the largest with its sign"),
    ("relative error", "loops", "error = abs(gradient[index] - numeric)", "error = abs(gradient[index] - numeric) / abs(numeric)", "in relation to the derivative"),
    ("search from 0", "loops", "    largest = -math.inf\n", "    largest, worst = 0.0, None\n", "start at 0, and find none above"),
    ("a flat index", "arrays", "worst = np.unravel_index(np.argmax(np.abs(gradient - numeric)), x.shape)\n    return worst, gradient[worst], numeric[worst]",
     "worst = int(np.argmax(np.abs(gradient - numeric)))\n    return worst, gradient.flat[worst], numeric.flat[worst]", "should be a tuple"),
    ("derivatives exchanged", "arrays", "return worst, gradient[worst], numeric[worst]", "return worst, numeric[worst], gradient[worst]", "it is the numeric one"),
]  # fmt: skip
