"""Numbers that are not finite: which operation made the first one, and how a step that made one is undone.

A run looks at its losses after every step, and at all its arrays before it is probed or saved, which takes no time that
could be measured. What is found there may have come about long before; but steps run again from the last checkpoint
have the same bits, so that the one at fault is found, and is run once more with every operation searched.
"""

import contextlib
import math

import numpy as np
from tqdm import tqdm

from minigan import backend, checkpoint, signals
from minigan.doctor import NUMBERS
from minigan.errors import UserError
from minigan.optim import LossScale
from minigan.tensor import Anomaly, detect_anomaly, located, not_finite
from minigan.terminal import LastingStderr

IN_A_ROW = 100  # skipped steps after which no other will be better
TRACED = 3  # skipped steps of which it is found out what made them so
PATIENCE = 3.0  # seconds after which a trace shows how far it is


# Looking.


def arrays(run):
    """(name, array) of all that training changes: networks, their average, the optimizers' states, the loss scales."""
    for title, network, optimizer, scale in _players(run):
        yield from network.named_state(f"{title}.")
        yield from _moments(title, network, optimizer)
        if scale:
            yield from ((f"the {what} of {title}'s gradients", array) for what, array in vars(scale).items())
    if run.average:
        yield from run.average.network.named_state("average.")


def _players(run):
    p = run.players
    return (
        ("generator", p.generator, p.optimizer_g, p.scale_g),
        ("discriminator", p.discriminator, p.optimizer_d, p.scale_d),
    )


def _moments(title, network, optimizer):
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
    for title, _, _, scale in _players(run):
        if scale and _number(scale) < LossScale.LEAST:
            return f"the gradients of {title} overflow at a loss scale of {_number(scale):g}, too"
    return None


def _number(scale):
    return float(backend.to_numpy(scale.scale)[0])


# Going back.


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


class Skipping:
    """Undoes the steps that leave a number that is not finite. `keep` before a step, then `undo` or `went_well`."""

    def __init__(self, run):
        self.run, self.count, self.in_a_row = run, 0, 0
        self._copy = Copy(run)
        self.keep, self.put_back = self._copy.keep, self._copy.put_back

    def went_well(self):
        """Takes note of a good step."""
        self.in_a_row = 0

    def undo(self, step, seen):
        """Puts the arrays back; the step counts as taken. seen: what was not finite, in words.

        Returns a sentence, with what made it so the first few times, later None. Raises UserError where no step has
        been good for long.
        """
        self.count, self.in_a_row = self.count + 1, self.in_a_row + 1
        taken, sentence = self.run.counts, None
        self._copy.put_back()
        if self.count <= TRACED or self.in_a_row == IN_A_ROW:
            made = cause(self.run) or f"{seen}, but not when the step was run again"
            self._copy.put_back()
            sentence = f"step {step:,} was skipped: {made}"
            if self.count == TRACED:
                sentence += "; from now on skipped steps are only counted"
        self.run.counts = taken
        if self.in_a_row == IN_A_ROW:
            raise UserError(
                f"{sentence}; so were the {IN_A_ROW - 1} before it, and no other will be better: "
                "start again with lower learning rates, --lr-g and --lr-d"
            )
        return sentence


# Finding the cause.


def stopped(run, path, step, seen, interrupted, quiet):
    """Why the run cannot go on, in one sentence. Runs the steps since the checkpoint at `path` again to find out.

    step, seen: where a number was found that is not finite, and which, in words. interrupted: a function that says
    whether to give up. quiet: whether to show no progress.
    """
    kept, again = "", "--resume"
    try:
        state = checkpoint.load(path)
        kept = f"; the run stopped, and the checkpoint of step {state['step']:,} is kept"
        copy = type(run)(run.settings, run.device, run.graph)
        copy.restore(state, path)
        found = _first(copy, step, interrupted, quiet)
    except (UserError, OSError, MemoryError) as error:
        made = f"step {step:,}: {seen} (what made it so cannot be found out: {error})"
    else:
        if found:
            shown = f" (seen in step {step:,}: {seen})" if found[0] != step else ""
            made, again = f"step {found[0]:,}: {found[1]}{shown}", "--resume --on-nonfinite skip"
        elif interrupted():
            made = f"step {step:,}: {seen} (what made it so was not looked for to the end, as the run was told to stop)"
        else:
            return (
                f"step {step:,}: {seen}, but not when the steps since {state['step']:,} were run again, so that memory "
                f"or the machine may be at fault{kept}: go on with --resume"
            )
    return f"{made}{kept}: start again with lower learning rates, --lr-g and --lr-d, or go on with {again}"


def _first(run, last, interrupted, quiet):
    """(step, what made its first number that is not finite, in words), running up to a step and its probe; or None."""
    copy, together = Copy(run), True
    bar = tqdm(
        total=last, initial=run.step, unit="step", desc="looking for the cause", disable=quiet, delay=PATIENCE,
        file=LastingStderr(), dynamic_ncols=True,
    )  # fmt: skip
    with bar, np.errstate(all="ignore"):
        while run.step < last and not interrupted():
            copy.keep()
            taken = _take(run, min(run.stride(), last - run.step) if together else 1)
            if in_arrays(run) or any(map(in_row, taken)):
                copy.put_back()
                if len(taken) == 1:
                    return taken[0][0], cause(run)
                together = False  # one of several, of which only the last state is known
            bar.update(run.step - bar.n)
        if run.step == last and run.wants_probe():
            made = _searched(run, lambda: signals.Probe(run)())
            return made and (last, f"in the probe of the run's signals after it, {made}")
    return None


def cause(run):
    """What makes the first number that is not finite in the run's next step, in words; or None. Takes the step."""
    with np.errstate(all="ignore"):
        made = _searched(run, lambda: _take(run, 1))
        seen = None if made else in_arrays(run)
    return f"{seen}, which no operation of the step made" if seen else made


def _take(run, count):
    """The rows of so many steps, and what else of training may change arrays."""
    taken = run.rows(run.begin(count))
    if run.wants_sample():
        run.samples()
    return taken


def _searched(run, function):
    """What made the first number that is not finite while the function was called, in words; or None."""
    with _named(run), detect_anomaly():
        try:
            function()
        except Anomaly as found:
            if found.given is None:
                return f"{found.what} made the first number that is not finite, {found.kind}"
            named = {
                id(t): name for title, network, *_ in _players(run) for name, t in network.named_parameters(f"{title}.")
            }
            given = named.get(id(found.given), f"an input {found.given.dtype}{found.given.shape}")
            return (
                f"{given} held {not_finite(found.given.data)} before {found.what} took it, and no operation made that"
            )
    return None


@contextlib.contextmanager
def _named(run):
    """Inside the block, an Anomaly says in which layer it is, or in which loss's gradients; updates raise them, too."""
    p = run.players
    generators = {id(t) for t in p.generator.parameters()}

    def gradients(loss, parameters, scale, given=p.gradients):
        name = "G's loss" if id(parameters[0]) in generators else "D's loss"
        with detect_anomaly(not (scale and _number(scale) > LossScale.LEAST)):  # an overflow would halve the scale
            return located(name)(given)(loss, parameters, scale)

    with contextlib.ExitStack() as stack:
        stack.enter_context(_replaced(p, "gradients", gradients))
        for title, network, optimizer, _ in _players(run):
            for name, module in _modules(network, title):
                place = name if module._modules else f"{name} ({module!r})"
                stack.enter_context(_replaced(module, "forward", located(place)(module.forward)))
            changed = lambda t=title, n=network, o=optimizer: [*_moments(t, n, o), *n.named_state(f"{t}.")]  # noqa: E731
            who = f"the step of {type(optimizer).__name__}"
            stack.enter_context(_replaced(optimizer, "step", _searched_after(optimizer.step, who, changed)))
        if run.average:
            changed = lambda: run.average.network.named_state("average.")  # noqa: E731
            update = _searched_after(run.average.update, "the moving average", changed)
            stack.enter_context(_replaced(run.average, "update", update))
        yield


def _modules(module, name):
    """(dotted name, module) of a module, called so, and of all below it."""
    yield name, module
    for part, below in module._modules.items():
        yield from _modules(below, f"{name}.{part}")


def _searched_after(function, who, changed):
    """The function, with a look at the arrays (name, array) that `changed` returns after each call."""

    def inside(*arguments):
        function(*arguments)
        for name, array in changed():
            if kind := not_finite(array):
                raise Anomaly(f"{who}, in {name},", kind)

    return inside


@contextlib.contextmanager
def _replaced(owner, name, function):
    """Inside the block, an object's method is another function."""
    vars(owner)[name] = function
    try:
        yield
    finally:
        del vars(owner)[name]
