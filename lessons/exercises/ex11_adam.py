"""Exercise 11: Adam, with its bias correction (lesson 11). NumPy only.

Copy this file into a folder of your own, fill it in there, and check it:

    python -m pytest lessons/exercises --student my_folder -m ex11
"""


class Adam:
    """Kingma and Ba (2015), algorithm 1, for a list of arrays.

    params: arrays of any shapes; `step` changes them in place. lr, betas, eps: as in lesson 11.
    epsilon_hat: whether eps meets the root of v before the correction of v, as in Keras, and not after it.
    Each parameter has its own averages m and v, as precise as the parameter, and its own count t of its steps. All are 0
    at first.
    """

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, epsilon_hat=False):
        raise NotImplementedError("Adam.__init__")

    def step(self, grads):
        """One step of every parameter. Returns nothing.

        grads: for each parameter an array of its shape, which is left as it was, or None: then this parameter, its
        averages and its count stay as they are; a gradient of zeros counts as any other. Raises ValueError,
        before anything is changed, unless there are as many as parameters.
        """
        raise NotImplementedError("Adam.step")
