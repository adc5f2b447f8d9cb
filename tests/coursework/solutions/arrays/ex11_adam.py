import numpy as np


class Adam:
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, epsilon_hat=False):
        self.params, self.lr, self.betas, self.eps, self.epsilon_hat = params, lr, betas, eps, epsilon_hat
        self.states = [(np.zeros_like(p), np.zeros_like(p), np.zeros(())) for p in params]

    def step(self, grads):
        if len(grads) != len(self.params):
            raise ValueError(f"{len(grads)} gradients for {len(self.params)} parameters")
        beta1, beta2 = self.betas
        for p, g, (m, v, t) in zip(self.params, grads, self.states):
            if g is not None:
                t += 1
                m += (1 - beta1) * (g - m)
                v += (1 - beta2) * (g * g - v)
                root = np.sqrt(1 - beta2**t)
                eps = self.eps / root if self.epsilon_hat else self.eps
                p -= self.lr * m / (1 - beta1**t) / (np.sqrt(v) / root + eps)
