"""Slips of exercise 10: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

ARRAYS_LOSS = "np.mean(y * softplus(-x) + (1 - y) * softplus(x))"
SIGMOID = "np.exp(-softplus(-x))"
SLIPS = [
    ("sum for mean", "loops", "return total / x.size", "return total", "it is the sum, not the mean"),
    ("sign of the loss", "loops", "return total / x.size", "return -total / x.size", "its sign is wrong"),
    ("labels exchanged", "arrays", ARRAYS_LOSS, "np.mean((1 - y) * softplus(-x) + y * softplus(x))", "0 and 1 are exchanged"),
    ("log p alone", "arrays", ARRAYS_LOSS, "np.mean(y * softplus(-x))", "log(1 - p), is missing"),
    ("naive logarithm", "arrays", ARRAYS_LOSS, "np.mean(np.log(1 + np.exp(x)) - y * x)", "overflow"),
    ("of the probability", "arrays", ARRAYS_LOSS, "np.mean(-y * np.log(sigmoid(x)) - (1 - y) * np.log(1 - sigmoid(x)))", "divide by zero"),
    ("clamped", "arrays", ARRAYS_LOSS,
     "np.mean(-y * np.log(np.maximum(sigmoid(x), np.exp(-100))) - (1 - y) * np.log(np.maximum(sigmoid(-x), np.exp(-100))))", "it is clamped"),
    ("p clipped", "arrays", ARRAYS_LOSS,
     "np.mean(-y * np.log(np.clip(sigmoid(x), 1e-7, 1 - 1e-7)) - (1 - y) * np.log(1 - np.clip(sigmoid(x), 1e-7, 1 - 1e-7)))", "p was kept in 1e-07"),
    ("epsilon added to p", "arrays", ARRAYS_LOSS, "np.mean(-y * np.log(sigmoid(x) + 1e-7) - (1 - y) * np.log(1 - sigmoid(x) + 1e-7))", "is wrong"),
    ("epsilon added to p, seen late", "arrays", ARRAYS_LOSS, "np.mean(-y * np.log(sigmoid(x) + 1e-9) - (1 - y) * np.log(1 - sigmoid(x) + 1e-9))", "or 1e-09 was added"),
    ("the logit 0 forgotten in the loss", "arrays", ARRAYS_LOSS, "np.mean(np.where(x != 0, y * softplus(-x) + (1 - y) * softplus(x), 0))", "the logit 0 was forgotten"),
    ("the logit 0 forgotten in the sigmoid", "arrays", SIGMOID, "np.where(x != 0, np.exp(-softplus(-x)), 0)", "the logit 0 was forgotten"),
    ("log(1 + small)", "loops", "math.log1p(math.exp(-abs(logit)))", "math.log(1 + math.exp(-abs(logit)))", "np.log1p"),
    ("where on two unstable sides", "arrays", SIGMOID, "np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(x)))", "computes both of its sides"),
    ("naive sigmoid", "arrays", SIGMOID, "1 / (1 + np.exp(-x))", "overflow"),
    ("gradient of the sum", "arrays", "(sigmoid(x) - y) / x.size", "sigmoid(x) - y", "that of the sum"),
    ("gradient divided by the images", "arrays", "(sigmoid(x) - y) / x.size", "(sigmoid(x) - y) / len(x)", "by the length of the first dimension"),
    ("sign of the gradient", "arrays", "(sigmoid(x) - y) / x.size", "(y - sigmoid(x)) / x.size", "its sign is wrong"),
    ("gradient in p", "arrays", "(sigmoid(x) - y) / x.size", "(1 - y / sigmoid(x)) / sigmoid(-x) / x.size", "with respect to p"),
    ("G lowers D's loss", "loops", "return -bce_with_logits(x, np.zeros(x.shape))", "return bce_with_logits(x, np.zeros(x.shape))", "its sign is wrong"),
    ("kinds exchanged", "other", '{"nonsaturating": rest, "minimax": p}', '{"nonsaturating": p, "minimax": rest}', "that of the other kind"),
    ("1 - sigmoid", "loops", "-sigmoid(x[index])", "-(1 - sigmoid(-x[index]))", "take sigmoid(-x) for 1 - p"),
    ("any kind goes", "loops", "        return -bce_with_logits(x, np.zeros(x.shape))\n    raise ValueError(kind)\n",
     "        return -bce_with_logits(x, np.zeros(x.shape))\n    return bce_with_logits(x, np.ones(x.shape))\n", "should raise ValueError"),
]  # fmt: skip
