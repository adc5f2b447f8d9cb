"""Checks of exercise 13."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen

COUNT = 2000  # samples: enough to tell a wrong distribution from chance
SIGMAS = 7  # standard deviations of a statistic that a right answer may be off


@check(points=1)
def centres_of_the_ring(student, rng):
    """ring_of_gaussians puts the centres where they belong"""
    for settings in ({"modes": int(rng.choice([5, 7, 9])), "radius": rng.uniform(1, 3)}, {}):
        samples = _ring(student, rng, **settings, std=0.0)
        centres = _centres(**settings)
        distances = np.linalg.norm(samples[:, None] - centres, axis=2)  # (N, K)
        worst = int(np.argmax(distances.min(axis=1)))
        expect(
            distances[worst].min() < 1e-9,
            f"with std = 0 every sample is a centre; {samples[worst]} is {distances[worst].min():.3g} from the nearest",
            given={"settings (the others are the defaults)": settings, "the centres": centres},
        )
        counts = np.bincount(distances.argmin(axis=1), minlength=len(centres))
        _near(counts / COUNT, 1 / len(centres), "the share of each centre", settings)
        repeats = np.mean(np.diff(distances.argmin(axis=1)) == 0)
        _near(repeats, 1 / len(centres), "how often a sample has the same centre as the one before it", settings)
    rows = [_ring(student, rng, 5, modes=5, std=0.0) for _ in range(20)]
    different = [len(np.unique(row.round(6), axis=0)) for row in rows]
    expect(
        min(different) < 5,
        "in each of 20 draws of 5 samples with modes=5, every centre came exactly once: are the centres dealt out in turn, or "
        "shuffled? Independent samples do that in 4 of 100 draws; often a centre comes twice and another not at all",
    )


@check(points=2)
def noise_of_the_ring(student, rng):
    """ring_of_gaussians adds normal noise of the right size, from the generator it is given"""
    largest = 0.0
    for settings in ({"modes": 5, "radius": 9.0, "std": rng.uniform(0.2, 0.8)}, {"radius": 4.0}):
        samples, std = _ring(student, rng, **settings), settings.get("std", 0.1)
        centres = _centres(settings.get("modes", 8), settings["radius"])
        nearest = np.linalg.norm(samples[:, None] - centres, axis=2).argmin(axis=1)
        noise = (samples - centres[nearest]) / std  # (N, 2), standard normal
        error, largest = 1 / np.sqrt(COUNT), max(largest, np.abs(noise).max())
        for value, right, tolerance, what in (
            (noise.mean(axis=0), 0, error, "the mean of the noise, in units of std,"),
            (noise.std(axis=0), 1, error / 2**0.5, "the standard deviation of each coordinate, in units of std,"),
            ((noise[:, 0] * noise[:, 1]).mean(), 0, error, "the mean product of the two coordinates' noise, / std^2,"),
            ((np.abs(noise) > 2).mean(), 0.0455, 0.003, "the share of noise beyond 2 std (4.55% of a normal one)"),
        ):
            expect(
                np.all(np.abs(value - right) < SIGMAS * tolerance),
                f"{what} is {np.round(value, 3)} in {COUNT} samples, but should be near {right}",
                given={"settings (the others are the defaults)": settings},
            )
    expect(
        largest > 3.01,
        f"none of {4 * COUNT} numbers of the noise is larger than 3 std (the largest: {largest:.3f}); of normal ones 1 in 370 is. "
        "Is the noise clipped, or are large numbers drawn again?",
    )
    first, again, other = (_ring(student, np.random.default_rng(s), 5) for s in (1, 1, 2))
    expect(np.array_equal(first, again), "two generators of the same seed should give the same samples")
    expect(not np.array_equal(first, other), "generators of two seeds give the same samples: is rng used?")


@check(points=2)
def nearest(student, rng):
    """nearest_centre finds the index of the nearest centre, and its distance"""
    problems = [
        (frozen(rng.normal(size=(count, size))), frozen(rng.normal(size=(modes, size))))
        for count, modes, size in ((5, 3, 2), (1, 4, 3), (4, 1, 2), (3, 6, 4))
    ]
    problems.append((frozen([[0.0, 0.5]]), frozen([[4.0, 0.0], [0.0, 1.0], [0.0, 0.0]])))  # two equally near
    for samples, centres in problems:
        index, distance = _two(student.nearest_centre(samples, centres), "nearest_centre")
        distances = np.sqrt(((samples[:, None] - centres) ** 2).sum(axis=2))  # (N, K)
        given = {"samples": samples, "centres": centres}
        agree(
            index, distances.argmin(axis=1), "the index of the nearest centre", given,
            slips={"it is the farthest": distances.argmax(axis=1),
                "of two that are equally near it is the last, not the first":
                    len(centres) - 1 - distances[:, ::-1].argmin(axis=1),
                   "the nearest sample of each centre was looked for: the axis is wrong": distances.argmin(axis=0)},
        )  # fmt: skip
        agree(
            distance, distances.min(axis=1), "the distance of the nearest centre", given,
            slips={"the square root is missing": distances.min(axis=1) ** 2,
                   "the coordinates' differences are added up without squares":
                       np.abs(samples[:, None] - centres).sum(axis=2).min(axis=1)},
        )  # fmt: skip
    centres = frozen(rng.normal(size=(40, 2)))
    index, distance = (np.asarray(a, float) for a in _two(student.nearest_centre(centres, centres), "nearest_centre"))
    agree(
        index, np.arange(40), "the index of the nearest centre, for samples that are the centres themselves, in order,"
    )
    expect(
        distance.shape == (40,) and np.all(np.abs(distance) < 1e-6),
        f"the distances of samples that are exactly on a centre should be 0; the first are {distance[:6]}. |a|^2 + |b|^2 - 2 a b "
        "is not exactly 0 for a = b: rounded to less than 0, it has no root",
    )


@check(points=3)
def covered(student, rng):
    """coverage counts the modes with a sample of high quality, and the share of such samples"""
    for samples, centres, std in _problems(rng):
        modes, share = _two(student.coverage(samples, centres, std), "coverage")
        distances, good = _qualities(samples, centres, std)
        given = {"samples": samples, "centres": centres, "std": std}
        agree(
            modes, len(set(distances.argmin(axis=1)[good])), "the number of modes covered", given,
            slips={
                "a mode counts as covered by a sample that is farther than 3 std": len(set(distances.argmin(axis=1))),
                "a sample covers every centre within 3 std, not only the nearest":
                    (distances <= 3 * std).any(axis=0).sum(),
                "it is the number of samples of high quality": good.sum(),
                "the limit is 1 std, not 3": len(set(distances.argmin(axis=1)[distances.min(axis=1) <= std])),
                "exactly 3 std does not count as near":
                    len(set(distances.argmin(axis=1)[distances.min(axis=1) < 3 * std])),
            },
        )  # fmt: skip
        agree(
            share, good.mean(), "the share of high quality", given,
            slips={
                "it is the share of the modes that are covered":
                    len(set(distances.argmin(axis=1)[good])) / len(centres),
                "it is their number, not their share": good.sum(),
                "the limit is 1 std, not 3": (distances.min(axis=1) <= std).mean(),
                "exactly 3 std does not count as near": (distances.min(axis=1) < 3 * std).mean(),
            },
        )  # fmt: skip


@check(points=2)
def shares(student, rng):
    """mode_shares divides the samples of high quality among the modes"""
    for samples, centres, std in _problems(rng):
        distances, good = _qualities(samples, centres, std)
        counts = np.bincount(distances.argmin(axis=1)[good], minlength=len(centres))
        every = np.bincount(distances.argmin(axis=1), minlength=len(centres))
        agree(
            student.mode_shares(samples, centres, std), counts / max(1, good.sum()), "the array of shares",
            given={"samples": samples, "centres": centres, "std": std},
            slips={
                "they are shares of all samples, not of those of high quality": counts / len(samples),
                "samples of low quality are counted, too": every / len(samples),
                "they are numbers of samples, not shares": counts,
            },
        )  # fmt: skip


def _problems(rng):
    """(samples, centres, std): some random ones, then the cases at the edges."""
    for count, modes, size in ((9, 4, 2), (14, 3, 3), (6, 5, 2)):
        centres, std = rng.normal(size=(modes, size)), rng.uniform(0.2, 0.3)
        near = centres[rng.integers(modes, size=count)] + 2 * std * rng.normal(size=(count, size))
        yield frozen(near), frozen(centres), std
    # Sums of powers of two: the distances 0.5, 0.75 = 3 std and 1 have no rounding errors.
    centres = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0]])
    yield frozen([[0.75, 0.0], [4.0, 1.0], [0.0, 1.5]]), frozen(centres), 0.25
    yield frozen([[0.0, 0.5625], [0.25, 1.0]]), frozen(centres), 0.25  # the first is near two centres
    yield frozen([[4.0, 1.0], [3.5, 0.0]]), frozen(centres), 0.25  # one of high quality
    yield frozen([[4.0, 1.0], [8.0, 8.0]]), frozen(centres), 0.25  # none


def _qualities(samples, centres, std):
    distances = np.sqrt(((samples[:, None] - centres) ** 2).sum(axis=2))  # (N, K)
    return distances, distances.min(axis=1) <= 3 * std


def _centres(modes=8, radius=2.0):
    angles = 2 * np.pi * np.arange(modes) / modes
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # (modes, 2)


def _ring(student, rng, count=COUNT, **settings):
    """Samples that have been checked to be an array (count, 2) of numbers."""
    samples = student.ring_of_gaussians(rng, count, **settings)
    expect(samples is not None, "ring_of_gaussians returns None: is there a `return`?")
    samples = np.asarray(samples, float)
    expect(samples.shape == (count, 2), f"{count} samples should have shape ({count}, 2), not {samples.shape}")
    expect(np.isfinite(samples).all(), "some samples are not finite")
    return samples


def _near(shares, right, what, settings):
    """Shares among COUNT independent samples, against their probability."""
    tolerance = SIGMAS * np.sqrt(right * (1 - right) / COUNT)
    expect(
        np.all(np.abs(shares - right) < tolerance),
        f"{what} is {np.round(shares, 3)} in {COUNT} samples; for equally likely, independent ones it is {right:.3f}",
        given={"settings (the others are the defaults)": settings},
    )


def _two(answer, name):
    try:
        first, second = answer
    except (TypeError, ValueError):
        raise Mistake(f"{name} should return two things, but returns {answer!r:.100}") from None
    return first, second
