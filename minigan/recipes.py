"""The reproduced papers: each one's networks and settings, and every deviation from it. Nothing else.

Both are DCGANs (Radford, Metz and Chintala 2015) for 28x28 digits.
"""

from collections.abc import Callable
from dataclasses import dataclass

from minigan import init, random
from minigan.nn import (
    BatchNorm1d,
    BatchNorm2d,
    BCELoss,
    BCEWithLogitsLoss,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    Module,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
    Unflatten,
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """A paper's experiment. Epochs, steps and images are counts; learning rates are Adam's."""

    name: str
    paper: str
    deviations: tuple  # sentences: where this differs from the paper, and why
    generator: Callable[[], Module]  # the network, not yet initialised
    discriminator: Callable[[], Module]
    initialise: Callable  # (network, random.Generator) -> None: the paper's initial values
    latent_shape: tuple  # of one latent
    criterion: Module  # BCE of what the discriminator returns
    returns_logits: bool  # whether that is a logit or a probability
    splits: tuple  # of MNIST, trained on
    simultaneous: bool  # both gradients before either step, or the discriminator's step first
    adam: dict  # betas, eps, epsilon_hat, for both networks
    batch_size: int
    epochs: int
    lr_g: float
    lr_d: float
    samples: int  # fixed latents drawn on the way
    sample_every_steps: int | None  # how often; None: by epochs
    sample_every_epochs: int | None  # then also after the first epoch
    sample_in_train_mode: bool  # by batch statistics, which moves the running ones
    checkpoint_every: int  # epochs
    probe_every: int  # steps between two looks at the signals on the CPU: less than 3% of the time


NGF = NDF = 28  # base number of channels: the deepest feature maps have 4 times as many


def chaudhary_generator():
    """Latent (N, 100, 1, 1) to image (N, 1, 28, 28) in [-1, 1]."""
    return Sequential(
        ConvTranspose2d(100, 4 * NGF, 4, 1, 0, bias=False),  # (N, 112, 4, 4)
        BatchNorm2d(4 * NGF),
        ReLU(),
        ConvTranspose2d(4 * NGF, 2 * NGF, 4, 2, 1, bias=False),  # (N, 56, 8, 8)
        BatchNorm2d(2 * NGF),
        ReLU(),
        ConvTranspose2d(2 * NGF, NGF, 4, 2, 2, bias=False),  # (N, 28, 14, 14)
        BatchNorm2d(NGF),
        ReLU(),
        ConvTranspose2d(NGF, 1, 4, 2, 1, bias=False),  # (N, 1, 28, 28)
        Tanh(),
    )


def chaudhary_discriminator():
    """Image (N, 1, 28, 28) to the probability that it is real (N, 1, 1, 1)."""
    return Sequential(
        Conv2d(1, NDF, 4, 2, 1, bias=False),  # (N, 28, 14, 14)
        LeakyReLU(0.2),
        Conv2d(NDF, 2 * NDF, 4, 2, 2, bias=False),  # (N, 56, 8, 8)
        BatchNorm2d(2 * NDF),
        LeakyReLU(0.2),
        Conv2d(2 * NDF, 4 * NDF, 4, 2, 1, bias=False),  # (N, 112, 4, 4)
        BatchNorm2d(4 * NDF),
        LeakyReLU(0.2),
        Conv2d(4 * NDF, 1, 4, 1, 0, bias=False),  # (N, 1, 1, 1)
        Sigmoid(),
    )


def chaudhary_initialise(network, generator):
    """Convolutions N(0, 0.02); batch normalisation's weights N(1, 0.02), its biases 0."""
    for module in network.modules():
        if isinstance(module, (Conv2d, ConvTranspose2d)):
            init.normal_(module.weight, 0.0, 0.02, generator)
        elif isinstance(module, BatchNorm2d):
            init.normal_(module.weight, 1.0, 0.02, generator)
            init.zeros_(module.bias)


chaudhary2024 = Recipe(
    name="chaudhary2024",
    paper="Chaudhary et al., Image Generation with Generative Adversarial Networks (2024)",
    deviations=(
        "Its Python and CUDA random numbers cannot be reproduced; ours are Philox, so a seed means other digits.",
        "Samples are drawn after every 500th step and at the end; a sample that is off this schedule, because the run "
        "was told to end early, leaves the running statistics as they were.",
        "Losses are shown on a progress bar every 50 steps, and every one is written to metrics.csv.",
        "Training images are normalised by arithmetic on the fly, not by a stored transform; the values are the same.",
    ),
    generator=chaudhary_generator,
    discriminator=chaudhary_discriminator,
    initialise=chaudhary_initialise,
    latent_shape=(100, 1, 1),
    criterion=BCELoss(),
    returns_logits=False,
    splits=("train",),
    simultaneous=False,
    adam={"betas": (0.5, 0.999), "eps": 1e-8, "epsilon_hat": False},
    batch_size=4,
    epochs=3,
    lr_g=0.001,
    lr_d=0.001,
    samples=64,
    sample_every_steps=500,
    sample_every_epochs=None,
    sample_in_train_mode=True,
    checkpoint_every=1,
    probe_every=500,
)


# Keras 'same' for kernel 5, stride 2 pads 1 before and 2 after: (left, right, top, bottom).
SAME_STRIDE_2 = (1, 2, 1, 2)
KERAS_BATCH_NORM = {"eps": 1e-3, "momentum": 0.01}  # Keras writes the momentum as 0.99, of the old value


def jeganathan_generator():
    """Latent (N, 100) to image (N, 1, 28, 28) in [-1, 1]."""
    return Sequential(
        Linear(100, 256 * 7 * 7, bias=False),  # (N, 12544)
        BatchNorm1d(256 * 7 * 7, **KERAS_BATCH_NORM),
        LeakyReLU(0.3),
        Unflatten(1, (256, 7, 7)),  # (N, 256, 7, 7)
        ConvTranspose2d(256, 128, 5, 1, 2, bias=False),  # (N, 128, 7, 7)
        BatchNorm2d(128, **KERAS_BATCH_NORM),
        LeakyReLU(0.3),
        ConvTranspose2d(128, 64, 5, 2, SAME_STRIDE_2, bias=False),  # (N, 64, 14, 14)
        BatchNorm2d(64, **KERAS_BATCH_NORM),
        LeakyReLU(0.3),
        ConvTranspose2d(64, 1, 5, 2, SAME_STRIDE_2, bias=False),  # (N, 1, 28, 28)
        Tanh(),
    )


def jeganathan_discriminator():
    """Image (N, 1, 28, 28) to the logit that it is real (N, 1)."""
    return Sequential(
        Conv2d(1, 64, 5, 2, SAME_STRIDE_2),  # (N, 64, 14, 14)
        LeakyReLU(0.3),
        Dropout(0.3),
        Conv2d(64, 128, 5, 2, SAME_STRIDE_2),  # (N, 128, 7, 7)
        LeakyReLU(0.3),
        Dropout(0.3),
        Flatten(),  # (N, 6272)
        Linear(128 * 7 * 7, 1),  # (N, 1)
    )


def jeganathan_initialise(network, generator):
    """Keras's defaults: Glorot uniform weights, zero biases."""
    for module in network.modules():
        if isinstance(module, (Conv2d, ConvTranspose2d, Linear)):
            init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                init.zeros_(module.bias)


jeganathan2025 = Recipe(
    name="jeganathan2025",
    paper="Jeganathan, Exploring the Power of GANs for Image Generation: A Case Study on the MNIST Dataset (2025)",
    deviations=(
        "Images are (channel, height, width), so the generator's dense layer is read as (256, 7, 7), not (7, 7, 256): "
        "the same network with its hidden units in another order.",
        "Where its text and its listing differ, the listing counts; the text's values are a flag away.",
        "The running variance of batch normalisation is the unbiased one, as in PyTorch.",
        "Its TensorFlow random numbers cannot be reproduced; ours are Philox.",
    ),
    generator=jeganathan_generator,
    discriminator=jeganathan_discriminator,
    initialise=jeganathan_initialise,
    latent_shape=(100,),
    criterion=BCEWithLogitsLoss(),
    returns_logits=True,
    splits=("train", "t10k"),
    simultaneous=True,
    adam={"betas": (0.9, 0.999), "eps": 1e-7, "epsilon_hat": True},
    batch_size=100,
    epochs=500,
    lr_g=1e-4,
    lr_d=1e-4,
    samples=16,
    sample_every_steps=None,
    sample_every_epochs=10,
    sample_in_train_mode=False,
    checkpoint_every=10,
    probe_every=100,
)

RECIPES = {recipe.name: recipe for recipe in (chaudhary2024, jeganathan2025)}


def build(recipe, seed, dropout=None):
    """(generator, discriminator) of a recipe, initialised from the seed as its paper says.

    dropout: the `random.Generator` of the dropout masks; by default one of that seed.
    """
    networks = recipe.generator(), recipe.discriminator()
    for network, purpose in zip(networks, (random.WEIGHTS_G, random.WEIGHTS_D)):
        recipe.initialise(network, random.Generator(seed, purpose))
    dropout = random.Generator(seed, random.DROPOUT) if dropout is None else dropout
    for module in networks[1].modules():
        if isinstance(module, Dropout):
            module.generator = dropout
    return networks
