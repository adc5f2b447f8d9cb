"""Checks of exercise 20."""

import numpy as np
from grading.check import check
from grading.compare import agree, expect, frozen


@check(points=2)
def distances(student, rng):
    """nearest gives the distance to the nearest, with pixels from 0 to 1"""
    for _ in range(3):
        images, others = _images(rng)
        a, b = images[:, None].astype(float), others[None].astype(float)  # (N, 1, H, W), (1, M, H, W)
        squares = ((a - b) ** 2).sum((2, 3))  # (N, M)
        wrapped = images[:, None] - others[None]  # uint8, as it should not be
        _, found = _pair(student.nearest(images, others))
        agree(
            found, np.sqrt(squares.min(1)) / 255, "the array of distances", given={"images": images, "others": others},
            slips={
                "uint8 pixels were subtracted: 3 - 5 is 254 there": np.sqrt((wrapped.astype(float) ** 2).sum((2, 3)).min(1)) / 255,
                "uint8 pixels were subtracted and squared: both wrap around at 256":
                    np.sqrt((wrapped * wrapped).sum((2, 3), dtype=float).min(1)) / 255,
                "the pixels still go from 0 to 255": np.sqrt(squares.min(1)),
                "the sum is divided by 255, the root comes after": np.sqrt(squares.min(1) / 255),
                "the root is missing": squares.min(1) / 255**2,
                "the mean over the pixels is taken, not the sum": np.sqrt(squares.min(1) / images[0].size) / 255,
                "differences are added without being squared": np.abs(a - b).sum((2, 3)).min(1) / 255,
                "it is the farthest, not the nearest": np.sqrt(squares.max(1)) / 255,
                "every image got the nearest of all pairs": np.full(len(images), np.sqrt(squares.min()) / 255),
            },
        )  # fmt: skip
    images = rng.integers(0, 256, size=(20, 5, 4), dtype=np.uint8)
    order = rng.permutation(20)
    others = frozen(images[order])
    _, found = _quietly(lambda: _pair(student.nearest(frozen(images), others)))
    given = {"images": images, "others": others}
    if np.shape(found) == (20,) and np.isnan(np.asarray(found, float)).any():
        expect(
            False,
            "a distance is NaN where an image has an exact copy among the others: |a|^2 + |b|^2 - 2 a b, rounded, can lie "
            "below 0, which has no root. Take np.maximum(..., 0), or do the sum with whole numbers",
            given,
        )
    agree(
        found,
        np.zeros(20),
        "the array of distances, where each image has an exact copy among the others,",
        given,
        atol=1e-6,
    )


@check(points=2)
def indices(student, rng):
    """nearest says which of the others is the nearest"""
    for _ in range(3):
        images, others = _images(rng)
        squares = ((images[:, None].astype(int) - others[None]) ** 2).sum((2, 3))  # (N, M)
        found, _ = _pair(student.nearest(images, others))
        given = {"images": images, "others": others}
        expect(
            np.asarray(found).dtype.kind in "iu",
            f"the indices should be integers; their type is {np.asarray(found).dtype}",
            given,
        )
        if np.shape(found) == images.shape[:1] and np.all((found >= 0) & (found < len(others))):
            chosen = squares[np.arange(len(images)), found]
            found = np.where(chosen == squares.min(1), squares.argmin(1), found)  # of equally near ones, any
        slips = {
            "it is the farthest, not the nearest": squares.argmax(1),
            "the first of the others is taken for number 1": squares.argmin(1) + 1,
            "it says which of the images is nearest to each of the others": squares.argmin(0),
        }
        agree(found, squares.argmin(1), "the array of indices", given, slips)
    images = rng.integers(0, 256, size=(5, 3, 4), dtype=np.uint8)
    order = rng.permutation(5)
    others = frozen(images[order])
    found, _ = _quietly(lambda: _pair(student.nearest(frozen(images), others)))
    given = {"images": images, "others": others}
    agree(found, np.argsort(order), "the array of indices, where each image has an exact copy among the others,", given)


@check(points=2)
def shares(student, rng):
    """class_shares are shares of all labels, one for each class, also of a class that does not occur"""
    for classes in (4, 7, 10):
        labels = rng.integers(1, classes - 1, size=rng.integers(3, 20))  # the first and the last are missing
        counts = np.array([(labels == c).sum() for c in range(classes)])
        agree(
            student.class_shares(frozen(labels), classes), counts / len(labels), "the array of shares",
            given={"labels": labels, "classes": classes},
            slips={
                "these are counts: divide by the number of labels": counts,
                "counts are divided by the number of classes, not of labels": counts / classes,
                "classes at the end that do not occur are left out": counts[: labels.max() + 1] / len(labels),
                "classes that do not occur are left out": counts[counts > 0] / len(labels),
                "class 0 is left out": np.append(counts[1:], 0) / len(labels),
            },
        )  # fmt: skip


@check(points=2)
def bias(student, rng):
    """divergence is the sum of p log(p / q), 0 for equal shares, infinite where q lacks what p has"""
    for size, none_of_p, none_of_q in ((5, (), ()), (4, (1,), ()), (6, (0, 4), (4,)), (3, (), (2,)), (4, (3,), (0,))):
        p, q = (_random_shares(rng, size, none) for none in (none_of_p, none_of_q))
        some, both = p > 0, (p > 0) & (q > 0)
        with np.errstate(divide="ignore"):
            ratio = p[some] / q[some]
            expected = (p[some] * np.log(ratio)).sum()
            slips = {
                "p and q are exchanged": (q[q > 0] * np.log(q[q > 0] / p[q > 0])).sum(),
                "it is in bits: nats take the natural logarithm": (p[some] * np.log2(ratio)).sum(),
                "the weight p is missing before the logarithm": np.log(ratio).sum(),
                "it is the mean over the classes, not the sum": expected / size,
                "its sign is wrong": -expected,
                "that is the entropy of p: q is missing": -(p[some] * np.log(p[some])).sum(),
                "classes that q lacks are left out; they make it infinite": (p[both] * np.log(p[both] / q[both])).sum(),
            }
        found = _quietly(student.divergence, p, q)
        if found is not None and np.shape(found) == () and np.isnan(found):
            expect(
                False,
                "the divergence is NaN: 0 log 0 and 0 / 0 are, in NumPy; a class with p = 0 adds nothing",
                {"p": p, "q": q},
            )
        agree(found, expected, "the divergence", {"p": p, "q": q}, slips)
    agree(_quietly(student.divergence, p, p), 0, "the divergence of p from itself", {"p": p, "q": p})
    p, q = frozen([5e-9, 0.4, 0.6 - 5e-9]), frozen([1e-30, 0.4, 0.6])
    right = 5e-9 * np.log(5e-9 / 1e-30) + p[2] * np.log(p[2] / q[2])
    what = "the divergence with tiny shares (with nothing added to them, and none taken for 0)"
    agree(_quietly(student.divergence, p, q), right, what, {"p": p, "q": q})


@check(points=2)
def energy(student, rng):
    """watt_hours is the area under the line through the readings, in watt-hours"""
    for count in (2, 3, int(rng.integers(4, 8))):
        seconds, watts = frozen(rng.uniform(0, 900, size=count).cumsum()), frozen(rng.uniform(10, 90, size=count))
        steps, middles = seconds[1:] - seconds[:-1], (watts[1:] + watts[:-1]) / 2
        expected = (steps * middles).sum() / 3600
        agree(
            student.watt_hours(seconds, watts), expected, "the energy", given={"seconds": seconds, "watts": watts},
            slips={
                "these are joules, watts times seconds: an hour has 3600 seconds": 3600 * expected,
                "these are watts times minutes: an hour has 3600 seconds": 60 * expected,
                "these are kilowatt-hours": expected / 1000,
                "the power stays at each reading until the next; it should go there in a straight line": (steps * watts[:-1]).sum() / 3600,
                "each reading counts for the time before it; the power should go in a straight line": (steps * watts[1:]).sum() / 3600,
                "the mean power is taken as if the readings were equally far apart": (seconds[-1] - seconds[0]) * watts.mean() / 3600,
                "the readings are added up: each should count for the time that it stands for": watts.sum() / 3600,
                "time is counted from 0, not from the first reading": expected + seconds[0] * watts[0] / 3600,
                "the two powers of a step are added; their mean is wanted": 2 * expected,
            },
        )  # fmt: skip


def _images(rng):
    height, width = rng.choice([2, 3, 4, 5], size=2, replace=False)
    count, other_count = rng.choice([3, 4, 5, 6], size=2, replace=False)
    return tuple(frozen(rng.integers(0, 256, size=(n, height, width), dtype=np.uint8)) for n in (count, other_count))


def _pair(answer):
    expect(
        isinstance(answer, (tuple, list)) and len(answer) == 2,
        f"nearest should return two things, (indices, distances); it returns {answer!r:.200}",
    )
    return answer


def _random_shares(rng, size, none):
    """Shares that add up to 1, those of the classes `none` being 0."""
    weights = rng.uniform(0.2, 1, size=size)
    weights[list(none)] = 0
    return frozen(weights / weights.sum())


def _quietly(function, *arguments):
    with np.errstate(all="ignore"):
        return function(*arguments)
