"""Optimizers: they change parameters in place. Names, defaults and state_dict layout are PyTorch's.

State is kept by the parameter's position, so it can be saved and survives a change of device.
"""

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
        state = {p: {n: int(v) if n == "step" else v for n, v in s.items()} for p, s in self.state.items()}
        return {"state": state, "param_groups": [group]}

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
                    if not 0 < int(value) < 2**62:
                        raise ValueError(f"the state of parameter {position} has taken {value} steps")
                    state[name] = np.array(int(value), np.int64)
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
            gradient = _decayed(gradient, parameter, self.settings["weight_decay"])
        if self.settings["momentum"]:
            if "momentum_buffer" not in state:  # v = momentum * 0 + g
                state["momentum_buffer"] = backend.array_module(backend.device_of(parameter)).zeros_like(parameter)
            velocity = state["momentum_buffer"]
            backend.launch(np.multiply, velocity, parameter.dtype.type(self.settings["momentum"]), velocity)
            backend.launch(np.add, velocity, gradient, velocity)
            gradient = velocity
        step = backend.empty(parameter.shape, parameter)
        backend.launch(np.multiply, gradient, parameter.dtype.type(self.settings["lr"]), step)
        backend.launch(np.subtract, parameter, step, parameter)


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
            state.update(
                step=xp.zeros((), np.int64), exp_avg=xp.zeros_like(parameter), exp_avg_sq=xp.zeros_like(parameter)
            )
        if self.settings["weight_decay"]:
            gradient = _decayed(gradient, parameter, self.settings["weight_decay"])
        backend.kernels(parameter).adam(
            parameter, backend.contiguous(gradient), state["exp_avg"], state["exp_avg_sq"], state["step"],
            self.settings["lr"], *self.settings["betas"], self.settings["eps"], self.settings["epsilon_hat"],
        )  # fmt: skip


def _decayed(gradient, parameter, weight_decay):
    """gradient + weight_decay * parameter, the gradient of the loss with an L2 penalty."""
    out = backend.empty(parameter.shape, parameter)
    backend.launch(np.multiply, parameter, parameter.dtype.type(weight_decay), out)
    backend.launch(np.add, out, gradient, out)
    return out
