"""Slips of exercise 15: (what is wrong, the solution it is made in, its text, the wrong text, words the grader must say)."""

SLIPS = [
    ("one order for all epochs", "arrays", "default_rng((self.seed, epoch))", "default_rng((self.seed, 0))", "every epoch has the order of the first"),
    ("one generator for all epochs", "other", "        for epoch in itertools.count():\n            order = np.random.default_rng((self.seed, epoch)).permutation(self.count)", "        generator = np.random.default_rng(self.seed)\n        while True:\n            order = generator.permutation(self.count)", "one generator draws all orders"),
    ("batch of one image", "loops", "self.count - self.start < 2", "self.start >= self.count", "a last batch of one image is not left out"),
    ("short batch dropped", "arrays", "(count + batch_size - 2) // batch_size", "count // batch_size", "a smaller last batch is always left out"),
    ("not shuffled", "other", "np.random.default_rng((self.seed, epoch)).permutation(self.count)", "np.arange(self.count)", "the images are not shuffled"),
    ("the epoch is not saved", "loops", '        self.epoch = state["epoch"]\n', "", "after load_state_dict into"),
    ("resumed at the next batch", "arrays", 'self.step = state["step"]', 'self.step = state["step"] + 1', "one batch is left out"),
    ("state not used", "arrays", 'self.step = state["step"]', "self.step = 0", "the state is not used"),
    ("the order is kept in the state", "arrays", '{"step": self.step}', '{"step": self.step, "order": list(range(self.count))}', "a dict of a few plain numbers"),
    ("the state is the object's own", "arrays", '{"step": self.step}', "vars(self)", "the state has changed since it was taken"),
    ("PyTorch's padding", "arrays", "return zeros // 2, (zeros + 1) // 2", "return (kernel - 1) // 2, (kernel - 1) // 2", "on both sides, as for stride 1"),
    ("the odd zero before", "arrays", "return zeros // 2, (zeros + 1) // 2", "return (zeros + 1) // 2, zeros // 2", "the zero that is over comes before"),
    ("stride forgotten", "arrays", "kernel - 1 - (size - 1) % stride", "kernel - 1", "right only for stride 1"),
    ("axes exchanged", "arrays", "rows, columns = (", "columns, rows = (", "height and width are exchanged"),
]  # fmt: skip
