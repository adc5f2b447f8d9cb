import numpy as np


def ring_of_gaussians(rng, n, modes=8, radius=2.0, std=0.1):
    turns = rng.choice(modes, n)
    points = radius * np.exp(2j * np.pi * turns / modes)
    points += std * (rng.standard_normal(n) + 1j * rng.standard_normal(n))
    return np.column_stack([points.real, points.imag])


def nearest_centre(samples, centres):
    squares = np.array([((samples - centre) ** 2).sum(1) for centre in centres])
    return squares.argmin(0), np.sqrt(squares.min(0))


def good_by_mode(samples, centres, std):
    index, distance = nearest_centre(samples, centres)
    return (index == np.arange(len(centres))[:, None]) & (distance <= 3 * std)


def coverage(samples, centres, std):
    good = good_by_mode(samples, centres, std)
    return good.any(1).sum(), good.sum() / len(samples)


def mode_shares(samples, centres, std):
    good = good_by_mode(samples, centres, std).sum(1)
    return good / good.sum() if good.any() else good
