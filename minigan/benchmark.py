"""Timing training steps on a noisy machine: competitors take turns, and what counts is their ratio."""

import statistics
import time
from dataclasses import dataclass

from minigan import data, random, recipes, training
from minigan.tensor import Tensor, no_grad

BLOCK_SECONDS = 0.5  # one competitor's turn
WARM_UP_STEPS = 2  # at the start of each turn, not timed: the other's threads fall asleep, the caches fill


@dataclass
class Timing:
    """Seconds a step of each round, for one competitor."""

    name: str
    rounds: list

    @property
    def median(self):
        """The median over the rounds, in seconds."""
        return statistics.median(self.rounds)


def take_turns(steps, rounds, progress=lambda: None):
    """Times functions of no arguments against each other: A B A B ...

    steps: {name: function}. Each turn runs a function for about half a second. Returns a Timing each.
    """
    for step in steps.values():
        step()
    counts = {name: max(1, round(BLOCK_SECONDS / _seconds(step, 3))) for name, step in steps.items()}
    timings = {name: Timing(name, []) for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            for _ in range(WARM_UP_STEPS):
                step()
            timings[name].rounds.append(_seconds(step, counts[name]))
            progress()
    return list(timings.values())


def ratios(ours, theirs):
    """(median, least, greatest) of ours / theirs, round by round."""
    pairs = [a / b for a, b in zip(ours.rounds, theirs.rounds)]
    return statistics.median(pairs), min(pairs), max(pairs)


def training_step(name, batch_size):
    """A function of no arguments that takes one step of minigan's training of a recipe on MNIST."""
    recipe = recipes.RECIPES[name]
    return training.Run(training.default_settings(recipe, batch_size=batch_size)).advance


def generation(name, batch_size):
    """A function of no arguments that draws a batch of images from a recipe's generator in eval mode."""
    recipe = recipes.RECIPES[name]
    generator = recipes.build(recipe, seed=0)[0].eval()
    latents = Tensor(random.Generator().normal((batch_size, *recipe.latent_shape)))

    def draw():
        with no_grad():
            generator(latents)

    return draw


def torch_training_step(name, batch_size, threads):
    """`training_step` in PyTorch, in the memory layout that is faster here. Returns (its name, the function)."""
    from minigan import torch_peer

    images = data.load_images("mnist", recipes.RECIPES[name].splits)
    return _faster_layout(lambda last: torch_peer.make_step(name, images, batch_size, last, threads))


def torch_generation(name, batch_size, threads):
    """`generation` in PyTorch, likewise."""
    from minigan import torch_peer

    return _faster_layout(lambda last: torch_peer.make_generation(name, batch_size, last, threads))


def _faster_layout(make):
    candidates = {
        f"PyTorch, {layout}": make(layout == "channels-last") for layout in ("channels-first", "channels-last")
    }
    best = min(take_turns(candidates, rounds=2), key=lambda timing: timing.median)
    return best.name, candidates[best.name]


def _seconds(step, count):
    start = time.perf_counter()
    for _ in range(count):
        step()
    return (time.perf_counter() - start) / count
