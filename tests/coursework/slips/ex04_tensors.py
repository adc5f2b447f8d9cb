"""Slips of exercise 4: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

STRETCHED = """    stretched = tuple(d for d, n in enumerate(shape) if n < g.shape[d])
    return g.sum(axis=stretched, keepdims=True)
"""
SLIPS = [
    ("dimensions dropped", "arrays", "axis=stretched, keepdims=True", "axis=stretched", "the stretched dimensions are gone"),
    ("float32", "arrays", "g = g.sum(axis=tuple(range(g.ndim - len(shape))))", "g = g.astype(np.float32).sum(axis=tuple(range(g.ndim - len(shape))))", "stay in float64"),
    ("one added dimension", "arrays", "g = g.sum(axis=tuple(range(g.ndim - len(shape))))", "g = g.sum(axis=0) if g.ndim > len(shape) else g", ""),
    ("only added ones", "arrays", STRETCHED, "    return g\n", "only the dimensions that were added are summed"),
    ("added at the end", "arrays", "range(g.ndim - len(shape))", "range(len(shape), g.ndim)", "NumPy adds them in front"),
    ("mean for sum", "other", "np.add.reduce(g, d, keepdims=True)", "g.mean(d, keepdims=True)", "it is a mean"),
    ("not undone", "arrays", "unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)", "g * b, g * a", "broadcasting is not undone"),
    ("factors by themselves", "loops", "unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)",
     "unbroadcast(g * a, a.shape), unbroadcast(g * b, b.shape)", "multiplied by itself"),
    ("cotangent forgotten", "loops", "unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)",
     "unbroadcast(b + 0 * g, a.shape), unbroadcast(a + 0 * g, b.shape)", "the cotangent g is ignored"),
    ("one array", "loops", "return unbroadcast(g * b, a.shape), unbroadcast(g * a, b.shape)", "return unbroadcast(g * b, a.shape)", "two arrays"),
    ("b not transposed", "arrays", "g @ b.mT", "g @ b", "a factor changes sides transposed"),
    ("wrong side", "arrays", "a.mT @ g", "g @ a.mT", "the factors are on the wrong sides"),
    ("result transposed", "other", "...mn,...kn->...mk", "...mn,...kn->...km", "the result is transposed"),
    ("stack not summed", "arrays", "unbroadcast(a.mT @ g, b.shape)", "a.mT @ g", "the stack is not summed"),
    (".T of a stack", "arrays", "g @ b.mT", "g @ b.T", ".T reverses all dimensions"),
    ("wrong dimension", "arrays", "        g = np.expand_dims(g, axis)\n", "        pass\n", "copied along the wrong dimension"),
    ("as for a mean", "other", "np.ones(a.shape) * g", "a.sum(axis, keepdims=True).size / a.size * np.ones(a.shape) * g", "as for a mean"),
    ("keepdims overlooked", "arrays", "axis is not None and not keepdims", "axis is not None", "Error"),
    ("changed in place", "arrays", "    g = g.sum(axis=tuple(range(g.ndim - len(shape))))\n",
     "    g += 0\n    g = g.sum(axis=tuple(range(g.ndim - len(shape))))\n", "read-only"),
]  # fmt: skip
