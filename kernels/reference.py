"""Every kernel in plain NumPy: the definition that all fast ones are tested against.

Arrays in, `out` array written and returned. Convolutions follow Dumoulin and Visin, "A guide to
convolution arithmetic for deep learning" (2016), with PyTorch's shapes: x (N, C, H, W),
weight (K, C, R, S), y (N, K, P, Q); `stride` and `dilation` are (height, width), `padding` is
(left, right, top, bottom). Each kernel gets both shapes, so no size is ever guessed.
"""

import numpy as np

# The convolution triple: y = C(x, w), x' = T(y, w), w' = G(x, y); <C(x,w),y> = <x,T(y,w)> = <w,G(x,y)>.


def patches(x, kernel, out_size, stride, padding, dilation):
    """Every tap of every output pixel, copied out of zero-padded x: im2col.

    Returns (N, C, R, S, P, Q) with patches[n, c, i, j, p, q] = x[n, c, p*stride + i*dilation - top, ...].
    """
    (height, width), (rows, cols) = out_size, kernel
    left, _, top, _ = padding
    frame_height = (height - 1) * stride[0] + (rows - 1) * dilation[0] + 1
    frame_width = (width - 1) * stride[1] + (cols - 1) * dilation[1] + 1
    frame = np.zeros((*x.shape[:2], frame_height, frame_width), x.dtype)
    inside = x[:, :, : max(0, frame_height - top), : max(0, frame_width - left)]
    frame[:, :, top : top + inside.shape[2], left : left + inside.shape[3]] = inside
    out = np.empty((*x.shape[:2], rows, cols, height, width), x.dtype)
    for i in range(rows):
        for j in range(cols):
            h, w = i * dilation[0], j * dilation[1]
            out[:, :, i, j] = frame[
                :, :, h : h + (height - 1) * stride[0] + 1 : stride[0], w : w + (width - 1) * stride[1] + 1 : stride[1]
            ]
    return out


def conv2d(x, weight, stride, padding, dilation, out):
    """out = C(x, weight): cross-correlation. out[n,k,p,q] = sum over c,i,j of x[n,c,...] weight[k,c,i,j]."""
    columns = patches(x, weight.shape[2:], out.shape[2:], stride, padding, dilation)
    out[...] = np.einsum("ncijpq,kcij->nkpq", columns, weight, optimize=True)
    return out


def conv_transpose2d(y, weight, stride, padding, dilation, out):
    """out = T(y, weight): the adjoint of C in x, a transposed convolution. out is (N, C, H, W)."""
    left, _, top, _ = padding
    (height, width), (rows, cols) = y.shape[2:], weight.shape[2:]
    frame_height = max((height - 1) * stride[0] + (rows - 1) * dilation[0] + 1, top + out.shape[2])
    frame_width = max((width - 1) * stride[1] + (cols - 1) * dilation[1] + 1, left + out.shape[3])
    frame = np.zeros((*out.shape[:2], frame_height, frame_width), out.dtype)
    columns = np.einsum("nkpq,kcij->ncijpq", y, weight, optimize=True)
    for i in range(rows):
        for j in range(cols):
            h, w = i * dilation[0], j * dilation[1]
            frame[
                :, :, h : h + (height - 1) * stride[0] + 1 : stride[0], w : w + (width - 1) * stride[1] + 1 : stride[1]
            ] += columns[:, :, i, j]
    out[...] = frame[:, :, top : top + out.shape[2], left : left + out.shape[3]]
    return out


def conv2d_weight(x, y, stride, padding, dilation, out):
    """out = G(x, y): the adjoint of C in weight. out is (K, C, R, S)."""
    columns = patches(x, out.shape[2:], y.shape[2:], stride, padding, dilation)
    out[...] = np.einsum("ncijpq,nkpq->kcij", columns, y, optimize=True)
    return out


# Batch normalisation (Ioffe and Szegedy 2015, algorithm 1); x is (N, C, S), S all pixels of a channel.
# A leaky ReLU of the result is part of it; slope 1 is none.


def batch_norm(x, weight, bias, eps, slope, mean, var, out):
    """Normalises each channel over N and S, scales by weight (C,), shifts by bias (C,); then `leaky_relu`.

    Writes mean (C,) and var (C,), the biased variance, and returns out (N, C, S).
    """
    mean[...] = x.mean(axis=(0, 2))
    centred = x - mean[:, None]
    var[...] = (centred * centred).mean(axis=(0, 2))
    return leaky_relu(centred * (weight / np.sqrt(var + x.dtype.type(eps)))[:, None] + bias[:, None], slope, out)


def batch_norm_backward(g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out):
    """The gradient of `batch_norm` from g (N, C, S), the gradient of its output y (same paper, section 3).

    Writes grad_weight (C,) and grad_bias (C,), and returns out (N, C, S), the gradient of x.
    """
    g = leaky_relu_backward(g, y, slope, np.empty_like(g))
    inverse_std = 1 / np.sqrt(var + x.dtype.type(eps))  # (C,)
    normalised = (x - mean[:, None]) * inverse_std[:, None]  # (N, C, S)
    grad_bias[...] = g.sum(axis=(0, 2))
    grad_weight[...] = (g * normalised).sum(axis=(0, 2))
    count = x.shape[0] * x.shape[2]
    centred = g - (grad_bias[:, None] + normalised * grad_weight[:, None]) / count
    out[...] = centred * (weight * inverse_std)[:, None]
    return out


def running_statistics(mean, var, count, momentum, running_mean, running_var, batches):
    """Moves running_mean and running_var (C,) towards a batch's by `momentum`, and counts it in `batches`, in place.

    var is the biased variance of `count` values; the running one is unbiased. Returns nothing.
    """
    running_mean += momentum * (mean - running_mean)
    running_var += momentum * (var * (count / (count - 1)) - running_var)
    batches += 1


def scale_and_shift(x, scale, shift, slope, out):
    """out = `leaky_relu` of x * scale + shift for each channel: x (N, C, S), scale and shift (C,)."""
    return leaky_relu(x * scale[:, None] + shift[:, None], slope, out)


def sum_channels(x, out):
    """out (C,) = the sum of each channel of x (N, C, S)."""
    out[...] = x.sum(axis=(0, 2))
    return out


# Activations. Gradients are given the output y where that is all they need.


def leaky_relu(x, slope, out):
    """out = x where x > 0, else slope * x (Maas et al. 2013); slope 0 is ReLU, which is 0 even at -inf."""
    below = x * x.dtype.type(slope) if slope else np.where(np.isnan(x), x, 0)
    out[...] = np.where(x > 0, x, below)
    return out


def leaky_relu_backward(g, x, slope, out):
    """out = g where x > 0, else slope * g."""
    out[...] = np.where(x > 0, g, g * g.dtype.type(slope) if slope else 0)
    return out


def sigmoid(x, out):
    """out = 1 / (1 + exp(-x)), without overflow and with small values kept precise."""
    small = np.exp(-np.abs(x))
    out[...] = np.where(x >= 0, 1, small) / (1 + small)
    return out


def sigmoid_backward(g, y, out):
    """out = g y (1 - y)."""
    out[...] = g * (y * (1 - y))
    return out


def tanh(x, out):
    """out = the hyperbolic tangent of x."""
    out[...] = np.tanh(x)
    return out


def tanh_backward(g, y, out):
    """out = g (1 - y^2)."""
    out[...] = g * (1 - y * y)
    return out


def dropout(x, p, seed, purpose, draw, mask, out):
    """out = x mask, mask being 0 with probability p, else 1 / (1 - p) (Srivastava et al. 2014).

    0 where `uniform` of the same seed, purpose and draw, an array that it advances, is less than p.
    """
    kept = uniform(seed, purpose, draw, np.empty(x.size)) >= p
    mask[...] = kept.reshape(x.shape) * x.dtype.type(1 / (1 - p))
    out[...] = x * mask
    return out


def dropout_backward(g, mask, out):
    """out = g mask, for the mask that `dropout` wrote."""
    out[...] = g * mask
    return out


# Losses, element by element, and their mean.


def mean(x, out):
    """out, an array of one number, = the mean of x, summed in float64."""
    out[...] = x.mean(dtype=np.float64)
    return out


def bce(p, target, out):
    """out = -(target log p + (1 - target) log(1 - p)), with logarithms not less than -100, as PyTorch's BCELoss."""
    with np.errstate(divide="ignore"):  # log 0 = -inf is what the clamp is for
        log_p, log_rest = np.maximum(np.log(p), p.dtype.type(-100)), np.maximum(np.log1p(-p), p.dtype.type(-100))
    out[...] = -(target * log_p + (1 - target) * log_rest)
    return out


def bce_backward(g, p, target, out):
    """out = g (p - target) / (p (1 - p)), with p (1 - p) not less than 1e-12, as PyTorch's."""
    out[...] = g * (p - target) / np.maximum(p * (1 - p), p.dtype.type(1e-12))
    return out


def bce_with_logits(z, target, out):
    """The BCE of p = sigmoid(z): out = max(z, 0) - target z + log(1 + exp(-|z|)); nothing can overflow."""
    out[...] = np.maximum(z, 0) - target * z + np.log1p(np.exp(-np.abs(z)))
    return out


def bce_with_logits_backward(g, z, target, out):
    """out = g (sigmoid(z) - target)."""
    out[...] = g * (sigmoid(z, np.empty_like(z)) - target)
    return out


# Optimizer.


def adam(
    parameters, gradients, firsts, seconds, steps, lr, beta1, beta2, eps, epsilon_hat, scale=None, overflow=None
):  # fmt: skip
    """One Adam step of all parameters, lists of arrays, in place (Kingma and Ba 2015, algorithm 1). Returns nothing.

    steps: for each parameter an int64 array of one number, the steps taken before, which is advanced by 1.
    epsilon_hat: eps is added before the bias correction of the second moment (end of the paper's section 2).
    scale: a float32 array of one number that the gradients were multiplied by. overflow: an int32 array of one
    number; where it is not 0, nothing is changed. See `update_scale`.
    """
    if overflow is not None and overflow.item():
        return
    for parameter, gradient, first, second, step in zip(parameters, gradients, firsts, seconds, steps, strict=True):
        if scale is not None:
            gradient = gradient / parameter.dtype.type(scale.item())
        step += 1
        root_correction2 = np.sqrt(1 - beta2 ** step.item())
        small = eps / root_correction2 if epsilon_hat else eps
        first *= beta1
        first += (1 - beta1) * gradient
        second *= beta2
        second += (1 - beta2) * gradient * gradient
        parameter -= lr / (1 - beta1 ** step.item()) * first / (np.sqrt(second) / root_correction2 + small)


def move_average(averages, values, decay):
    """averages = decay averages + (1 - decay) values, lists of arrays, in place. Returns nothing.

    As averages + (1 - decay) (values - averages): where the values rest, the average comes to rest on them, while
    the two roundings of decay and 1 - decay in float32 would not add up to 1.
    """
    for average, value in zip(averages, values, strict=True):
        average += average.dtype.type(1 - decay) * (value - average)


# Scaling of the loss, so that gradients fit 16-bit numbers (Micikevicius et al., "Mixed Precision Training", 2018).


def check_overflow(gradients, overflow):
    """Writes 1 to overflow, an int32 array of one number, if an element of the gradients is infinite or NaN."""
    if not all(np.isfinite(gradient).all() for gradient in gradients):
        overflow[...] = 1


def update_scale(scale, overflow, good_steps, growth_interval):
    """Halves scale after an overflow, doubles it after `growth_interval` steps without one; overflow becomes 0.

    scale float32, overflow int32, good_steps (since the last change) int64: arrays of one number, in place.
    """
    good_steps += 1
    if overflow.item():
        scale *= np.float32(0.5)
        good_steps[...] = 0
    elif good_steps.item() >= growth_interval:
        scale *= np.float32(2)
        good_steps[...] = 0
    overflow[...] = 0


# A training step's images and the log of its losses. Both count on by themselves, for a replayed launch.


def gather_images(images, order, position, out):
    """out (N, 1, H, W) float32 = images[order[position + n]] with pixels (x - 127.5) / 127.5; position += N.

    images (M, H, W) uint8, order (M,) int64, position an int64 array of one number, at most M - N.
    """
    begin = position.item()
    chosen = images[order[begin : begin + len(out)]]  # (N, H, W)
    out[:, 0] = (chosen.astype(np.float32) - np.float32(127.5)) / np.float32(127.5)
    position += len(out)
    return out


def write_row(values, log, row):
    """log[row % rows] = values, then row += 1. Returns nothing.

    values: up to 8 float32 arrays of one number; log (rows, values) float32; row an int64 array of one number.
    """
    log[row.item() % len(log)] = [value.item() for value in values]
    row += 1


# Random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
# `draw` is an int, or a uint64 array of one number that is advanced by 1, so that a replayed launch draws anew.

PHILOX_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
PHILOX_WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio and sqrt(3) - 1, added to the key each round


def philox4x32(counter, key):
    """The Philox4x32-10 bijection: counter (4, ...) and key (2,) of uint32 to (4, ...) uint32."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = (int(k) for k in key)
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        product0 = c0 * np.uint64(PHILOX_MULTIPLIERS[0])
        product1 = c2 * np.uint64(PHILOX_MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (product1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            product1 & low,
            (product0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            product0 & low,
        )
        k0, k1 = (k0 + PHILOX_WEYL[0]) & 0xFFFFFFFF, (k1 + PHILOX_WEYL[1]) & 0xFFFFFFFF
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3)).astype(np.uint32)


def random_bits(seed, purpose, draw, out):
    """Fills flat uint32 `out`: block b is Philox(counter = (b, draw low, draw high, purpose), key = seed)."""
    blocks, number = np.arange((out.size + 3) // 4, dtype=np.uint64), int(np.asarray(draw).item())
    words = philox4x32((blocks, number & 0xFFFFFFFF, number >> 32, purpose), (seed & 0xFFFFFFFF, seed >> 32))
    out[...] = words.T.reshape(-1)[: out.size]  # words is (4, blocks)
    if isinstance(draw, np.ndarray):
        draw += np.uint64(1)
    return out


def uniform(seed, purpose, draw, out):
    """Fills flat float `out` with multiples of 2^-24 in [0, 1): exact in float32, so alike on every device."""
    bits = random_bits(seed, purpose, draw, np.empty(out.size, np.uint32))
    out[...] = (bits >> np.uint32(8)).astype(np.float64) * 2.0**-24
    return out


def normal(seed, purpose, draw, out):
    """Fills flat float `out` with standard normals by Box and Muller (1958), computed in float64.

    Words (u, v) of a Philox block give sqrt(-2 ln((u + 1) / 2^32)) times cos and sin of 2 pi v / 2^32.
    """
    bits = random_bits(seed, purpose, draw, np.empty((out.size + 1) // 2 * 2, np.uint32)).reshape(-1, 2)
    radius = np.sqrt(-2 * np.log((bits[:, 0] + 1.0) * 2.0**-32))
    angle = 2 * np.pi * 2.0**-32 * bits[:, 1]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)  # (pairs, 2)
    out[...] = pairs.reshape(-1)[: out.size]
    return out
