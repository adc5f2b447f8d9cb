"""Optimizers: they change parameters in place. Names, defaults and state_dict layout are PyTorch's.

State is kept by the parameter's position, so it can be saved and survives a change of device.
"""

import numpy as np

from minigan import backend


class Optimizer:
    """Steps a list of parameters against their gradients."""

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

    def step(self, grads=None, **options):
        """One step; `grads`, one Tensor for each parameter, takes the place of `.grad`.

        A parameter without a gradient is left as it is. options: what only some optimizers take.
        """
        grads = [parameter.grad for parameter in self.params] if grads is None else grads
        given = [
            (position, parameter.data, g.data)
            for position, (parameter, g) in enumerate(zip(self.params, grads, strict=True))
            if g is not None
        ]
        if given:
            positions, parameters, gradients = zip(*given)
            if self.settings["weight_decay"]:
                gradients = [_decayed(g, p, self.settings["weight_decay"]) for p, g in zip(parameters, gradients)]
            states = [self.state.setdefault(position, {}) for position in positions]
            self._update(parameters, [backend.contiguous(g) for g in gradients], states, **options)

    def _update(self, parameters, gradients, states, **options):
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
            position = int(position)
            parameter = self.params[position].data
            state = {}
            for name, value in saved.items():
                if name == "step":
                    if not 0 <= int(value) < 2**62:  # 0: the only steps so far were left out
                        raise ValueError(f"the state of parameter {position} has taken {int(value)} steps")
                    state[name] = backend.to_device(np.array(int(value), np.int64), backend.device_of(parameter))
                    continue
                value = backend.as_array(value).astype(parameter.dtype, order="C")
                if value.shape != parameter.shape:
                    raise ValueError(f"{name!a} of parameter {position} is {value.shape}, not {parameter.shape}")
                if name == "exp_avg_sq" and (value < 0).any():
                    raise ValueError(f"{name} of parameter {position}, a mean of squares, is below zero")
                state[name] = backend.to_device(value, backend.device_of(parameter))
            if self.state_names and not set(self.state_names) <= state.keys():
                raise ValueError(f"the state of parameter {position} lacks one of {', '.join(self.state_names)}")
            loaded[position] = state
        self.settings = {name: group.get(name, value) for name, value in self.settings.items()}
        self.state = loaded


class SGD(Optimizer):
    """p -= lr * g, with momentum as in PyTorch: v = momentum * v + g, p -= lr * v."""

    def __init__(self, params, lr=1e-3, momentum=0.0, weight_decay=0.0):
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)

    def _update(self, parameters, gradients, states):
        lr, momentum = self.settings["lr"], self.settings["momentum"]
        for parameter, gradient, state in zip(parameters, gradients, states):
            if momentum:
                if "momentum_buffer" not in state:  # v = momentum * 0 + g
                    state["momentum_buffer"] = _zeros_like(parameter)
                velocity = state["momentum_buffer"]
                backend.elementwise_into(velocity, np.multiply, velocity, momentum)
                gradient = backend.elementwise_into(velocity, np.add, velocity, gradient)
            step = backend.elementwise_into(backend.empty(parameter.shape, parameter), np.multiply, gradient, lr)
            backend.elementwise_into(parameter, np.subtract, parameter, step)


class Adam(Optimizer):
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), algorithm 1.

    epsilon_hat: eps is added before the bias correction, as at the end of the paper's section 2
    and in Keras; otherwise after it, as in algorithm 1 and in PyTorch.
    """

    state_names = ("step", "exp_avg", "exp_avg_sq")

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, epsilon_hat=False):
        super().__init__(params, lr=lr, betas=tuple(betas), eps=eps, weight_decay=weight_decay, epsilon_hat=epsilon_hat)

    def _update(self, parameters, gradients, states, scaling=()):
        """scaling: the arrays of a LossScale by which the gradients are too large."""
        for parameter, state in zip(parameters, states):
            if not state:
                step = backend.zeros_on(backend.device_of(parameter), (), np.int64)
                state.update(step=step, exp_avg=_zeros_like(parameter), exp_avg_sq=_zeros_like(parameter))
        backend.kernels(parameters[0]).adam(
            parameters, gradients, *([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step")),
            self.settings["lr"], *self.settings["betas"], self.settings["eps"], self.settings["epsilon_hat"],
            *scaling,
        )  # fmt: skip


class LossScale:
    """What a loss is multiplied by, so that its gradients fit 16-bit numbers: Micikevicius et al. (2018), section 3.2.

    Kept on the device. It is halved, and the step left out, when a gradient overflows, and doubled after
    GROWTH_INTERVAL steps without. Changing it changes no result but for rounding: `step` divides by it again.
    A gradient that overflows at a scale of LEAST is above 4e9, or no number at all: no scale will mend that.
    """

    FIRST, GROWTH_INTERVAL, LEAST = 2.0**16, 2000, 2.0**-16

    def __init__(self, device):
        self.scale = backend.fill(backend.zeros_on(device, (1,), np.float32), self.FIRST)
        self.overflow = backend.zeros_on(device, (1,), np.int32)
        self.good_steps = backend.zeros_on(device, (1,), np.int64)

    def step(self, optimizer, grads):
        """A step of an Adam against gradients of the scaled loss, unless one has overflowed."""
        kernels = backend.kernels(self.scale)
        kernels.check_overflow([g.data for g in grads], self.overflow)
        optimizer.step(grads, scaling=(self.scale, self.overflow))
        kernels.update_scale(self.scale, self.overflow, self.good_steps, self.GROWTH_INTERVAL)

    def state_dict(self):
        """{"scale": a number, "good_steps": a number}."""
        return {"scale": float(self.scale[0]), "good_steps": int(self.good_steps[0])}

    def load_state_dict(self, state):
        """Goes on from a state. Raises ValueError for an impossible one."""
        scale, good_steps = float(state["scale"]), int(state["good_steps"])
        if not 0 < scale < 2.0**127 or not 0 <= good_steps <= self.GROWTH_INTERVAL:
            raise ValueError(f"a loss scale of {scale} after {good_steps} steps")
        self.scale[...], self.good_steps[...] = scale, good_steps


def _zeros_like(array):
    return backend.zeros_on(backend.device_of(array), array.shape, array.dtype)


def _decayed(gradient, parameter, weight_decay):
    """gradient + weight_decay * parameter, the gradient of the loss with an L2 penalty."""
    out = backend.elementwise_into(backend.empty(parameter.shape, parameter), np.multiply, parameter, weight_decay)
    return backend.elementwise_into(out, np.add, out, gradient)
