"""Scores of generated images, from features and class probabilities of a classifier: plain NumPy, a formula a function.

Arrays have one row an image. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule" (2017): Fréchet distance.
Salimans et al., "Improved Techniques for Training GANs" (2016): Inception Score. Kynkäänniemi et al., "Improved Precision
and Recall Metric for Assessing Generative Models" (2019). Naeem et al., "Reliable Fidelity and Diversity Metrics" (2020):
density and coverage. The intervals are Efron's bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993).
"""

import functools
import math
from typing import NamedTuple

import numpy as np

BLOCK = 250  # rows of a matrix of distances that are in memory at a time
PRECISION_K, DENSITY_K = 3, 5  # the neighbours that the two papers recommend
DRAWS = 200  # samples drawn again for an interval


class Gaussian:
    """The normal distribution with the mean (D,) and unbiased covariance (D, D) of features (N, D).

    Raises ValueError for fewer than two rows.
    """

    def __init__(self, features):
        features = np.asarray(features, np.float64)
        if len(features) < 2:
            raise ValueError(f"a covariance needs at least 2 images, not {len(features)}")
        self.mean = features.mean(0)
        centred = features - self.mean
        self.covariance = centred.T @ centred / (len(features) - 1)

    @functools.cached_property
    def root(self):
        """The symmetric square root of the covariance, (D, D)."""
        values, vectors = np.linalg.eigh(self.covariance)
        return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def frechet_distance(a, b):
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of two `Gaussian`s: Heusel et al. 2017, equation 6.

    The square of the 2-Wasserstein distance, and zero only for equal Gaussians. Estimated from N images it is too large by
    an amount that falls as 1 / N (Chong and Forsyth, "Effectively Unbiased FID and Inception Score", 2020): compare scores
    of the same number of images. The trace of the root is computed as the sum of the roots of the eigenvalues of R C_b R,
    R the root of C_a: they are those of C_a C_b, but of a symmetric matrix, so that no imaginary parts appear that would
    have to be dropped.
    """
    eigenvalues = np.linalg.eigvalsh(a.root @ b.covariance @ a.root)
    cross = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    distance = ((a.mean - b.mean) ** 2).sum() + np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
    return float(max(distance, 0.0))


def inception_score(probabilities):
    """exp(mean of KL(p(y|x) || p(y))), p(y) the mean of probabilities p(y|x) (N, K): Salimans et al. 2016, section 4.

    From 1, where the classifier says the same of every image, to K: sure of each image, and all classes equally often.
    All images are one sample: the mean over ten splits, which that paper reports, is lower the smaller the splits are
    (Barratt and Sharma, "A Note on the Inception Score", 2018).
    """
    p = np.asarray(probabilities, np.float64)
    marginal = p.mean(0)
    return float(np.exp((_times_log(p, p) - _times_log(p, marginal)).sum(1).mean()))


def class_shares(classes, count):
    """The shares (count,) of the classes 0 .. count - 1 among integers (N,)."""
    return np.bincount(classes, minlength=count) / len(classes)


def class_divergence(shares, reference):
    """KL(shares || reference) in nats of two class histograms that sum to 1; infinite where the reference lacks a class.

    The same shares in N images as in the reference still give (K - 1) / 2N on average.
    """
    shares, reference = np.asarray(shares, np.float64), np.asarray(reference, np.float64)
    if (shares[reference == 0] > 0).any():
        return math.inf
    return float(max((_times_log(shares, shares) - _times_log(shares, reference)).sum(), 0.0))


def _times_log(a, b):
    """a log b, and 0 where a is 0."""
    return a * np.log(np.where(a > 0, b, 1.0))


class Manifold:
    """What a set of features (N, D) covers: around each a ball as large as the distance to its k-th neighbour in the set.

    squared_radii: {k: (N,)} for both papers' k. Kynkäänniemi et al. 2019, section 2. Raises ValueError for a set too
    small to have so many neighbours.
    """

    def __init__(self, points, progress=None):
        self.points = np.asarray(points, np.float64)
        count, ks = len(self.points), (PRECISION_K, DENSITY_K)
        if count <= max(ks):
            raise ValueError(f"a {max(ks)}-th neighbour needs at least {max(ks) + 1} images, not {count}")
        self.squared_radii = {k: np.empty(count) for k in ks}
        for rows, squared in _squared_distances(self.points, self.points, progress):
            squared[np.arange(len(squared)), np.arange(rows.start, rows.stop)] = np.inf  # nobody's own neighbour
            ordered = np.partition(squared, [k - 1 for k in ks], axis=1)
            for k in ks:
                self.squared_radii[k][rows] = ordered[:, k - 1]


def neighbour_scores(real, fake, rng, progress=None):
    """{"precision": Estimate, "recall": ..., "density": ..., "coverage": ...} of two `Manifold`s.

    precision: the share of fake features in a ball of the real manifold, k = 3; recall: of real ones in a ball of the fake
    manifold (Kynkäänniemi et al. 2019, equations 1 and 2). density: the mean number of real balls that a fake one is in,
    over k = 5; coverage: the share of real balls that hold a fake one (Naeem et al. 2020, section 3.2). Equal
    distributions have a density of 1 and, where the sets are of one size, a coverage of 0.97 on average; density may
    exceed 1. All of them depend on the sizes of both sets: compare scores of the same numbers of images.

    The intervals cover what those of `bootstrap` do: the mean over fresh draws of as many fake images, the real ones as
    they are. A precision or density is a mean over fake images, which are drawn again. Recall and coverage are not, and a
    fake image drawn twice would have a neighbour at distance 0; what is drawn again are the fake images' contributions,
    each the number of real images that it alone covers. This is the jackknife's variance, which errs on the wide side
    (Efron and Stein, "The Jackknife Estimate of Variance", 1981).
    """
    precise, dense = np.zeros(len(fake.points), bool), np.zeros(len(fake.points))
    recalled, covered = _Cover(len(fake.points)), _Cover(len(fake.points))
    for rows, squared in _squared_distances(real.points, fake.points, progress):
        precise |= (squared <= real.squared_radii[PRECISION_K][rows, None]).any(0)
        recalled.add(squared <= fake.squared_radii[PRECISION_K])
        in_real = squared <= real.squared_radii[DENSITY_K][rows, None]
        dense += in_real.sum(0) / DENSITY_K
        covered.add(in_real)
    return {
        "precision": bootstrap(lambda chosen: precise[chosen].mean(), len(precise), rng, most=1.0),
        "recall": recalled.estimate(rng),
        "density": bootstrap(lambda chosen: dense[chosen].mean(), len(dense), rng),
        "coverage": covered.estimate(rng),
    }


class _Cover:
    """The share of real images that some of `count` fake ones cover, told block by block which covers which."""

    def __init__(self, count):
        self.seen = self.covered = 0
        self.alone = np.zeros(count)  # how many real images a fake one alone covers

    def add(self, covers):
        """covers: (rows, count) bool, a row a real image."""
        times = covers.sum(1)
        self.seen += len(covers)
        self.covered += np.count_nonzero(times)
        self.alone += np.bincount(covers[times == 1].argmax(1), minlength=len(self.alone))

    def estimate(self, rng):
        """The share and its interval."""
        rest = self.covered - self.alone.sum()
        share = lambda chosen: (rest + self.alone[chosen].sum()) / self.seen  # noqa: E731
        return bootstrap(share, len(self.alone), rng, most=1.0)


def nearest_distances(points, others, skip=None, progress=None):
    """The Euclidean distance of each of points (N, D) to the nearest of others (M, D): (N,).

    The nearest is sought in float32; its distance is then computed exactly: 0 means a copy.

    skip: (N,) the index in others of the point itself, which is not meant.
    """
    points, others = np.asarray(points, np.float32), np.asarray(others, np.float32)
    distances = np.empty(len(points))
    for rows, squared in _squared_distances(points, others, progress):
        if skip is not None:
            squared[np.arange(len(squared)), skip[rows]] = np.inf
        difference = points[rows].astype(np.float64) - others[squared.argmin(1)]
        distances[rows] = np.sqrt((difference**2).sum(1))
    return distances


def _squared_distances(points, others, progress=None):
    """(rows of points as a slice, their squared distances (rows, M) to others), a block after the other.

    |x - y|^2 = |x|^2 + |y|^2 - 2 xy = (x, |x|^2, 1) (-2 y, 1, |y|^2): a matrix product does it all, up to rounding.
    progress(share): told what share is done.
    """
    ones = np.ones((len(others), 1), others.dtype)
    others = np.hstack([-2 * others, ones, (others**2).sum(1, keepdims=True)]).T  # (D + 2, M)
    for start in range(0, len(points), BLOCK):
        block = points[start : start + BLOCK]
        block = np.hstack([block, (block**2).sum(1, keepdims=True), ones[:1].repeat(len(block), 0)])  # (rows, D + 2)
        yield slice(start, start + len(block)), block @ others
        if progress:
            progress(len(block) / len(points))


class Estimate(NamedTuple):
    """A score and its 95 % interval."""

    value: float
    low: float
    high: float


def bootstrap(score, count, rng, least=0.0, most=math.inf, draws=DRAWS, progress=None):
    """The Estimate of score(rows), rows an array of indices: its value on all `count` rows, and its 95 % interval.

    The interval covers the mean of the score over fresh draws of `count` images from where these came, all else (the
    training images, the classifier) as it is; to compare two trained networks, compare several runs of each. It spans the
    middle 95 % of the scores of `draws` samples that were drawn again from the rows, with replacement, moved so that
    their mean is the value: a score that few images bias (the Fréchet distance, a KL divergence) is biased once more in
    such a sample, and its plain quantiles would lie beside the value. It does not say how large the bias itself is. It is
    too wide where such a score is near its least. Where all rows are alike it has no width: a share of 0 or 1 among
    `count` images may be wrong by 3 / count.

    least, most: what the score can be; the interval ends there.
    """
    value, values = score(np.arange(count)), np.empty(draws)
    for draw in range(draws):
        values[draw] = score(rng.integers(0, count, count))
        if progress:
            progress(1 / draws)
    low, high = value + np.quantile(values - values.mean(), (0.025, 0.975))
    return Estimate(float(value), float(np.clip(low, least, value)), float(np.clip(high, value, most)))
