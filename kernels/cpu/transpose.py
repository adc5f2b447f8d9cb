"""Planes of many channels turned so that the channels lie side by side, and back: a matrix transpose.

In images (N, C, H, W) the pixels of one channel are neighbours; vector arithmetic over channels
wants the channels of one pixel to be. A square of one vector register's length is transposed in
registers, in log2(length) rounds of interleaving two halves (the perfect shuffle of Stone, "Parallel
Processing with the Perfect Shuffle", 1971): that is a third of a cycle per element instead of four.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minigan.kernels.cpu.linked import linked
from minigan.kernels.cpu.registers import VECTOR

SIDE = VECTOR


@intrinsic
def _transpose_square(typingctx, source, source_offset, source_row, target, target_offset, target_row):
    """target[t + j * target_row + i] = source[s + i * source_row + j] for i, j < SIDE, of flat float32 arrays."""
    index = types.intp
    signature = types.void(source, index, index, target, index, index)

    def codegen(context, builder, sig, args):
        source, source_offset, source_row, target, target_offset, target_row = args
        vector = ir.VectorType(ir.FloatType(), SIDE)
        int64, int32 = ir.IntType(64), ir.IntType(32)

        def pointers(start, offset, row):
            for i in range(SIDE):
                at = builder.add(offset, builder.mul(row, int64(i)))
                yield builder.bitcast(builder.gep(start, [at], source_etype=ir.FloatType()), vector.as_pointer())

        rows = [builder.load(pointer, align=4) for pointer in pointers(source, source_offset, source_row)]
        half = SIDE // 2
        low = [n for i in range(half) for n in (i, SIDE + i)]
        masks = [ir.Constant(ir.VectorType(int32, SIDE), [n + add for n in low]) for add in (0, half)]
        for _ in range(SIDE.bit_length() - 1):
            rows = [builder.shuffle_vector(rows[i], rows[i + half], mask) for i in range(half) for mask in masks]
        for pointer, row in zip(pointers(target, target_offset, target_row), rows):
            builder.store(row, pointer, align=4)
        return context.get_dummy_value()

    return signature, codegen


@linked("aiiiiai", types.float32)
def to_lanes(dtype):
    """target[e * width + lane] = source[offset + lane * lane_stride + e] for e < length and lane < lanes.

    Its arguments: source, offset, lane_stride, lanes, length, target, width; flat float32 arrays. `width`
    is `lanes` rounded up to whole vectors, and the lanes beyond stay as they are.
    """

    def turn(source, offset, lane_stride, lanes, length, target, width):
        if length < SIDE or lanes < SIDE:
            for lane in range(lanes):
                for e in range(length):
                    target[e * width + lane] = source[offset + lane * lane_stride + e]
            return
        for lane in range(0, lanes, SIDE):
            lane = min(lane, lanes - SIDE)  # the last squares may overlap those before
            for e in range(0, length, SIDE):
                e = min(e, length - SIDE)
                _transpose_square(source, offset + lane * lane_stride + e, lane_stride, target, e * width + lane, width)

    return turn


@linked("aiiiaii", types.float32)
def from_lanes(dtype):
    """target[offset + lane * lane_stride + e] = source[e * width + lane]: the way back.

    Its arguments: source, width, lanes, length, target, offset, lane_stride.
    """

    def turn(source, width, lanes, length, target, offset, lane_stride):
        if length < SIDE or lanes < SIDE:
            for lane in range(lanes):
                for e in range(length):
                    target[offset + lane * lane_stride + e] = source[e * width + lane]
            return
        for lane in range(0, lanes, SIDE):
            lane = min(lane, lanes - SIDE)
            for e in range(0, length, SIDE):
                e = min(e, length - SIDE)
                _transpose_square(source, e * width + lane, width, target, offset + lane * lane_stride + e, lane_stride)

    return turn
