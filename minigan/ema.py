"""A moving average of a network's weights, to sample from.

Karras et al., "Progressive Growing of GANs" (2018), section 4, and Yazıcı et al., "The Unusual Effectiveness of
Averaging in GAN Training" (2019). Training goes on as without it.
"""

from minigan import backend


class MovingAverage:
    """average = decay * average + (1 - decay) * network, after each step; it begins with the network's first weights.

    The running statistics of batch normalisation are averaged as the weights are: as far as the statistics depend on
    the weights linearly, the statistics of the averaged network are the average of the statistics. Those of the last
    step, of few images, would belong to other weights. Counts are copied.
    """

    def __init__(self, source, network, decay):
        """source: the network in training. network: another of its kind, on its device, which becomes the average."""
        self.source, self.network, self.decay = source, network.eval(), decay
        network.load_state_dict(source.state_dict())

    def update(self):
        """Takes in the weights of now: one launch on a GPU for all floats, fit to be captured."""
        pairs = list(zip(self.network.state_dict().values(), self.source.state_dict().values(), strict=True))
        averages, values = zip(*[pair for pair in pairs if pair[0].dtype.kind == "f"])
        backend.kernels(averages[0]).move_average(averages, values, self.decay)
        for mine, theirs in pairs:
            if mine.dtype.kind != "f":
                backend.copy_into(mine, theirs)
