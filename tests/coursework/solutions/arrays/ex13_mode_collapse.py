import numpy as np


def ring_of_gaussians(rng, n, modes=8, radius=2.0, std=0.1):
    angles = 2 * np.pi * np.arange(modes) / modes
    centres = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return centres[rng.integers(modes, size=n)] + rng.normal(0, std, (n, 2))


def nearest_centre(samples, centres):
    distances = np.linalg.norm(samples[:, None] - centres, axis=2)
    return distances.argmin(axis=1), distances.min(axis=1)


def coverage(samples, centres, std):
    index, distance = nearest_centre(samples, centres)
    good = distance <= 3 * std
    return len(np.unique(index[good])), good.mean()


def mode_shares(samples, centres, std):
    index, distance = nearest_centre(samples, centres)
    counts = np.bincount(index[distance <= 3 * std], minlength=len(centres))
    return counts / max(counts.sum(), 1)
