"""The recipes with few channels, for tests that take many steps of them on an emulated GPU."""

import dataclasses

from minigan import recipes
from minigan.nn import (
    BatchNorm1d, BatchNorm2d, Conv2d, ConvTranspose2d, Dropout, Flatten, LeakyReLU, Linear, Sequential, Tanh, Unflatten,
)  # fmt: skip
from minigan.recipes import SAME_STRIDE_2

CHANNELS = 4


def jeganathan_generator():
    """As the recipe's, with 4 and 2 channels for its 256, 128 and 64."""
    return Sequential(
        Linear(100, CHANNELS * 7 * 7, bias=False),
        BatchNorm1d(CHANNELS * 7 * 7),
        LeakyReLU(0.3),
        Unflatten(1, (CHANNELS, 7, 7)),
        ConvTranspose2d(CHANNELS, CHANNELS, 5, 1, 2, bias=False),
        BatchNorm2d(CHANNELS),
        LeakyReLU(0.3),
        ConvTranspose2d(CHANNELS, 2, 5, 2, SAME_STRIDE_2, bias=False),
        BatchNorm2d(2),
        LeakyReLU(0.3),
        ConvTranspose2d(2, 1, 5, 2, SAME_STRIDE_2, bias=False),
        Tanh(),
    )


def jeganathan_discriminator():
    """As the recipe's, with 2 and 4 channels for its 64 and 128."""
    return Sequential(
        Conv2d(1, 2, 5, 2, SAME_STRIDE_2), LeakyReLU(0.3), Dropout(0.3),
        Conv2d(2, CHANNELS, 5, 2, SAME_STRIDE_2), LeakyReLU(0.3), Dropout(0.3),
        Flatten(), Linear(CHANNELS * 7 * 7, 1),
    )  # fmt: skip


def make_recipes_small(monkeypatch):
    """Few channels and few samples for both recipes, for as long as the test runs."""
    for name in ("NGF", "NDF"):
        monkeypatch.setattr(recipes, name, CHANNELS)
    networks = dict(generator=jeganathan_generator, discriminator=jeganathan_discriminator)
    for name, changes in (("chaudhary2024", {}), ("jeganathan2025", networks)):
        small = dataclasses.replace(recipes.RECIPES[name], samples=4, **changes)
        monkeypatch.setitem(recipes.RECIPES, name, small)
