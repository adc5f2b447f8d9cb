import math

import numpy as np


class Adam:
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, epsilon_hat=False):
        self.params = params
        self.lr = lr
        self.beta1, self.beta2 = betas
        self.eps = eps
        self.epsilon_hat = epsilon_hat
        self.m = [np.zeros(p.shape) for p in params]
        self.v = [np.zeros(p.shape) for p in params]
        self.t = [0 for p in params]

    def step(self, grads):
        if len(grads) != len(self.params):
            raise ValueError("one gradient for each parameter")
        for i, g in enumerate(grads):
            if g is None:
                continue
            self.t[i] += 1
            correction1 = 1 - self.beta1 ** self.t[i]
            correction2 = 1 - self.beta2 ** self.t[i]
            for index in np.ndindex(g.shape):
                self.m[i][index] = self.beta1 * self.m[i][index] + (1 - self.beta1) * g[index]
                self.v[i][index] = self.beta2 * self.v[i][index] + (1 - self.beta2) * g[index] ** 2
                if self.epsilon_hat:
                    below = (math.sqrt(self.v[i][index]) + self.eps) / math.sqrt(correction2)
                else:
                    below = math.sqrt(self.v[i][index] / correction2) + self.eps
                self.params[i][index] -= self.lr * self.m[i][index] / correction1 / below
