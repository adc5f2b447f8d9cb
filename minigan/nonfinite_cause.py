"""What made the first number of a run that is not finite: the operation, its layer, forward or gradient, and the step.

What is found in a run's arrays may have come about long before; but steps run again from the last checkpoint have the
same bits, so that the one at fault is found, and is run once more with every operation searched.
"""

import contextlib

import numpy as np
from tqdm import tqdm

from minigan import checkpoint, signals
from minigan.anomaly import Anomaly, detect_anomaly, located, not_finite
from minigan.errors import UserError
from minigan.nonfinite import Copy, in_arrays, in_row, moments, players, scale_of
from minigan.optim import LossScale
from minigan.terminal import LastingStderr

PATIENCE = 3.0  # seconds after which a search shows how far it is


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
            taken = _take(run, min(run.steps_until_pause(), last - run.step) if together else 1)
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
    taken = run.rows_of(run.enqueue(count))
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
                id(t): name for title, network, *_ in players(run) for name, t in network.named_parameters(f"{title}.")
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
        with detect_anomaly(not (scale and scale_of(scale) > LossScale.LEAST)):  # an overflow would halve the scale
            return located(name)(given)(loss, parameters, scale)

    with contextlib.ExitStack() as stack:
        stack.enter_context(_replaced(p, "gradients", gradients))
        for title, network, optimizer, _ in players(run):
            for name, module in _modules(network, title):
                place = name if module._modules else f"{name} ({module!r})"
                stack.enter_context(_replaced(module, "forward", located(place)(module.forward)))
            changed = lambda t=title, n=network, o=optimizer: [*moments(t, n, o), *n.named_state(f"{t}.")]  # noqa: E731
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

    def inside(*arguments, **options):
        function(*arguments, **options)
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
