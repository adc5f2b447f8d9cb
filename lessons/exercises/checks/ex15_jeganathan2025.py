"""Checks of exercise 15."""

import json

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen

SIZES = ((10, 4), (9, 4), (8, 4), (7, 2), (3, 3), (4, 3))  # a rest of 2, 1, 0, 1, 0 and 1


@check(points=3)
def order(student, rng):
    """Batches.next goes through every epoch in its own order, and leaves out a last batch of one image"""
    for count, batch_size in SIZES:
        seed = int(rng.integers(1000))
        batches, given = (
            student.Batches(count, batch_size, seed),
            {"count": count, "batch_size": batch_size, "seed": seed},
        )
        right, same, kept = (
            _batches(count, batch_size, seed, **variant) for variant in ({}, {"again": True}, {"least": 1})
        )
        whole, running = (
            _batches(count, batch_size, seed, **variant) for variant in ({"least": batch_size}, {"running": True})
        )
        for number in range(8):
            agree(
                batches.next(), right[number], f"batch {number}", given,
                slips={
                    "every epoch has the order of the first": same[number],
                    "one generator draws all orders, one after another: each epoch has its own, default_rng((seed, epoch))": running[number],
                    "a last batch of one image is not left out": kept[number],
                    "a smaller last batch is always left out": whole[number],
                    "the images are not shuffled": np.arange(count)[number * batch_size % count :][: len(right[number])],
                },
            )  # fmt: skip


@check(points=3)
def resumes(student, rng):
    """load_state_dict goes on exactly where state_dict was taken"""
    for count, batch_size in SIZES:
        seed, taken = int(rng.integers(1000)), int(rng.integers(1, 8))
        given = {"count": count, "batch_size": batch_size, "seed": seed}
        right = _batches(count, batch_size, seed)
        unbroken, elsewhere = student.Batches(count, batch_size, seed), student.Batches(count, batch_size, seed)
        for number in range(taken):
            unbroken.next()
        state = unbroken.state_dict()
        text = _as_json(state)
        for _ in range(int(rng.integers(1, 12))):
            elsewhere.next()
        elsewhere.load_state_dict(json.loads(text))
        resumed = student.Batches(count, batch_size, seed)
        for number in range(taken, taken + 7):
            agree(unbroken.next(), right[number], f"after state_dict(), batch {number} of the same Batches", given)
        expect(json.dumps(state) == text, "the state has changed since it was taken: return a copy", given)
        resumed.load_state_dict(state)
        expect(json.dumps(state) == text, "load_state_dict has changed the state that it was given", given)
        for what, batches in (("a new Batches", resumed), ("a Batches that was elsewhere", elsewhere)):
            for number in range(taken, taken + 7):
                agree(
                    batches.next(), right[number], f"after load_state_dict into {what}, batch {number}", given,
                    slips={
                        "the state is not used: it starts from the beginning": right[number - taken],
                        "one batch is left out": right[number + 1],
                        "one batch comes twice": right[number - 1],
                    },
                )  # fmt: skip
            expect(json.dumps(state) == text, "going on has changed the state: copy its numbers", given)
    count, batch_size = SIZES[0]
    given = {"count": count, "batch_size": batch_size, "seed": seed}
    state = student.Batches(count, batch_size, seed).state_dict()
    text, elsewhere, resumed = _as_json(state), *(student.Batches(count, batch_size, seed) for _ in range(2))
    for _ in range(4):
        elsewhere.next()
    for what, batches in (("a new Batches", resumed), ("a Batches that was elsewhere", elsewhere)):
        try:
            batches.load_state_dict(json.loads(text))
            found = [batches.next() for _ in range(4)]
        except Exception as error:  # noqa: BLE001 whatever the student raises
            raise Mistake(
                f"a state that was taken before the first next() could not be used in {what}: {type(error).__name__}: {error}. "
                f"The state: {text}"
            ) from None
        for number, right in enumerate(_batches(count, batch_size, seed)[:4]):
            agree(
                found[number], right, f"with a state that was taken before the first next(), loaded into {what}, batch {number}", given
            )  # fmt: skip


@check(points=2)
def padding(student, rng):
    """same_padding gives size / stride outputs, rounded up, and the zero that is over comes after"""
    for stride in (1, 2, 3):
        for kernel in rng.permutation(np.arange(1, 7)):
            for size in rng.permutation(np.arange(4, 12))[:3]:
                before, after = _padding(int(size), int(kernel), stride)
                found = student.same_padding(int(size), int(kernel), stride)
                agree(
                    found, (before, after), "(before, after)",
                    given={"size": int(size), "kernel": int(kernel), "stride": stride},
                    slips={
                        "it is (kernel - 1) / 2 on both sides, as for stride 1": ((kernel - 1) // 2, (kernel - 1) // 2),
                        "the zero that is over comes before": (after, before),
                        "there are kernel - 1 zeros, which is right only for stride 1": _padding(int(size), int(kernel), 1),
                        "there are kernel - stride zeros, which is right only where stride divides size":
                            _padding(-(-int(size) // stride) * stride, int(kernel), stride),
                    },
                )  # fmt: skip
                expect(
                    all(isinstance(n, (int, np.integer)) for n in found),
                    f"same_padding({size}, {kernel}, {stride}) is {tuple(found)}: these should be integers, with which np.pad and "
                    "np.zeros work. Divide by //",
                )


@check(points=2)
def padded(student, rng):
    """pad_same puts these zeros around each image"""
    for stride, kernel_size in ((1, (2, 5)), (2, (5, 4)), (2, (2, 5)), (3, (4, 3))):
        x = frozen(rng.normal(size=(2, 1, *rng.permutation((3, 4, 5, 6))[:2])))
        (top, bottom), (left, right) = (_padding(x.shape[2 + i], kernel_size[i], stride) for i in (0, 1))
        pad = lambda *widths: np.pad(x, ((0, 0), (0, 0), *widths))  # noqa: B023
        found = student.pad_same(x, kernel_size, stride)
        agree(
            found, pad((top, bottom), (left, right)), "the padded images",
            given={"x": x, "kernel_size": kernel_size, "stride": stride},
            slips={
                "height and width are exchanged": pad((left, right), (top, bottom)),
                "before and after are exchanged": pad((bottom, top), (right, left)),
                "nothing is padded": x,
            },
        )  # fmt: skip
        dtype = getattr(found, "dtype", type(found).__name__)
        expect(dtype == np.float64, f"from float64, pad_same makes {dtype}: it should keep the dtype of x")
    x = frozen(rng.normal(size=(2, 1, 4, 6)))
    found = student.pad_same(x, (1, 2), 2)
    agree(found, x, "the images, padded for a kernel of (1, 2) and stride 2, which need no zeros,")
    expect(
        not np.shares_memory(found, x),
        "where no zeros are needed, pad_same returns x itself, or a view of it: who changes the new array changes x. Return a copy",
        given={"x": "an array of shape (2, 1, 4, 6)", "kernel_size": (1, 2), "stride": 2},
    )
    dtype = getattr(student.pad_same(x.astype(np.float32), (3, 4), 1), "dtype", None)
    expect(dtype == np.float32, f"from float32, pad_same makes {dtype}: it should keep the dtype of x")


def _batches(count, batch_size, seed, again=False, running=False, least=2):
    """The batches of the first epochs, of at least so many images each; again, running: with the orders of two slips."""
    found, generator = [], np.random.default_rng((seed, 0))
    for epoch in range(24):
        generator = generator if running else np.random.default_rng((seed, 0 if again else epoch))
        left = generator.permutation(count)
        while len(left) >= least:
            found.append(left[:batch_size])
            left = left[batch_size:]
    return found


def _as_json(state):
    """The state as JSON. Raises Mistake where it is none, or holds lists."""
    try:
        text = json.dumps(state)
    except TypeError as error:
        text = f"({error})"
    plain = isinstance(state, dict) and all(isinstance(value, (int, float, str)) for value in state.values())
    expect(
        plain,
        "a state should be a dict of a few plain numbers, as JSON can hold (the order need not be in it: seed and epoch make it "
        f"again); it is {state!r:.200} {text:.60}",
    )
    return text


def _padding(size, kernel, stride):
    outputs = -(-size // stride)
    zeros = max(0, (outputs - 1) * stride + kernel - size)
    return zeros // 2, zeros - zeros // 2
