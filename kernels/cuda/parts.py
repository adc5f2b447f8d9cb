"""What stands around a convolution's product: weights in another order, and sums of parts (`parts.cu`)."""

from minigan.kernels.cuda import loader, memory


def packed(weight, quads, columns, channels, taps, column_step, channel_step, by_channel):
    """The weight as correlate.cu reads it most quickly, (quads, columns, 4): see parts.cu."""
    out = memory.empty((quads, columns, 4), weight.dtype)
    loader.run(
        "parts.cu", "pack", -(-quads * columns // 256), 256,
        weight, out, columns, channels, taps, column_step, channel_step, by_channel,
    )  # fmt: skip
    return out


def add_up(parts, out):
    """out = the sum of parts (splits, *out.shape)."""
    loader.run("parts.cu", "sum_parts", -(-out.size // 256), 256, parts, out, len(parts), out.size)
