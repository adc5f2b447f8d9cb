"""Batch normalisation on the GPU, one launch each way; see `normalization.cu`. x is (N, C, S)."""

from minigan.kernels.cuda import loader
from minigan.kernels.cuda.grid import NUMBERS, THREADS, blocks, map_elements

WARP, LARGEST_TEAM = 32, 32  # threads; warps
ROWS = 16  # of a batch of single pixels that a block reads at a time


def batch_norm(x, weight, bias, eps, slope, mean, var, out):
    """As `reference.batch_norm`."""
    _per_channel("batch_norm", x, x, weight, bias, float(eps), float(slope), mean, var, out)
    return out


def batch_norm_backward(g, x, y, weight, eps, slope, mean, var, grad_weight, grad_bias, out):
    """As `reference.batch_norm_backward`."""
    statistics = (mean, var, grad_weight, grad_bias)
    _per_channel("batch_norm_backward", x, g, x, y, weight, float(eps), float(slope), *statistics, out)
    return out


def sum_channels(x, out):
    """As `reference.sum_channels`."""
    _per_channel("sum_channels", x, x, out)
    return out


def _per_channel(kernel, x, *arguments):
    """A launch with a block for each channel, or for each 32 of one pixel each."""
    batch, channels, pixels = x.shape
    loader.check_int(x.size)
    if pixels > 1:
        grid, warps = channels, min(LARGEST_TEAM, blocks(batch * pixels, WARP))
    else:
        grid, warps = blocks(channels, WARP), min(ROWS, batch)
    loader.run("normalization.cu", kernel, grid, (WARP, warps), *x.shape, *arguments, NUMBER=NUMBERS[x.dtype])


def scale_and_shift(x, scale, shift, slope, out):
    """As `reference.scale_and_shift`."""
    return map_elements("normalization.cu", "scale_and_shift", out, *x.shape[1:], x, scale, shift, float(slope))


def running_statistics(mean, var, count, momentum, running_mean, running_var, batches):
    """As `reference.running_statistics`."""
    loader.run(
        "normalization.cu", "running_statistics", blocks(mean.size, THREADS), THREADS,
        mean.size, mean, var, float(count / (count - 1)), float(momentum), running_mean, running_var, batches,
        NUMBER=NUMBERS[mean.dtype],
    )  # fmt: skip
