import math

import numpy as np


def ring_of_gaussians(rng, n, modes=8, radius=2.0, std=0.1):
    samples = []
    for _ in range(n):
        angle = 2 * math.pi * rng.integers(modes) / modes
        x = radius * math.cos(angle) + std * rng.normal()
        y = radius * math.sin(angle) + std * rng.normal()
        samples.append((x, y))
    return np.array(samples)


def nearest_centre(samples, centres):
    indices, distances = [], []
    for sample in samples:
        best, index = math.inf, None
        for k, centre in enumerate(centres):
            distance = math.dist(sample, centre)
            if distance < best:
                best, index = distance, k
        indices.append(index)
        distances.append(best)
    return np.array(indices), np.array(distances)


def coverage(samples, centres, std):
    covered, good = set(), 0
    for index, distance in zip(*nearest_centre(samples, centres)):
        if distance <= 3 * std:
            covered.add(index)
            good += 1
    return len(covered), good / len(samples)


def mode_shares(samples, centres, std):
    good = []
    for index, distance in zip(*nearest_centre(samples, centres)):
        if distance <= 3 * std:
            good.append(index)
    return np.array([good.count(k) / len(good) if good else 0.0 for k in range(len(centres))])
