"""Random numbers that are a pure function of (seed, purpose, draw): the counter-based Philox4x32-10.

Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC 2011). Each purpose has its own
sequence, so drawing a sample never shifts the noise of training, and a generator's whole state is
one integer: how many draws it has made.
"""

import numpy as np

from minigan import backend, kernels

# What a generator's numbers are for. The values are part of every checkpoint: add, never renumber.
DEFAULT, WEIGHTS_G, WEIGHTS_D, NOISE, DROPOUT, ORDER, FIXED_LATENTS, SAMPLES = range(8)
PROBE_LATENTS, PROBE_IMAGES, PROBE_DROPOUT = range(8, 11)


class Generator:
    """A sequence of draws; `draw` counts those made, and may be set to go back or ahead.

    seed: an integer from 0 to 2^64 - 1.
    purpose: one of the constants of this module; generators of different purposes are independent.
    """

    def __init__(self, seed=0, purpose=DEFAULT):
        self.purpose = purpose
        self.manual_seed(seed)

    def manual_seed(self, seed):
        """Starts the sequence of `seed` from its first draw. Raises ValueError outside 0 .. 2^64 - 1."""
        if not 0 <= seed < 2**64:
            raise ValueError(f"a seed is an integer from 0 to 2**64 - 1, not {seed}")
        self.seed, self._draws = seed, np.zeros((), np.uint64)
        return self

    @property
    def draw(self):
        """The number of draws made, an int."""
        return int(backend.to_numpy(self._draws))

    @draw.setter
    def draw(self, count):
        self._draws[...] = count

    def draws_on(self, device):
        """The count as an array on the device, for a kernel that draws and counts by itself."""
        if backend.device_of(self._draws) != device:
            self._draws = backend.to_device(self._draws, device)
        return self._draws

    def normal(self, shape, dtype=np.float32, device="cpu"):
        """A new array of standard normal numbers."""
        return self._fill("normal", shape, dtype, device)

    def uniform(self, shape, dtype=np.float32, device="cpu"):
        """A new array of uniform numbers in [0, 1), multiples of 2^-24."""
        return self._fill("uniform", shape, dtype, device)

    def permutation(self, count):
        """A new int64 array (count,) with 0 .. count - 1 in random order, on the CPU.

        Sorts 64-bit random keys: ties, which alone could bias the order, have probability count^2 / 2^65.
        """
        bits = kernels.for_device("cpu").random_bits(
            self.seed, self.purpose, self.draws_on("cpu"), np.empty(2 * count, np.uint32)
        )
        return np.argsort(bits.view(np.uint64), kind="stable")

    def _fill(self, kernel, shape, dtype, device):
        out = backend.empty_on(device, shape, dtype)
        fill = getattr(kernels.for_device(device), kernel)
        fill(self.seed, self.purpose, self.draws_on(device), out.reshape(-1))
        return out


default_generator = Generator()


def manual_seed(seed):
    """Seeds the generator that layers use where they are given none."""
    return default_generator.manual_seed(seed)
