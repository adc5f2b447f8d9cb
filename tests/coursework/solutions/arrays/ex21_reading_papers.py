import numpy as np


def condition(x, labels, classes):
    wrong = labels[(labels < 0) | (labels >= classes)]
    if wrong.size:
        raise ValueError(f"labels {wrong} are not among {classes} classes")
    return np.concatenate([x, np.eye(classes, dtype=x.dtype)[labels]], axis=1)


def cross_entropy(logits, labels):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    rows = np.arange(len(labels))
    gradient = np.exp(log_p)
    gradient[rows, labels] -= 1
    return -log_p[rows, labels].mean(), gradient / len(labels)


def one_hot_bce(logits, labels):
    target = np.eye(logits.shape[1])[labels]
    losses = np.logaddexp(0, logits) - target * logits
    q = np.exp(-np.logaddexp(0, -logits))
    return losses.sum(axis=1).mean(), (q - target) / len(labels)


def updates(images, batch_size, epochs):
    whole, rest = divmod(images, batch_size)
    return epochs * (whole + (rest > 1))
