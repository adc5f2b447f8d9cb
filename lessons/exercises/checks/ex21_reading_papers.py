"""Checks of exercise 21."""

import numpy as np
from grading.check import Mistake, check
from grading.compare import agree, expect, frozen, gradient_agrees, refuses


def one_hot(labels, classes):
    return np.eye(classes)[labels]


def softplus(s):
    return np.logaddexp(0, s)


def sigmoid(s):
    return np.exp(-softplus(-s))


def log_softmax(s, axis=1):
    return s - np.logaddexp.reduce(s, axis=axis, keepdims=True)


def cross_entropies(s, labels):
    """Of each image, (N,)."""
    return -log_softmax(s)[np.arange(len(s)), labels]


def bces(s, t):
    """Of each image and class, (N, K), at targets t."""
    return softplus(s) - t * s


@check(points=3)
def inputs_of_a_conditional_network(student, rng):
    """condition appends one-hot labels, and refuses labels that there are not"""
    for dtype in (np.float64, np.float32, np.float16):
        count, size, classes = (int(n) for n in rng.permutation([3, 5, 7]))
        labels = frozen(rng.permutation(np.concatenate([[0, classes - 1], rng.integers(0, classes, count - 2)])))
        x, t = frozen(rng.normal(size=(count, size)).astype(dtype)), one_hot(labels, classes)
        found = student.condition(x, labels, classes)
        given = {"x": x, "labels": labels, "classes": classes}
        agree(
            found, np.hstack([x, t]), "condition(x, labels, classes)", given,
            slips={
                "the labels stand before x, not after it": np.hstack([t, x]),
                "classes are counted from 1: label 0 is the first": np.hstack([x, np.roll(t, -1, axis=1)]),
                "the label itself stands where a 1 should": np.hstack([x, t * labels[:, None]]),
                "the class number is appended, not its one-hot vector": np.hstack([x, labels[:, None]]),
                "x is left out": t,
                "the labels are left out": x,
                "0 and 1 are exchanged": np.hstack([x, 1 - t]),
            },
        )  # fmt: skip
        expect(
            getattr(found, "dtype", None) == dtype,
            f"the result should be an array of x's type, {np.dtype(dtype).name}, but is one of "
            f"{getattr(found, 'dtype', type(found).__name__)}: np.eye and np.zeros make float64 unless told otherwise",
            given,
        )
        for wrong in (classes, classes + 3, -1, -classes):
            bad = np.array(labels)
            bad[rng.integers(count)] = wrong
            call = f"condition with the label {wrong} among labels of {classes} classes"
            try:
                refuses(lambda: student.condition(x, bad, classes), ValueError, call, [wrong])  # noqa: B023
            except IndexError as error:
                raise Mistake(
                    f"{call} should raise ValueError, but raises IndexError ({error}): look at the labels before they "
                    "are used as indices"
                ) from None


@check(points=3)
def softmax_and_cross_entropy(student, rng):
    """cross_entropy is the mean of -log softmax(s)[y], and comes with its gradient"""
    for s, labels in _problems(rng):
        count, classes = s.shape
        t, losses, p = one_hot(labels, classes), cross_entropies(s, labels), np.exp(log_softmax(s))
        over_images = np.exp(log_softmax(s, 0))
        loss, gradient = _pair(student.cross_entropy, s, labels)
        given = {"logits": s, "labels": labels}
        agree(
            loss, losses.mean(), "the loss", given,
            slips={
                "it is the sum over the images, not their mean": losses.sum(),
                "it is divided by the number of logits, not by that of images": losses.sum() / s.size,
                "its sign is wrong": -losses.mean(),
                "the logarithm is missing": -(t * p).sum() / count,
                "softmax goes over the images (axis 0), where it should go over the classes":
                    -np.log((t * over_images).sum(1)).mean(),
                "the logits are taken for logarithms of probabilities: softmax is missing": -(t * s).sum() / count,
                "the logit of the right class is missing": (losses + (t * s).sum(1)).mean(),
                "it is BCE with one-hot labels: that is the other function": bces(s, t).sum() / count,
                "it is -log sigmoid of the right class's logit: the other classes are missing":
                    (t * softplus(-s)).sum() / count,
                "all classes count, not the right one alone": -log_softmax(s).sum() / count,
            },
        )  # fmt: skip
        gradient_agrees(
            gradient, lambda v: cross_entropies(v, labels).mean(), s, "the gradient of the loss", given,  # noqa: B023
            slips={
                "it is that of the sum: divide by the number of images": p - t,
                "it is divided by the number of logits, not by that of images": (p - t) / s.size,
                "its sign is wrong": (t - p) / count,
                "the labels are missing": p / count,
                "it is that of the right class's logit alone: the others pull at the sum, too": t * (p - 1) / count,
                "softmax goes over the images (axis 0), where it should go over the classes": (over_images - t) / count,
                "it is that of BCE with one-hot labels, sigmoid in place of softmax": (sigmoid(s) - t) / count,
                "it is the gradient with respect to p, not to the logits": -t / p / count,
                "the derivative of a sigmoid is in it once too often": (p - t) * p * (1 - p) / count,
            },
        )  # fmt: skip
        expect(
            np.asarray(gradient).dtype == np.float64,
            f"the gradient should be of the logits' type, float64, not {np.asarray(gradient).dtype}: half the digits are lost",
            given,
        )
    for s, labels in _large(rng):
        t, p = one_hot(labels, s.shape[1]), np.exp(log_softmax(s))
        loss, gradient = _pair(student.cross_entropy, s, labels)
        given = {"logits": s, "labels": labels}
        advice = "with large logits (log p is s less its row's largest, less the logarithm of the sum of exp of that)"
        agree(loss, cross_entropies(s, labels).mean(), f"the loss {advice}", given)
        agree(gradient, (p - t) / len(s), f"the gradient {advice}", given)


@check(points=3)
def one_question_a_class(student, rng):
    """one_hot_bce sums over the classes, takes the mean over the images, and comes with its gradient"""
    for s, labels in _problems(rng):
        count, classes = s.shape
        t = one_hot(labels, classes)
        losses, p, q = bces(s, t), np.exp(log_softmax(s)), sigmoid(s)
        loss, gradient = _pair(student.one_hot_bce, s, labels)
        given = {"logits": s, "labels": labels}
        agree(
            loss, losses.sum() / count, "the loss", given,
            slips={
                "it is the mean over the classes, too; it should be their sum": losses.mean(),
                "it is the sum over the images, not their mean": losses.sum(),
                "it is the sum over the images, and the mean over the classes": losses.sum() / classes,
                "its sign is wrong": -losses.sum() / count,
                "it is cross entropy: that is the other function": cross_entropies(s, labels).mean(),
                "the right class alone counts: log(1 - q) of the others is missing": (t * losses).sum() / count,
                "the wrong classes alone count: log q of the right one is missing": ((1 - t) * losses).sum() / count,
                "the targets 0 and 1 are exchanged": bces(s, 1 - t).sum() / count,
                "q is the softmax of the logits, not the sigmoid of each":
                    lambda: -(t * np.log(p) + (1 - t) * np.log1p(-p)).sum() / count,  # noqa: B023
                "the class number itself is the target": bces(s, labels[:, None]).sum() / count,
            },
        )  # fmt: skip
        gradient_agrees(
            gradient, lambda v: bces(v, t).sum() / count, s, "the gradient of the loss", given,  # noqa: B023
            slips={
                "it is divided by the number of logits, not by that of images": (q - t) / s.size,
                "it is that of the sum: divide by the number of images": q - t,
                "it is divided by the number of classes, not by that of images": (q - t) / classes,
                "its sign is wrong": (t - q) / count,
                "the labels are missing": q / count,
                "it is that of cross entropy, softmax in place of sigmoid": (p - t) / count,
                "it is that of the right class's logit alone: the wrong ones have a gradient, too": t * (q - t) / count,
                "the targets 0 and 1 are exchanged": (q - 1 + t) / count,
                "the derivative of the sigmoid is in it once too often": (q - t) * q * (1 - q) / count,
            },
        )  # fmt: skip
        expect(
            np.asarray(gradient).dtype == np.float64,
            f"the gradient should be of the logits' type, float64, not {np.asarray(gradient).dtype}: half the digits are lost",
            given,
        )
    for s, labels in _large(rng):
        t = one_hot(labels, s.shape[1])
        loss, gradient = _pair(student.one_hot_bce, s, labels)
        given = {"logits": s, "labels": labels}
        agree(loss, bces(s, t).sum() / len(s), "the loss with large logits (softplus: exercise 10)", given)
        agree(gradient, (sigmoid(s) - t) / len(s), "the gradient with large logits", given)


@check(points=1)
def steps_of_a_training(student, rng):
    """updates counts each epoch's short last batch, unless it is a single image"""
    cases = [(70_000, 100, 500), (70_000, 128, 500)]  # jeganathan2025's listing, and its text
    for rest in (0, 1, 2, None):
        size = int(rng.integers(4, 9))
        rest = size - 1 if rest is None else rest
        cases.append((int(rng.integers(2, 6)) * size + rest, size, int(rng.integers(3, 8))))
    cases += [(7, 7, 3), (8, 7, 3), (2, 2, 3), (5, 2, 3)]
    for images, size, epochs in cases:
        whole, rest = divmod(images, size)
        found = student.updates(images, size, epochs)
        agree(
            found, epochs * (whole + (rest > 1)), f"updates({images}, {size}, {epochs})",
            slips={
                "the short last batch is left out": epochs * whole,
                "a last batch of a single image counts": epochs * (whole + (rest > 0)),
                "batches reach over the end of an epoch": -(-epochs * images // size),
                "batches reach over the end of an epoch, and the rest is left out": epochs * images // size,
                "it is the number of one epoch": whole + (rest > 1),
                "part of a batch is counted as part of a step": epochs * images / size,
                "images are counted, not batches": epochs * images,
            },
            rtol=1e-9,
        )  # fmt: skip
        expect(
            isinstance(found, (int, np.integer)),
            f"updates({images}, {size}, {epochs}) should be an int, not {found!r}: // divides whole numbers, / makes a float",
        )


def _pair(function, logits, labels):
    """The loss and the gradient that the student's function returns, or Mistake."""
    found = function(logits, labels)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise Mistake(
            f"{function.__name__} should return two things, the loss and its gradient; it returns {found!r:.200}"
        )
    return found


def _problems(rng):
    """Frozen logits and labels (not all of one class): more images than classes, and fewer."""
    for count, classes in ((5, 3), (3, 4)):
        labels = rng.permutation(np.concatenate([[1, 2], rng.integers(0, classes, count - 2)]))
        yield frozen(rng.uniform(-2, 2, size=(count, classes))), frozen(labels)


def _large(rng):
    """Logits that exp cannot take: large in turns, and rows that are large and small as a whole."""
    yield frozen(rng.permutation([[1000.0, 0, -1000]] * 3, axis=1)), frozen([0, 1, 2])
    low = -1000 - rng.uniform(0, 3, size=3)
    yield frozen([low, -low, low]), frozen(rng.permutation(3))
