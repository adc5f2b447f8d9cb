"""Exercise 10 by minigan."""

from minigan import gan, nn
from minigan.tensor import Tensor, grad

criterion = nn.BCEWithLogitsLoss()


def bce_with_logits(x, y):
    """The fused op."""
    return criterion(Tensor(x), Tensor(y)).item()


def bce_with_logits_gradient(x, y):
    """By the engine."""
    x = Tensor(x, requires_grad=True)
    return grad(criterion(x, Tensor(y)), x)[0].data


def generator_loss(x, kind="nonsaturating"):
    """minigan.gan's, which takes any other kind for nonsaturating: `train` looks at the name."""
    return _loss(Tensor(x), kind).item()


def generator_loss_gradient(x, kind="nonsaturating"):
    """By the engine."""
    x = Tensor(x, requires_grad=True)
    return grad(_loss(x, kind), x)[0].data


def _loss(x, kind):
    if kind not in ("nonsaturating", "minimax"):
        raise ValueError(f"there is no loss {kind}")
    return gan.generator_loss(criterion, x, kind)
