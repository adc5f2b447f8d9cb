"""A whole training of a recipe in PyTorch: what minigan's trainings are compared with, score by score.

The step is `torch_peer.py`'s; initial weights, the epochs' shuffled batches and the sampling on the way are the
recipe's. What differs is what a library brings: its arithmetic, its random numbers, and where Adam adds its epsilon
(`epsilon_hat` of jeganathan2025: before the bias correction, in PyTorch after it).
"""

import numpy as np
import torch

from minigan import data, random, recipes, torch_gpu, torch_peer


class ShuffledBatches:
    """Indices of the images of one batch after another, in a new random order each epoch, on the device.

    Calling it may be part of a CUDA graph: the order and the place in it lie at fixed addresses.
    """

    def __init__(self, count, batch_size, device):
        self.count, self.per_epoch, self.device = count, count // batch_size, device
        self.order = torch.randperm(count).to(device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.within = torch.arange(batch_size, device=device)

    def __call__(self):
        """The next batch's indices, a tensor (N,)."""
        chosen = self.order[self.position + self.within]
        self.position += len(self.within)
        return chosen

    def shuffle(self):
        """Begins an epoch."""
        self.order.copy_(torch.randperm(self.count))
        self.position.zero_()


def train(name, seed, steps, batch_size=None, device="cpu", precision="float32", progress=None):
    """The generator's state_dict, as NumPy arrays, after so many steps of a recipe trained by PyTorch.

    It starts from the initial weights that minigan draws from the seed. On a GPU the step is a CUDA graph. progress: told
    how many more steps are done. Batches are whole: the last images of an epoch wait for the next where they make none.
    """
    if device == "cuda":
        torch_gpu.prepare(precision)
    torch.manual_seed(seed)
    recipe = recipes.RECIPES[name]
    batch_size = batch_size or recipe.batch_size
    networks = generator, _ = torch_peer.NETWORKS[name]()
    for network, ours in zip(networks, recipes.build(recipe, seed)):
        network.load_state_dict({key: torch.from_numpy(np.array(array)) for key, array in ours.state_dict().items()})
    batches = ShuffledBatches(len(data.load_images("mnist", recipe.splits)), batch_size, device)
    step = torch_peer.training_step(
        name, batch_size, device=device, precision=precision, networks=networks, choose=batches
    )
    fixed = random.Generator(seed, random.FIXED_LATENTS).normal((recipe.samples, *recipe.latent_shape))
    fixed = torch.from_numpy(fixed).to(device)
    taken = 0
    if device == "cuda":
        step = torch_gpu.graphed(step, 1, device).run  # which takes some steps to warm up
        taken = torch_gpu.WARM_UP_STEPS
    else:
        repeated, step = step, lambda count: [repeated() for _ in range(count)]
    while taken < steps:
        until = _next_stop(taken, steps, batches.per_epoch, recipe.sample_every_steps)
        step(until - taken)
        if progress:
            progress(until - taken)
        taken = until
        if taken % batches.per_epoch == 0:
            batches.shuffle()
        if recipe.sample_in_train_mode and taken % recipe.sample_every_steps == 0:
            with torch.no_grad():  # as in the paper: it moves the running statistics
                generator(fixed)
    if device == "cuda":
        torch.cuda.synchronize()
    return {key: tensor.cpu().numpy() for key, tensor in generator.state_dict().items()}


def _next_stop(taken, steps, *intervals):
    """The next step after `taken` that is the last, or a multiple of an interval."""
    return min(steps, *((taken // every + 1) * every for every in intervals if every))
