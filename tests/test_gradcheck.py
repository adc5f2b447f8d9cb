"""The gradient check itself: it passes right gradients and catches planted mistakes, naming the place."""

import numpy as np
import pytest

from minigan import functions
from minigan.gradcheck import GradcheckError, gradcheck
from minigan.tensor import Op, Tensor


def tensor(shape, seed=0):
    return Tensor(np.random.default_rng(seed).standard_normal(shape), requires_grad=True)


class Cube(Op):
    """x^3 with a mistake chosen by its argument."""

    def __init__(self, mistake=None):
        self.mistake = mistake

    def forward(self, x):
        return x**3

    def vjp(self, needs, g, out, x):
        if self.mistake == "factor":
            return (g * x * x * 3.001,)
        if self.mistake == "one element":
            off = np.zeros(x.shape)
            off[1, 2] = 0.01
            return (g * (x * x * 3 + Tensor(off)),)
        if self.mistake == "cut graph":  # right to first order, but x is taken for a constant
            return (g * Tensor(3 * x.data**2),)
        if self.mistake == "cotangent ignored":
            return (x * x * 3,)
        return (g * x * x * 3,)


def test_right_gradients_pass_to_third_order():
    assert gradcheck(Cube(), tensor((3, 4)), order=3)


@pytest.mark.parametrize("mistake", ["factor", "one element", "cotangent ignored"])
def test_first_order_mistakes_are_caught(mistake):
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: Cube(mistake)(x), tensor((3, 4)))


def test_a_mistake_of_second_order_is_caught_by_order_two_only():
    assert gradcheck(lambda x: Cube("cut graph")(x), tensor((3, 4)))
    with pytest.raises(GradcheckError):
        gradcheck(lambda x: Cube("cut graph")(x), tensor((3, 4)), order=2)


def test_the_message_names_input_index_values_and_error():
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: Cube("one element")(x), tensor((3, 4)), names=["weights"])
    message = str(caught.value)
    for part in ("weights", "index (1, 2)", "analytic", "numeric", "relative error"):
        assert part in message


def test_batch_norm_that_forgets_its_statistics_is_caught():
    class Forgetful(functions.BatchNorm):
        """Takes mean and variance for constants."""

        def arrays_vjp(self, needs, g, out, x, weight, bias):
            grad_x, grad_weight, grad_bias = super().arrays_vjp(needs, g, out, x, weight, bias)
            return g * weight[:, None] / np.sqrt(self.var[0] + self.eps)[:, None], grad_weight, grad_bias

    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(lambda *t: Forgetful(1e-5)(*t), [tensor((4, 3, 2)), tensor((3,), 1), tensor((3,), 2)])


def test_inputs_drawn_from_the_seed_of_the_check_hide_nothing():
    class Stretched(functions.BatchNorm):
        """A gradient a thousandth too large; with a cotangent equal to x the right one is nearly zero."""

        def arrays_vjp(self, needs, g, out, x, weight, bias):
            grad_x, grad_weight, grad_bias = super().arrays_vjp(needs, g, out, x, weight, bias)
            return grad_x * 1.001, grad_weight, grad_bias

    x = Tensor(np.random.default_rng(0).standard_normal((64, 3, 4)), requires_grad=True)
    weight, bias = Tensor(np.ones(3)), Tensor(np.zeros(3))
    with pytest.raises(GradcheckError, match="input 0"):
        gradcheck(lambda x: Stretched(1e-5)(x, weight, bias), x, seed=0)


def test_float32_is_refused():
    with pytest.raises(TypeError, match="float64"):
        gradcheck(lambda x: x * x, Tensor([1.0], requires_grad=True))


def test_a_gradient_of_nan_is_caught():
    class Poisoned(Cube):
        """x^3 with a gradient of NaN."""

        def vjp(self, needs, g, out, x):
            return (g * float("nan"),)

    with pytest.raises(GradcheckError):
        gradcheck(lambda x: Poisoned()(x), tensor((2,)))
