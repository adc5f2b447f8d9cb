"""Images from a checkpoint's generator: what `minigan.sample` and whoever judges samples call."""

import numpy as np

from minigan import checkpoint, data, gan, random, recipes, settings
from minigan.errors import UserError

LATENTS_A_DRAW = 1024  # part of what a seed means: changing it changes the images


def draw(generator, latent_shape, count, seed, device="cpu", batch_size=64, progress=None):
    """`count` images of latents drawn from the seed: uint8 (count, 28, 28). More latents begin with the fewer.

    progress(images): told how many more are done.
    """
    latents = random.Generator(seed, random.SAMPLES)
    images = np.empty((count, data.SIDE, data.SIDE), np.uint8)
    for start in range(0, count, LATENTS_A_DRAW):
        chunk = latents.normal((LATENTS_A_DRAW, *latent_shape))[: count - start]
        images[start : start + len(chunk)] = gan.generate(generator, chunk, device, batch_size)
        if progress:
            progress(len(chunk))
    return images


def load_generator(path, device="cpu", average=None):
    """(generator in eval mode, its Recipe) of a checkpoint file. Raises UserError for any other file.

    average: whether to take the moving average of the generator's weights (train --ema); by default where there is one.
    """
    generator, recipe, _ = generator_of(*checkpoint.load_newest(path), device, average)
    return generator, recipe


def generator_of(state, path, device="cpu", average=None):
    """(generator in eval mode, its Recipe, whether it is the average) of a checkpoint's state; as `load_generator`."""
    if average and "average" not in state:
        raise UserError(f"{path} has no moving average of the generator: train with --ema DECAY, or leave out --ema")
    averaged = "average" in state if average is None else average
    generator, recipe = network_of(state, path, "generator", "average" if averaged else "generator")
    return generator.to(device), recipe, averaged


def network_of(state, path, name, weights=None):
    """(the "generator" or "discriminator" in eval mode, its Recipe) of a checkpoint's state; as `load_generator`.

    weights: under what name the state has them, if it is another.
    """
    recipe = recipes.RECIPES[settings.settings_of(state, path).recipe]
    network = getattr(recipe, name)()
    try:
        network.load_state_dict(state[weights or name])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UserError(f"{path} is damaged: its {name} does not fit {recipe.name} ({str(error):.1000})") from None
    for key, array in network.state_dict().items():
        if not np.isfinite(array).all():
            raise UserError(f"{path} is damaged: {key} of its {name} has values that are no numbers")
    return network.eval(), recipe
