"""What the tests of the recipes need of PyTorch besides the networks of minigan.torch_peer."""

import torch

from minigan.torch_peer import NETWORKS as TWINS

__all__ = ["TWINS", "KerasAdam", "to_torch"]


class KerasAdam:
    """Adam as Keras computes it: p -= lr sqrt(1 - b2^t) / (1 - b1^t) m / (sqrt(v) + eps)."""

    def __init__(self, params, lr, betas=(0.9, 0.999), eps=1e-7):
        self.params, self.lr, self.betas, self.eps, self.t = list(params), lr, betas, eps, 0
        self.moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.params]

    @torch.no_grad()
    def step(self, grads):
        """One step along `grads`, one for each parameter."""
        self.t += 1
        b1, b2 = self.betas
        for p, g, (m, v) in zip(self.params, grads, self.moments):
            m.mul_(b1).add_((1 - b1) * g)
            v.mul_(b2).add_((1 - b2) * g * g)
            p -= self.lr * (1 - b2**self.t) ** 0.5 / (1 - b1**self.t) * m / (v.sqrt() + self.eps)


def to_torch(state):
    """A state_dict of ours as one of PyTorch's: copies."""
    return {name: torch.tensor(array) for name, array in state.items()}
