"""Optimizers: they change parameters in place. Names, defaults and state_dict layout are PyTorch's.

State is kept by the parameter's position, so it can be saved and survives a change of device.
"""

import math

import numpy as np

from minigan import backend


class Optimizer:
    """Steps a list of parameters along their gradients."""

    state_names = ()  # what the state of every parameter has after a step

    def __init__(self, params, **settings):
        self.params = list(params)
        if not self.params:
            raise ValueError("the optimizer was given no parameters")
        if settings["lr"] < 0:
            raise ValueError(f"the learning rate must not be negative: {settings['lr']}")
        for parameter in self.params:
            parameter.data = backend.contiguous(parameter.data)  # updates in place go over flat memory
        self.settings = settings  # what PyTorch keeps in param_groups[0]
        self.state = {}  # {position: {name: array or number}}

    def zero_grad(self):
        """Forgets the parameters' gradients."""
        for parameter in self.params:
            parameter.grad = None

    def step(self, grads=None):
        """One step; `grads`, one Tensor for each parameter, takes the place of `.grad`.

        A parameter without a gradient is left as it is.
        """
        grads = [parameter.grad for parameter in self.params] if grads is None else grads
        for position, (parameter, g) in enumerate(zip(self.params, grads, strict=True)):
            if g is not None:
                self._update(parameter.data, g.data, self.state.setdefault(position, {}))

    def _update(self, parameter, gradient, state):
        raise NotImplementedError

    def state_dict(self):
        """{"state": {position: {...}}, "param_groups": [...]}, as PyTorch's; the arrays are the optimizer's own."""
        group = {**self.settings, "params": list(range(len(self.params)))}
        return {"state": {p: dict(s) for p, s in self.state.items()}, "param_groups": [group]}

    def load_state_dict(self, state_dict):
        """Takes over settings and state. Raises ValueError where they are of other parameters."""
        (group,) = state_dict["param_groups"]
        if len(group["params"]) != len(self.params):
            raise ValueError(
                f"the state is of {len(group['params'])} parameters; this optimizer has {len(self.params)}"
            )
        loaded = {}
        for position, saved in state_dict["state"].items():
            parameter = self.params[int(position)].data
            state = {}
            for name, value in saved.items():
                if name == "step":
                    state[name] = int(value)
                    if state[name] < 1:
                        raise ValueError(f"the state of parameter {position} has taken {value} steps")
                    continue
                value = np.asarray(value).astype(parameter.dtype, order="C")
                if value.shape != parameter.shape:
                    raise ValueError(f"{name} of parameter {position} is {value.shape}, not {parameter.shape}")
                state[name] = backend.to_device(value, backend.device_of(parameter))
            if self.state_names and not set(self.state_names) <= state.keys():
                raise ValueError(f"the state of parameter {position} lacks one of {', '.join(self.state_names)}")
            loaded[int(position)] = state
        self.settings = {name: group.get(name, value) for name, value in self.settings.items()}
        self.state = loaded


class SGD(Optimizer):
    """p -= lr * g, with momentum as in PyTorch: v = momentum * v + g, p -= lr * v."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def _update(self, parameter, gradient, state):
        if self.settings["weight_decay"]:
            gradient = gradient + self.settings["weight_decay"] * parameter
        if self.settings["momentum"]:
            if "momentum_buffer" in state:
                state["momentum_buffer"] *= self.settings["momentum"]
                state["momentum_buffer"] += gradient
            else:
                state["momentum_buffer"] = gradient.copy()
            gradient = state["momentum_buffer"]
        parameter -= self.settings["lr"] * gradient


class Adam(Optimizer):
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.

    epsilon_hat: eps is added before the bias correction, as at the end of the paper's section 2
    and in Keras; otherwise after it, as in algorithm 1 and in PyTorch.
    """

    state_names = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, epsilon_hat=False):
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, epsilon_hat=epsilon_hat)

    def _update(self, parameter, gradient, state):
        if not state:
            xp = backend.array_module(backend.device_of(parameter))
            state.update(step=0, exp_avg=xp.zeros_like(parameter), exp_avg_sq=xp.zeros_like(parameter))
        state["step"] += 1
        beta1, beta2 = self.settings["betas"]
        root_correction2 = math.sqrt(1 - beta2 ** state["step"])
        eps = self.settings["eps"] / (root_correction2 if self.settings["epsilon_hat"] else 1)
        if self.settings["weight_decay"]:
            gradient = gradient + self.settings["weight_decay"] * parameter
        backend.kernels(parameter).adam(
            parameter, gradient, state["exp_avg"], state["exp_avg_sq"],
            self.settings["lr"] / (1 - beta1 ** state["step"]), beta1, beta2, root_correction2, eps,
        )  # fmt: skip
