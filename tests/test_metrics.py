"""Scores against SciPy, published implementations, closed forms and known extremes; intervals against fresh draws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan import metrics

SEEDS = st.integers(0, 2**32 - 1)


def features(seed, count=200, dimensions=5, mean=0.0, scale=1.0):
    """Correlated normal features."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(dimensions, dimensions))
    return rng.normal(size=(count, dimensions)) @ mixing * scale + mean


def frechet(a, b):
    return metrics.frechet_distance(metrics.Gaussian(a), metrics.Gaussian(b))


@given(seed=SEEDS, dimensions=st.integers(1, 12), few=st.booleans())
def test_frechet_distance_is_that_of_the_matrix_square_root(seed, dimensions, few):
    linalg = pytest.importorskip("scipy.linalg")
    a, b = features(seed, 60, dimensions, 0.3, 0.5), features(seed + 1, 8 if few else 90, dimensions)
    covariances = np.cov(a, rowvar=False).reshape(dimensions, -1), np.cov(b, rowvar=False).reshape(dimensions, -1)
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    # SciPy's root of a singular product is good to the root of the rounding error only.
    assert frechet(a, b) == pytest.approx(expected, rel=1e-4 if few else 1e-7, abs=1e-4 if few else 1e-7)


def test_frechet_distance_of_gaussians_whose_covariances_commute():
    a, b = metrics.Gaussian(np.zeros((2, 3))), metrics.Gaussian(np.zeros((2, 3)))
    a.mean, b.mean = np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 3.0])
    a.covariance, b.covariance = np.diag([4.0, 9.0, 0.0]), np.diag([1.0, 25.0, 4.0])
    assert metrics.frechet_distance(a, b) == pytest.approx(2**2 + (2 - 1) ** 2 + (3 - 5) ** 2 + (0 - 2) ** 2, abs=1e-12)


@given(seed=SEEDS)
def test_frechet_distance_does_not_know_order_directions_or_origin(seed):
    a, b = features(seed), features(seed + 1, 150, mean=1)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(5, 5)))
    distance = frechet(a, b)
    assert distance == pytest.approx(frechet(b, a), rel=1e-9)
    assert distance == pytest.approx(frechet(a[::-1] @ rotation + 7, b @ rotation + 7), rel=1e-6)
    assert 9 * distance == pytest.approx(frechet(3 * a, 3 * b), rel=1e-9)
    assert frechet(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_images_that_are_all_alike():
    a = np.ones((10, 4))
    assert frechet(a, a) == 0
    b = features(1, dimensions=4)
    expected = ((b.mean(0) - 1) ** 2).sum() + b.var(0, ddof=1).sum()
    assert frechet(a, b) == pytest.approx(expected)
    with pytest.raises(ValueError, match="at least 2"):
        metrics.Gaussian(a[:1])


@given(seed=SEEDS, sharpness=st.floats(0.1, 30))
def test_inception_score_is_that_of_scipys_entropy(seed, sharpness):
    stats = pytest.importorskip("scipy.stats")
    logits = np.random.default_rng(seed).normal(size=(50, 10)) * sharpness
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    expected = np.exp(stats.entropy(p, p.mean(0)[None], axis=1).mean())
    assert metrics.inception_score(p) == pytest.approx(expected, rel=1e-9)


def test_extremes_of_the_inception_score():
    sure = np.eye(10, dtype=np.float32)
    assert metrics.inception_score(np.tile(sure, (7, 1))) == pytest.approx(10)
    assert metrics.inception_score(np.tile(sure[:3], (7, 1))) == pytest.approx(3)
    assert metrics.inception_score(np.tile(sure[:1], (7, 1))) == pytest.approx(1)
    assert metrics.inception_score(np.full((20, 10), 0.1)) == pytest.approx(1)


def test_divergence_of_class_shares():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    for _ in range(20):
        a, b = rng.dirichlet(np.ones(10), 2)
        a[rng.integers(10)] = 0
        a /= a.sum()
        assert metrics.class_divergence(a, b) == pytest.approx(stats.entropy(a, b), rel=1e-9)
        assert metrics.class_divergence(b, b) == 0
    assert metrics.class_divergence([0.5, 0.5], [1, 0]) == math.inf
    assert metrics.class_divergence([1, 0], [0.5, 0.5]) == pytest.approx(math.log(2))
    np.testing.assert_array_equal(metrics.class_shares(np.array([0, 3, 3, 0]), 5), [0.5, 0, 0, 0.5, 0])


def neighbour_values(real, fake):
    """The four scores' values, by name."""
    manifolds = metrics.Manifold(real), metrics.Manifold(fake)
    found = metrics.neighbour_scores(*manifolds, np.random.default_rng(0))
    assert all(0 <= e.low <= e.value <= e.high for e in found.values())
    return {name: estimate.value for name, estimate in found.items()}


def by_definition(real, fake):
    """The papers' formulas, from whole matrices of distances."""
    distance = lambda a, b: np.sqrt(((a[:, None] - b) ** 2).sum(2))  # noqa: E731
    radius = lambda a, k: np.sort(distance(a, a), 1)[:, k]  # noqa: E731  (the nearest is the point itself)
    between = distance(real, fake)
    return {
        "precision": (between <= radius(real, 3)[:, None]).any(0).mean(),
        "recall": (between <= radius(fake, 3)).any(1).mean(),
        "density": (between <= radius(real, 5)[:, None]).sum() / (5 * len(fake)),
        "coverage": (between.min(1) <= radius(real, 5)).mean(),
    }


@given(seed=SEEDS, counts=st.tuples(st.integers(6, 60), st.integers(6, 60)), mean=st.floats(0, 3))
def test_neighbour_scores_are_what_the_papers_define(seed, counts, mean):
    real, fake = features(seed, counts[0]), features(seed + 1, counts[1], mean=mean, scale=0.8)
    assert neighbour_values(real, fake) == pytest.approx(by_definition(real, fake), abs=1e-12)
    moved = {"real": real[::-1] * 4 + 9, "fake": fake * 4 + 9}
    assert neighbour_values(**moved) == pytest.approx(by_definition(real, fake), abs=1e-12)


def test_neighbour_scores_are_those_of_the_prdc_package(capsys):
    prdc = pytest.importorskip("prdc")
    for seed in range(3):
        real, fake = features(seed, 300), features(seed + 1, 250, mean=0.5)
        ours = neighbour_values(real, fake)
        for k, names in ((3, ("precision", "recall")), (5, ("density", "coverage"))):
            theirs = prdc.compute_prdc(real, fake, k)
            for name in names:
                assert ours[name] == pytest.approx(theirs[name], abs=1e-12)


def test_distances_in_blocks_are_distances(monkeypatch):
    real, fake = features(0, 50), features(1, 40, mean=0.5)
    whole = neighbour_values(real, fake), metrics.nearest_distances(real, fake)
    monkeypatch.setattr(metrics, "BLOCK", 7)
    shares = []
    manifold = metrics.Manifold(real, shares.append)
    metrics.neighbour_scores(manifold, metrics.Manifold(fake), np.random.default_rng(0), shares.append)
    assert sum(shares) == pytest.approx(2) and len(shares) == 16
    assert neighbour_values(real, fake) == whole[0]
    np.testing.assert_array_equal(metrics.nearest_distances(real, fake), whole[1])


def test_neighbour_scores_of_the_same_set_of_another_and_of_a_collapsed_one():
    real, far = features(0), features(1, mean=100)
    assert neighbour_values(real, real) == {"precision": 1, "recall": 1, "density": pytest.approx(1.2), "coverage": 1}
    assert neighbour_values(real, far) == dict.fromkeys(("precision", "recall", "density", "coverage"), 0)
    nearly_one = real[:1] + 1e-3 * features(2)  # all about one real image
    collapsed = neighbour_values(real, nearly_one)
    assert collapsed["precision"] == 1 and collapsed["recall"] < 0.02 and collapsed["coverage"] < 0.1
    same = neighbour_values(real, np.tile(real[:1] + 1e-3, (50, 1)))
    assert same["precision"] == 1 and same["recall"] <= 0.005 and not math.isnan(same["density"])


def test_equal_distributions_have_the_density_and_coverage_that_naeem_et_al_derive():
    rng = np.random.default_rng(0)
    count, other = 100, 150
    found = [neighbour_values(rng.normal(size=(count, 3)), rng.normal(size=(other, 3))) for _ in range(60)]
    density, coverage = (np.array([f[name] for f in found]) for name in ("density", "coverage"))
    expected = 1 - math.prod((count - i) / (count + other - i) for i in range(1, 6))  # lemma 2
    assert density.mean() == pytest.approx(1, abs=4 * density.std() / 60**0.5)  # lemma 1
    assert coverage.mean() == pytest.approx(expected, abs=4 * coverage.std() / 60**0.5)


def test_a_set_without_enough_neighbours_is_refused():
    metrics.Manifold(features(0, 6))
    with pytest.raises(ValueError, match="at least 6 images, not 5"):
        metrics.Manifold(features(0, 5))


@given(seed=SEEDS)
def test_nearest_distances_are_scipys(seed):
    distance = pytest.importorskip("scipy.spatial.distance")
    rng = np.random.default_rng(seed)
    points, others = (rng.integers(0, 256, (n, 30)).astype(np.float32) / np.float32(255) for n in (20, 35))
    others[3] = points[5]
    expected = distance.cdist(points.astype(np.float64), others.astype(np.float64))
    found = metrics.nearest_distances(points, others)
    assert found[5] == 0
    np.testing.assert_allclose(found, expected.min(1), rtol=1e-6)
    skip = rng.integers(0, 35, 20)
    expected[np.arange(20), skip] = np.inf
    np.testing.assert_allclose(metrics.nearest_distances(points, others, skip), expected.min(1), rtol=1e-6)


def test_the_interval_of_a_mean_covers_it_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    covered = widths = 0
    for _ in range(300):
        values = rng.exponential(size=80)
        estimate = metrics.bootstrap(lambda rows: values[rows].mean(), 80, rng)  # noqa: B023
        assert estimate.value == values.mean() and estimate.low < estimate.value < estimate.high
        covered += estimate.low <= 1 <= estimate.high
        widths += estimate.high - estimate.low
    assert 0.88 <= covered / 300 <= 0.99
    assert widths / 300 == pytest.approx(2 * 1.96 / 80**0.5, rel=0.06)


def test_the_interval_of_a_biased_score_covers_its_mean_over_fresh_draws():
    rng = np.random.default_rng(0)
    training = metrics.Gaussian(features(0, 5000, 15))
    draw = lambda: features(rng.integers(2**32), 60, 15, mean=0.5)  # noqa: E731
    mean = np.mean([metrics.frechet_distance(training, metrics.Gaussian(draw())) for _ in range(400)])
    covered = 0
    for _ in range(60):
        fake = draw()
        score = lambda rows: metrics.frechet_distance(training, metrics.Gaussian(fake[rows]))  # noqa: B023, E731
        estimate = metrics.bootstrap(score, 60, rng, draws=100)
        covered += estimate.low <= mean <= estimate.high
        assert estimate.low < estimate.value < estimate.high
    assert 0.85 <= covered / 60 <= 1


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.2])
def test_the_intervals_of_neighbour_scores_are_as_wide_as_fresh_draws_say(scale):
    rng = np.random.default_rng(0)
    real = metrics.Manifold(features(0, 200))
    found = [
        metrics.neighbour_scores(real, metrics.Manifold(features(seed, 200, mean=1, scale=scale)), rng)
        for seed in range(1, 61)
    ]
    for name in ("precision", "recall", "density", "coverage"):
        values, low, high = np.array([estimates[name] for estimates in found]).T
        widest = 1.2 if name in ("precision", "density") else 1.7
        assert 0.8 < (high - low).mean() / 3.92 / values.std() < widest, name
        assert ((low <= values.mean()) & (values.mean() <= high)).mean() > 0.85, name


def test_an_interval_stays_within_what_the_score_can_be():
    rng = np.random.default_rng(0)
    mostly = np.ones(40)
    mostly[0] = 0
    estimate = metrics.bootstrap(lambda rows: mostly[rows].mean(), 40, rng, most=1.0)
    assert estimate.low < estimate.value < estimate.high == 1
    assert metrics.bootstrap(lambda rows: np.ones(40)[rows].mean(), 40, rng, most=1.0) == (1, 1, 1)
    again = metrics.bootstrap(lambda rows: mostly[rows].mean(), 40, np.random.default_rng(0), most=1.0)
    assert again == estimate
