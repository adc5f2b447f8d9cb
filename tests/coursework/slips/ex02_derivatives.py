"""Slips of exercise 2: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

SLIPS = [
    ("divided by h, not 2h", "loops", "/ (2 * h)", "/ h", "divided by h where it should be by 2h"),
    ("forward difference", "arrays", "f(x + step) - f(x - step)", "2 * (f(x + step) - f(x))", "the difference is forward"),
    ("the step is fixed", "loops", "gradient = np.zeros(x.shape)", "gradient, h = np.zeros(x.shape), 1e-5", "h is not used"),
    ("every element nudged at once", "arrays", "h * np.eye(x.size)", "h * np.ones((x.size, x.size))", "worst at index"),
    ("not put back", "other", "        flat[i] = middle\n", "", "x.prod() with h = 0.1"),
    ("ints nudged", "loops", "above = x.astype(float)\n        above[index] += h\n        below = x.astype(float)", "above = x.copy()\n        above[index] += h\n        below = x.copy()",
     "nudge a copy of floats"),
    ("a gradient of ints", "loops", "np.zeros(x.shape)", "np.zeros_like(x)", "kept in an array of ints"),
    ("squeezed", "arrays", "return x.T @ (", "return x.squeeze().T @ (", ""),
    ("sum for mean", "arrays", " / len(y)", "", "the mean over the images is missing"),
    ("first image only", "loops", "for image, label in zip(x, y):\n        s = sum(a * b for a, b in zip(image, w))\n        for d",
     "for image, label in zip(x[:1], y):\n        s = sum(a * b for a, b in zip(image, w))\n        for d", "the sum over the images is missing"),
    ("labels exchanged", "arrays", "- y * s", "- (1 - y) * s", "real and fake are exchanged"),
    ("sign", "arrays", "return x.T @ (", "return -x.T @ (", "its sign is wrong"),
]  # fmt: skip
