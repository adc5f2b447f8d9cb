"""Philox4x32-10 on the CPU: every block of four words is computed from its index alone.

Definitions, sources and the layout of counter and key as in `reference.py`.
"""

import numpy as np
from numba import njit, prange

from minigan.kernels.launch import launch

LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
MULTIPLIER0, MULTIPLIER1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
WEYL0, WEYL1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


@njit(cache=True, error_model="numpy")
def block_of_words(index, purpose, draw, seed):
    """The four words of block `index`, each below 2^32 in a uint64."""
    c0, c1, c2, c3 = np.uint64(index), draw & LOW, draw >> SHIFT, purpose
    k0, k1 = seed & LOW, seed >> SHIFT
    for _ in range(10):
        product0, product1 = c0 * MULTIPLIER0, c2 * MULTIPLIER1
        c0, c1, c2, c3 = (
            (product1 >> SHIFT) ^ c1 ^ k0,
            product1 & LOW,
            (product0 >> SHIFT) ^ c3 ^ k1,
            product0 & LOW,
        )
        k0, k1 = (k0 + WEYL0) & LOW, (k1 + WEYL1) & LOW
    return c0, c1, c2, c3


def random_bits(seed, purpose, draw, out):
    """As `reference.random_bits`."""
    launch(_random_bits, np.uint64(seed), np.uint64(purpose), np.uint64(draw), out)
    return out


def uniform(seed, purpose, draw, out):
    """As `reference.uniform`."""
    launch(_uniform, np.uint64(seed), np.uint64(purpose), np.uint64(draw), out)
    return out


def normal(seed, purpose, draw, out):
    """As `reference.normal`."""
    launch(_normal, np.uint64(seed), np.uint64(purpose), np.uint64(draw), out)
    return out


@njit(parallel=True, cache=True, error_model="numpy")
def _random_bits(seed, purpose, draw, out):
    for block in prange((out.size + 3) // 4):
        words = block_of_words(block, purpose, draw, seed)
        for word in range(min(4, out.size - 4 * block)):
            out[4 * block + word] = words[word]


@njit(parallel=True, cache=True, error_model="numpy")
def _uniform(seed, purpose, draw, out):
    for block in prange((out.size + 3) // 4):
        words = block_of_words(block, purpose, draw, seed)
        for word in range(min(4, out.size - 4 * block)):
            out[4 * block + word] = np.float64(words[word] >> np.uint64(8)) * 2.0**-24


@njit(parallel=True, cache=True, error_model="numpy")
def _normal(seed, purpose, draw, out):
    for block in prange((out.size + 3) // 4):
        words = block_of_words(block, purpose, draw, seed)
        for pair in range(2):
            radius = np.sqrt(-2 * np.log((np.float64(words[2 * pair]) + 1.0) * 2.0**-32))
            angle = 2 * np.pi * 2.0**-32 * np.float64(words[2 * pair + 1])
            at = 4 * block + 2 * pair
            if at < out.size:
                out[at] = radius * np.cos(angle)
            if at + 1 < out.size:
                out[at + 1] = radius * np.sin(angle)
