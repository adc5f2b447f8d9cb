import math

import numpy as np


def nearest(images, others):
    indices, distances = [], []
    for image in images:
        found = []
        for other in others:
            total = 0.0
            for a, b in zip(image.ravel(), other.ravel()):
                total += ((float(a) - float(b)) / 255) ** 2
            found.append(math.sqrt(total))
        distances.append(min(found))
        indices.append(found.index(min(found)))
    return np.array(indices), np.array(distances)


def class_shares(labels, classes):
    shares = []
    for c in range(classes):
        count = 0
        for label in labels:
            if label == c:
                count += 1
        shares.append(count / len(labels))
    return shares


def divergence(p, q):
    total = 0.0
    for generated, data in zip(p.tolist(), q.tolist()):
        if generated == 0:
            continue
        if data == 0:
            return math.inf
        total += generated * math.log(generated / data)
    return total


def watt_hours(seconds, watts):
    joules = 0.0
    for i in range(len(seconds) - 1):
        joules += (seconds[i + 1] - seconds[i]) * (watts[i] + watts[i + 1]) / 2
    return joules / 3600
