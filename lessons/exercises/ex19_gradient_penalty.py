"""Exercise 19: gradients of gradients (lesson 19). NumPy and `minigan.tensor` (Tensor, grad, ...).

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex19
"""


def hessian_vector(f, x, v):
    """H v, where H is the matrix of f's second derivatives at x, without ever writing H down.

    It is the gradient of <gradient of f, v>, for a v that does not change.
    f: a function of a Tensor of x's shape that returns a Tensor of one element, and is not linear. x, v: arrays of the same
    shape, left as they were. Returns an array (or a Tensor) of that shape. It is exact, also for a steep f: differences of
    gradients are not.
    """
    raise NotImplementedError("hessian_vector")


def r1_penalty(d, real, gamma):
    """gamma / 2 times the mean over the images of |gradient of d at the image|^2 (Mescheder et al. 2018, R1).

    d: a discriminator, a function of a Tensor (N, ...) that returns a Tensor of N scores, (N,) or (N, 1), each of its own image.
    real: an array (N, ...), left as it was. The `.grad` of d's weights is left as it was, too: an optimizer would use it.
    Returns a Tensor of one element, which `grad` can differentiate with respect to d's weights.
    """
    raise NotImplementedError("r1_penalty")


def gradient_penalty(d, real, fake, t):
    """The mean over the images of (|gradient of d at x| - 1)^2, with x = t real + (1 - t) fake (Gulrajani et al. 2017).

    d, real: as in `r1_penalty`. fake: a Tensor of real's shape, made by a generator: no gradient of the penalty may flow back into
    it. t: an array (N,), one number in [0, 1] for each image. The norm |.| is over all elements of one image.
    Returns a Tensor as `r1_penalty` does.
    """
    raise NotImplementedError("gradient_penalty")
