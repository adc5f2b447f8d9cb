import numpy as np


class Adam:
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, epsilon_hat=False):
        self.walks = [walk(p, lr, *betas, eps, epsilon_hat) for p in params]
        for each in self.walks:
            next(each)

    def step(self, grads):
        for each, g in list(zip(self.walks, grads, strict=True)):
            if g is not None:
                each.send(g)


def walk(p, lr, beta1, beta2, eps, epsilon_hat):
    seen = []
    while True:
        seen.insert(0, (yield))
        age = np.arange(len(seen))
        first = np.tensordot(beta1**age / np.sum(beta1**age), seen, 1)
        second = np.tensordot(beta2**age / np.sum(beta2**age), np.square(seen), 1)
        small = eps / np.sqrt(1 - beta2 ** len(seen)) if epsilon_hat else eps
        p -= lr * first / (np.sqrt(second) + small)
