"""Numbers that are not finite: where a run has one, and how it is put back to where it had none.

A run looks at its losses after every step, and at all its arrays before it is probed or saved, which takes no time that
could be measured.
"""

import math

import numpy as np

from minigan import backend
from minigan.anomaly import not_finite
from minigan.optim import LossScale
from minigan.rows import NUMBERS


def arrays(run):
    """(name, array) of all that training changes: networks, their average, the optimizers' states, the loss scales."""
    for title, network, optimizer, scale in players(run):
        yield from network.named_state(f"{title}.")
        yield from moments(title, network, optimizer)
        if scale:
            yield from ((f"the {what} of {title}'s gradients", array) for what, array in vars(scale).items())
    if run.average:
        yield from run.average.network.named_state("average.")


def players(run):
    """(title, network, optimizer, loss scale or None) of both players."""
    p = run.players
    return (
        ("generator", p.generator, p.optimizer_g, p.scale_g),
        ("discriminator", p.discriminator, p.optimizer_d, p.scale_d),
    )


def moments(title, network, optimizer):
    """(name, array) of what the optimizer keeps of each of the network's parameters."""
    names = [name for name, _ in network.named_parameters(f"{title}.")]
    for position, state in optimizer.state.items():
        yield from ((f"{moment} of {names[position]}", array) for moment, array in state.items())


def in_row(row):
    """Which number of a step's row of metrics.csv is not finite, in words; or None."""
    return next(
        (f"{name} is {value}" for name, value in zip(NUMBERS.values(), row[2:6]) if not math.isfinite(value)), None
    )


def in_signals(seen, run):
    """Which of a probe's signals {name: value} is not finite, in words; or None. A gradient in 16 bits may overflow."""
    names = ["update_d", "update_g"] + ([] if run.players.scale_d else ["gradient_d", "gradient_g"])
    return next((f"{name} is {seen[name]}" for name in names if name in seen and not math.isfinite(seen[name])), None)


def in_arrays(run):
    """Which array of the run is not finite, in words; or None. All are looked at in one launch on a GPU."""
    floats = [(name, array) for name, array in arrays(run) if array.dtype.kind == "f"]
    found = backend.zeros_on(run.device, (1,), np.int32)
    backend.kernels(found).check_overflow([array for _, array in floats], found)
    if backend.to_numpy(found)[0]:
        return next(f"{name} holds {not_finite(array)}" for name, array in floats if not_finite(array))
    for title, _, _, scale in players(run):
        if scale and scale_of(scale) < LossScale.LEAST:
            return f"the gradients of {title} overflow at a loss scale of {scale_of(scale):g}, too"
    return None


def scale_of(scale):
    """A LossScale's number."""
    return float(backend.to_numpy(scale.scale)[0])


class Copy:
    """A copy of a run's arrays and counts, to put back in place: captured steps hold on to the arrays."""

    def __init__(self, run):
        self.run, self._arrays = run, {}
        self.keep()

    def keep(self):
        """Copies the run as it is now."""
        self._counts = self.run.counts
        for name, array in arrays(self.run):
            if name in self._arrays:
                backend.copy_into(self._arrays[name], array)
            else:
                self._arrays[name] = array.copy()

    def put_back(self):
        """Makes the run what it was. An optimizer's state that was not there yet begins at zero, as a new one does."""
        for name, array in arrays(self.run):
            if name in self._arrays:
                backend.copy_into(array, self._arrays[name])
            else:
                backend.fill(array, 0)
        self.run.counts = self._counts
