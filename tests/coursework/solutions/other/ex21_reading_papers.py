import numpy as np


def condition(x, labels, classes):
    known = np.arange(classes)
    strange = set(labels) - set(known)
    if strange:
        raise ValueError(f"unknown labels: {strange}")
    return np.hstack([x, labels[:, None] == known]).astype(x.dtype)


def cross_entropy(logits, labels):
    right = np.choose(labels, logits.T)
    losses = np.logaddexp.reduce(logits.T - right)
    p = np.exp(logits.T - right - losses)
    return np.average(losses), (p.T - one_hot(logits, labels)) / len(logits)


def one_hot_bce(logits, labels):
    sign = 1 - 2 * one_hot(logits, labels)
    loss = np.logaddexp(0, sign * logits).sum() / len(logits)
    return loss, sign * (1 + np.tanh(sign * logits / 2)) / (2 * len(logits))


def one_hot(logits, labels):
    return labels[:, None] == np.arange(logits.shape[1])


def updates(images, batch_size, epochs):
    return epochs * (1 + (images - 2) // batch_size)
