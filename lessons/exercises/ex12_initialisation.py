"""Exercise 12: initial weights, LeakyReLU's gradient, and a look into a network (lesson 12). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex12
"""


def fans(shape):
    """(fan_in, fan_out) of a weight of this shape: of how many products an output is a sum, and to how many an input goes.

    shape: (out, in) of a linear layer, or (out, in, R, S) of a convolution, whose R S taps count for both, at stride 1.
    Returns two ints. Raises ValueError for fewer than two dimensions.
    """
    raise NotImplementedError("fans")


def kaiming_normal(shape, rng, a=0.0):
    """A weight of this shape: normal numbers of mean 0 and variance 2 / ((1 + a^2) fan_in), for a LeakyReLU of slope a.

    rng: a NumPy Generator; call `rng.standard_normal(shape)` once, and scale what it returns: float64.
    """
    raise NotImplementedError("kaiming_normal")


def leaky_relu_gradient(g, x, slope):
    """The gradient of (g * leaky_relu(x)).sum() with respect to x: g where x > 0, elsewhere slope times g.

    g, x: arrays of the same shape, left as they were. Returns an array of that shape, float64 where they are.
    """
    raise NotImplementedError("leaky_relu_gradient")


def look_inside(x, weights, slope):
    """Sends a batch through a network and says of each layer how large its output is, and which share of its units is dead.

    Layer after layer, z = x W^T, and the next x is leaky_relu(z): z where z > 0, elsewhere slope times z.
    x: the batch (N, D). weights: a list of arrays (out, in). slope: a number from 0 (a ReLU) to 1.
    Returns (sizes, dead), two sequences of one number a layer: the root mean square of all elements of leaky_relu(z), and the
    share of units (columns of z) that are not above 0 for any input of the batch.
    """
    raise NotImplementedError("look_inside")
