"""Checkpoints as a target: tiny but real runs, mutants of their files, and the whole way that a file goes when a run is
resumed or sampled from.

Three quarters of the mutants get the checksum that belongs to them, so that what lies behind that check is tested.
"""

import contextlib
import functools
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import small

from hostile import attacks, byte_mutants, idx_files, state_mutants
from hostile.workers import Target, as_it_is, put
from minigan import checkpoint, data, gan, recipes, sampling, train, training
from minigan.errors import UserError
from minigan.settings import default_settings

STEPS = 3
SEALED_SHARE = 0.75
TAIL = len(checkpoint.SEAL) + checkpoint.DIGEST_BYTES + len(checkpoint.END)


def write_images(folder):
    """A data set of the first images of MNIST, ten to train on and four to test; returns its folder."""
    folder.mkdir(exist_ok=True)
    for split, count in (("train", 10), ("t10k", 4)):
        content = idx_files.as_idx(data.load_images("mnist", (split,))[:count])
        (folder / f"{split}-images-idx3-ubyte").write_bytes(content)
    return folder


def shrink_recipes():
    """Both recipes with one to four channels, for as long as this process lives."""
    patch = pytest.MonkeyPatch()
    small.make_recipes_small(patch)
    recipes.NGF = recipes.NDF = 1
    return patch


def _seeds(folder, images):
    """Good files: [bytes]. folder: where they are written for a moment; images: the data set named in their settings."""
    found = []
    for recipe, chosen in (
        ("chaudhary2024", {}),
        ("chaudhary2024", {"ema": 0.5}),
        ("jeganathan2025", {"seed": 2**64 - 1}),
    ):
        own = dict(batch_size=4, steps=STEPS, dataset=str(images), **chosen)
        run = training.Run(default_settings(recipes.RECIPES[recipe], **own))
        for _ in range(STEPS):
            run.advance()
        run.seconds = 1.5  # a mutant must not depend on when it is made
        checkpoint.save(folder / "seed", run.state())
        found.append((folder / "seed").read_bytes())
    (folder / "seed").unlink()
    return found


def prepare(folder):
    """A complete run of the first recipe in the folder, and seeds: see Target."""
    shrink_recipes()
    images = write_images(Path(tempfile.gettempdir()) / "minigan-images")  # one name: a mutant is the same anywhere
    seeds = _seeds(folder, images)
    folder = folder / "run"
    folder.mkdir()
    path = folder / "checkpoint.pkl"
    path.write_bytes(seeds[0])
    header, row = "step,epoch,loss_d,loss_g,d_real,d_fake,seconds", "1,1.5,1.5,0.5,0.5,0.1"
    (folder / "metrics.csv").write_text("\n".join([header, *(f"{n},{row}" for n in range(1, STEPS + 1))]) + "\n")
    for name in ("losses.png", "evolution.gif", "report.html", "config.json"):
        (folder / name).write_bytes(b"")
    return path, seeds


def make(rng, seeds, number):
    """A mutant: see Target."""
    kind, mutation = rng.choice(_KINDS)
    sealed = rng.random() < SEALED_SHARE
    seed = rng.choice((seeds[0], *seeds))
    try:
        content = mutation(rng, seed[:-TAIL] if sealed and mutation in _OF_BYTES else seed)
    except (ValueError, IndexError):  # a mutation that needs more than there is
        kind, content = "flip_bits", byte_mutants.flip_bits(rng, seed)
    if sealed and mutation in _OF_BYTES:
        content += seed[-TAIL:]
    return kind, sealed, attacks.sealed(content) if sealed else content


def _state(rng, seed):
    """The state is mutated, then pickled as `checkpoint.save` does; sometimes in another protocol."""
    state = pickle.loads(seed)
    digest = state.pop("sha256")
    _, state = state_mutants.mutate(rng, state)
    if isinstance(state, dict):
        state.pop("sha256", None)
        state["sha256"] = digest
    return pickle.dumps(state, rng.choice((*[4] * 30, 5, 3, 2, 1, 0)))


def _attack(rng, seed):
    """One of the corpus."""
    return rng.choice(_small_attacks())


@functools.cache
def _small_attacks():
    return [content for _, content in attacks.corpus() if len(content) < 500_000]


_OF_BYTES = {mutation for _, mutation in byte_mutants.OF_A_PICKLE}
# As many mutants of the state as of the bytes.
_KINDS = (*byte_mutants.OF_A_PICKLE, *[("state", _state)] * len(byte_mutants.OF_A_PICKLE), ("corpus", _attack))


# The whole way.


def load(path):
    """The state: bounded by the file's size alone."""
    return path, checkpoint.load(path)


def sample(loaded):
    """The generator of the state, and an image of it."""
    path, state = loaded
    generator, recipe, _ = sampling.generator_of(state, path)
    gan.generate(generator, np.zeros((2, *recipe.latent_shape), np.float32))
    return path, state


def resume(sampled):
    """The command train --resume, told to end at the step where the file says it is."""
    path, state = sampled
    step = None
    with contextlib.suppress(Exception):
        step = int(state["step"])
    if step == 0:  # there would be training to do
        return
    steps = step if step is not None and 0 < step < 2**31 else STEPS
    try:
        train.main(["--resume", str(path), "--steps", str(steps), "--threads", "1"])
    except UserError as error:
        if "is complete after" not in str(error):
            raise


STAGES = (load, sample, resume)
NAMED = (0, 0, 128 << 20)  # a resumed run's images: MNIST, twice
TARGET = Target("checkpoint", prepare, make, put, STAGES, checkpoint.MOST_OPCODES, as_it_is, NAMED)


def make_attack(rng, seeds, number):
    """An attack of the corpus: see Target."""
    name, content = attacks.corpus()[number]
    return name, False, content


CORPUS = TARGET._replace(name="corpus", make=make_attack)
