"""Exercise 14: the two steps of a GAN (lesson 14). NumPy, `minigan.tensor`, `minigan.nn` and `minigan.functions`.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex14

Labels must be Tensors of the shape and the dtype of D's answers: the checks work in float64.
"""


def discriminator_step(discriminator, optimizer, real, fake):
    """One step of D on the mean of -log D(real) plus the mean of -log(1 - D(fake)). Returns that loss, a number.

    discriminator: a Module that takes images (N, ...) and returns the probability that each is real, (N, 1). optimizer: of D's
    parameters. real: a Tensor of N images; fake: a Tensor of M images, on the graph of the generator that made them.
    The loss is that of D before it moves. Only D moves, and G's parameters get no gradient: their `.grad` is None as before.
    Whatever an earlier step has left in `.grad` of D's parameters does not count. The number is no Tensor, which would keep the
    graph alive. Both networks stay in training mode, here and below.
    """
    raise NotImplementedError("discriminator_step")


def generator_step(generator, discriminator, optimizer, fake):
    """One step of G on the mean of -log D(fake), the non-saturating loss. Returns that loss, a number.

    generator: the Module that has made `fake`, a Tensor of M images on its graph. discriminator: as above. optimizer: of G's
    parameters. The loss is that of before G moves. Only G moves. Whatever an earlier step has left in `.grad` of G's parameters
    does not count.
    """
    raise NotImplementedError("generator_step")


def training_step(generator, discriminator, optimizer_g, optimizer_d, real, latents):
    """For each Tensor of `latents`, in order, a step of D; then one step of G. Returns (loss of D's last step, loss of G's step).

    D sees the same real images each time, and the images that G makes of these latents. G's step is on the images of the last
    latents, judged by the D that has just moved. G is run once for each Tensor of latents, and not again for its own step.
    real: a Tensor (N, ...). latents: a list of at least one Tensor (M, ...), left as it was.
    """
    raise NotImplementedError("training_step")
