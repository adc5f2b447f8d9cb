"""Slips of exercise 13: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

SLIPS = [
    ("one standard deviation", "arrays", "good = distance <= 3 * std", "good = distance <= std", "the limit is 1 std, not 3"),
    ("3 std do not count", "loops", "if distance <= 3 * std:\n            covered", "if distance < 3 * std:\n            covered",
     "exactly 3 std does not count"),
    ("far samples cover a mode", "arrays", "np.unique(index[good])", "np.unique(index)", "by a sample that is farther than 3 std"),
    ("number for share", "arrays", "good.mean()", "good.sum()", "their number, not their share"),
    ("every centre within 3 std", "other", "good.any(1).sum(), good",
     "(np.linalg.norm(samples[:, None] - centres, axis=2) <= 3 * std).any(0).sum(), good", "not only the nearest"),
    ("shares of all samples", "arrays", "counts / max(counts.sum(), 1)", "counts / len(samples)", "shares of all samples"),
    ("counts, not shares", "loops", "good.count(k) / len(good)", "good.count(k)", "numbers of samples, not shares"),
    ("squared distance", "other", "np.sqrt(squares.min(0))", "squares.min(0)",
     "the square root is missing"),
    ("wrong axis", "arrays", "distances.argmin(axis=1), ", "distances.argmin(axis=0), ", "the index of the nearest centre has shape"),
    ("the same noise in both coordinates", "arrays", "rng.normal(0, std, (n, 2))", "rng.normal(0, std, (n, 1))",
     "mean product of the two coordinates"),
    ("variance for standard deviation", "arrays", "rng.normal(0, std, (n, 2))", "rng.normal(0, std**2, (n, 2))", "the standard deviation of each"),
    ("uniform noise", "arrays", "rng.normal(0, std, (n, 2))", "std * 12**0.5 * (rng.random((n, 2)) - 0.5)", "beyond 2 std"),
    ("modes in turn", "arrays", "centres[rng.integers(modes, size=n)]", "centres[np.arange(n) % modes]", "the same centre as the one before"),
    ("a generator of its own", "other", "turns = rng.choice", "rng = np.random.default_rng(0); turns = rng.choice", "is rng used"),
    ("angles up to 2 pi, both included", "arrays", "2 * np.pi * np.arange(modes) / modes", "np.linspace(0, 2 * np.pi, modes)", "from the nearest"),
]  # fmt: skip
