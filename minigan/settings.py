"""What a user may choose about a run: its settings, the recipe's own values for them, and what is possible."""

import math
from dataclasses import dataclass, fields

from minigan import recipes
from minigan.errors import UserError

LOSSES = ("nonsaturating", "minimax")
ON_NONFINITE = ("stop", "skip")
MOST_D_STEPS = 1000  # the latents of all of a step's updates are in memory at once


@dataclass
class Settings:
    """What a user may choose about a run; `default_settings` fills in the recipe's own values."""

    recipe: str
    epochs: int
    steps: int | None  # if given, the run ends here instead of after its epochs
    batch_size: int
    lr_g: float
    lr_d: float
    d_steps: int  # updates of D in each step
    d_steps_epochs: int | None  # for the first so many epochs only
    loss: str
    seed: int
    dataset: str
    shuffle: bool  # whether each epoch takes the images in a new order
    normalise: bool  # whether D sees real pixels from -1 to 1, as G makes them, or from 0 to 1
    checkpoint_every: int  # epochs
    checkpoint_steps: int | None
    sample_every: int | None  # steps; None: as the recipe says
    ema: float | None  # decay of the moving average of G's weights; None: no average
    probe_every: int | None  # steps between two looks at the run's signals; 0: none; None: as signals.py says
    keep: int  # checkpoints, the newest included
    on_nonfinite: str  # what to do where a number is not finite: stop, or skip the step


# What a resumed run may change: when it ends, saves and draws, and where the (same) images now lie.
FREE_SETTINGS = (
    "epochs",
    "steps",
    "checkpoint_every",
    "checkpoint_steps",
    "sample_every",
    "probe_every",
    "keep",
    "on_nonfinite",
    "dataset",
)


def default_settings(recipe, /, **chosen):
    """The Settings of a Recipe, with the values in `chosen` that are not None in place of its own."""
    own = dict(
        recipe=recipe.name, epochs=recipe.epochs, steps=None, batch_size=recipe.batch_size, lr_g=recipe.lr_g,
        lr_d=recipe.lr_d, d_steps=1, d_steps_epochs=None, loss="nonsaturating", seed=0, dataset="mnist",
        shuffle=True, normalise=True,
        checkpoint_every=recipe.checkpoint_every, checkpoint_steps=None, sample_every=None,
        ema=None, probe_every=None, keep=2, on_nonfinite="stop",
    )  # fmt: skip
    return Settings(**{**own, **{name: value for name, value in chosen.items() if value is not None}})


def settings_of(state, path):
    """The Settings in a checkpoint's state. Raises UserError where they are not such settings."""
    try:
        saved = dict(state["settings"])
        recipe = recipes.RECIPES[saved["recipe"]]
        settings = default_settings(recipe, **saved)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} is damaged, or of a recipe that this minigan does not have") from None
    for name in impossible_settings(settings):
        value = getattr(settings, name)
        simple = value is None or isinstance(value, (bool, int, float, str))  # the text of a list could have no end
        raise UserError(
            f"{path} is damaged: its setting {name} is {ascii(value) if simple else type(value).__name__:.50}"
        )
    return settings


def impossible_settings(settings):
    """The names of settings with a value that no run can have, of another type or out of range."""
    for field in fields(Settings):
        value = getattr(settings, field.name)
        if not isinstance(value, field.type) or not _is_possible(field.name, value):
            yield field.name


def _is_possible(name, value):
    """Whether a setting of the right type has a value in its range."""
    if isinstance(value, bool):
        return name in ("shuffle", "normalise")
    if name == "seed":
        return 0 <= value < 2**64
    if name == "d_steps":
        return 0 < value <= MOST_D_STEPS
    if name == "ema" and value is not None:
        return 0 < value < 1
    if name == "loss":
        return value in LOSSES
    if name == "on_nonfinite":
        return value in ON_NONFINITE
    if isinstance(value, str):
        return 0 < len(value) < 4096 and value.isprintable()
    if isinstance(value, float):
        return 0 < value < math.inf
    if name == "probe_every" and value == 0:
        return True
    return value is None or 0 < value < 2**31
