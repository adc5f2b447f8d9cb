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
CHUNK_WORDS = 1024  # words made together


@njit(cache=True, error_model="numpy")
def _round(c0, c1, c2, c3, k0, k1):
    product0, product1 = c0 * MULTIPLIER0, c2 * MULTIPLIER1
    return (product1 >> SHIFT) ^ c1 ^ k0, product1 & LOW, (product0 >> SHIFT) ^ c3 ^ k1, product0 & LOW


@njit(cache=True, error_model="numpy")
def chunk_of_words(chunk, purpose, draw, seed):
    """The CHUNK_WORDS words from word CHUNK_WORDS * chunk on, as uint32.

    Round by round for all blocks, so that LLVM works on a vector of them at a time.
    """
    count = CHUNK_WORDS // 4
    c0, c1, c2, c3 = (np.empty(count, np.uint64), np.empty(count, np.uint64), np.empty(count, np.uint64),
                      np.empty(count, np.uint64))  # fmt: skip
    first = np.uint64(chunk) * np.uint64(count)
    for i in range(count):
        c0[i] = (first + np.uint64(i)) & LOW
        c1[i], c2[i], c3[i] = draw & LOW, draw >> SHIFT, purpose
    k0, k1 = seed & LOW, seed >> SHIFT
    for _ in range(5):
        k2, k3 = (k0 + WEYL0) & LOW, (k1 + WEYL1) & LOW
        for i in range(count):
            a0, a1, a2, a3 = _round(c0[i] & LOW, c1[i], c2[i] & LOW, c3[i], k0, k1)
            c0[i], c1[i], c2[i], c3[i] = _round(a0 & LOW, a1, a2 & LOW, a3, k2, k3)
        k0, k1 = (k2 + WEYL0) & LOW, (k3 + WEYL1) & LOW
    words = np.empty(CHUNK_WORDS, np.uint32)
    for i in range(count):
        words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3] = c0[i], c1[i], c2[i], c3[i]
    return words


def random_bits(seed, purpose, draw, out):
    """As `reference.random_bits`."""
    return _fill(_random_bits, seed, purpose, draw, out)


def uniform(seed, purpose, draw, out):
    """As `reference.uniform`."""
    return _fill(_uniform, seed, purpose, draw, out)


def normal(seed, purpose, draw, out):
    """As `reference.normal`."""
    return _fill(_normal, seed, purpose, draw, out)


def _fill(kernel, seed, purpose, draw, out):
    in_memory = isinstance(draw, np.ndarray)  # where a replay finds the next draw
    drawn = draw.reshape(1) if in_memory else np.full(1, draw, np.uint64)
    launch(kernel, np.uint64(seed), np.uint64(purpose), drawn, out)
    if in_memory:
        launch(np.add, draw, np.uint64(1), draw)
    return out


@njit(parallel=True, cache=True, error_model="numpy")
def _random_bits(seed, purpose, draw, out):
    for chunk in prange((out.size + CHUNK_WORDS - 1) // CHUNK_WORDS):
        words, first = chunk_of_words(chunk, purpose, draw[0], seed), chunk * CHUNK_WORDS
        for i in range(min(CHUNK_WORDS, out.size - first)):
            out[first + i] = words[i]


@njit(parallel=True, cache=True, error_model="numpy")
def _uniform(seed, purpose, draw, out):
    for chunk in prange((out.size + CHUNK_WORDS - 1) // CHUNK_WORDS):
        words, first = chunk_of_words(chunk, purpose, draw[0], seed), chunk * CHUNK_WORDS
        for i in range(min(CHUNK_WORDS, out.size - first)):
            out[first + i] = np.float64(words[i] >> np.uint32(8)) * 2.0**-24


@njit(parallel=True, cache=True, error_model="numpy")
def _normal(seed, purpose, draw, out):
    for chunk in prange((out.size + CHUNK_WORDS - 1) // CHUNK_WORDS):
        words, first = chunk_of_words(chunk, purpose, draw[0], seed), chunk * CHUNK_WORDS
        for i in range(0, min(CHUNK_WORDS, out.size - first), 2):
            radius = np.sqrt(-2 * np.log((np.float64(words[i]) + 1.0) * 2.0**-32))
            angle = 2 * np.pi * 2.0**-32 * np.float64(words[i + 1])
            out[first + i] = radius * np.cos(angle)
            if first + i + 1 < out.size:
                out[first + i + 1] = radius * np.sin(angle)
