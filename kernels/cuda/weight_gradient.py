"""Plans for `weight.cu`: G as a product of matrices, cut into blocks for the GPU at hand."""

import functools
import math

import numpy as np

from minigan.kernels.cuda import cost, loader, memory, parts
from minigan.kernels.cuda.tiles import Tile

PIECE = 104  # pixels of y in shared memory at a time
CHANNELS = (1, 2, 4, 8, 16, 32, 64, 128)  # of x, that a block takes
# Each with its rate, in products a cycle of a multiprocessor, on the tensor cores and in float32.
TILES = {
    Tile(256, 128, 32, 128, True): (640, 0),
    Tile(256, 64, 32, 64, True): (203, 0),
    Tile(208, 64, 16, 64): (86, 86),
    Tile(112, 64, 16, 64): (184, 0),
    Tile(128, 64, 32, 64, True): (177, 0),
    Tile(128, 64, 32, 64): (0, 54),
    Tile(128, 32, 32, 32): (75, 28),
    Tile(64, 64, 16, 64, True): (429, 0),
    Tile(64, 64, 32, 32): (0, 55),
    Tile(64, 32, 32, 16): (135, 29),
    Tile(32, 32, 16, 16): (243, 30),
}
WAITS = (cost.Waits(0.2, 19.7, 1.65, 1.66), cost.Waits(0.3, 15.9, 0.45, 1.66))  # on the tensor cores, in float32


def plan(shapes, stride, padding, dilation, precision, device):
    """A Plan, or None where a channel has too many taps, or shared memory or 32-bit numbers are too small."""
    taps, best, least = math.prod(shapes.w[2:]), None, math.inf
    for tile, rates in TILES.items():
        rate = rates[precision == 0]
        if not rate or not tile.runs(precision, device):
            continue
        for channels in CHANNELS:
            if channels * taps > tile.rows or channels >= 2 * shapes.x[1]:
                continue
            for images, rows in _pieces(shapes):
                layout = Layout(shapes, stride, padding, dilation, tile, channels, images, rows)
                if layout.shared_bytes > device.shared_bytes:
                    continue
                for splits in cost.split_counts(math.prod(layout.blocks), layout.pieces, device):
                    taken = cost.microseconds(
                        tile, rate, [layout.work(splits)], splits, math.prod(shapes.w), layout.shared_bytes,
                        WAITS[precision == 0], device,
                    )  # fmt: skip
                    if taken < least:
                        best, least = (layout, splits), taken
    try:
        return Plan(*best, precision) if best else None
    except OverflowError:
        return None


def _pieces(shapes):
    """(whole images, rows of each), or (1, some rows of one)."""
    batch, _, height, width = shapes.y
    images = max(1, min(batch, PIECE // (height * width)))
    if height * width <= PIECE:
        return {(images, height), (max(1, images // 2), height)}
    rows = max(1, PIECE // width)
    rows = -(-height // -(-height // rows))  # pieces of about the same size
    return {(1, rows), (1, max(1, rows // 2)), (1, 1)}


class Layout:
    """How a product is cut by a tile, channels of x and pieces of y, and what that takes of shared memory."""

    def __init__(self, shapes, stride, padding, dilation, tile, channels, images, rows):
        (batch, c, _, _), (k, _, r, s), (_, _, p, q) = self.shapes = shapes
        self.geometry, self.tile, self.channels = (stride, padding, dilation), tile, channels
        self.images, self.rows = images, rows
        self.depths = -(-images * rows * q // 8) * 8
        self.frame_rows = (rows - 1) * stride[0] + (r - 1) * dilation[0] + 1
        self.patch_pitch = (q - 1) * stride[1] + (s - 1) * dilation[1] + 1
        positions = images * self.frame_rows * self.patch_pitch
        # Channels begin so that the eight of them, and the four pixels, that a warp reads fall on different banks.
        self.shifts = ((4, 8, 16) if stride[1] % 2 else (8, 16, 1)) if channels > 1 else (0, 0, 0)
        self.plane = -(-(positions + sum(self.shifts)) // 32) * 32 if channels > 1 else -(-positions // 4) * 4
        values = 2 * self.depths * (tile.columns + 1)
        self.shared_bytes = 4 * (values + 2 * channels * self.plane + 2 * self.depths + 2 * self.plane)
        self.pieces_down = -(-p // rows)
        self.pieces = -(-batch // images) * self.pieces_down
        self.blocks = -(-c // channels), -(-k // tile.columns)

    def work(self, splits):
        """What the blocks have to do, a cost.Work."""
        pieces = -(-self.pieces // splits)
        return cost.Work(math.prod(self.blocks) * splits, pieces * self.depths, pieces)


class Plan:
    """The launches of one product, for arrays of certain shapes."""

    algorithm = "weight"

    def __init__(self, layout, splits, precision):
        self.layout, self.splits, self.precision = layout, splits, precision
        self.struct = self._struct()
        pixels = layout.shapes.y[3] * layout.shapes.y[2], layout.shapes.y[3] * layout.rows
        self.quads = int(all(count % 4 == 0 for count in pixels))  # 16-byte copies of y

    def _struct(self):
        """The struct Weight of weight.cu."""
        own = self.layout
        (batch, c, h, v), (k, _, r, s), (_, _, p, q) = own.shapes
        stride, padding, dilation = own.geometry
        divisor = functools.partial(loader.divisor, largest=max(own.pieces, own.depths, own.plane))
        words = [
            batch, c, h, v, k, p, q, r, s, *stride, padding[0], padding[2], *dilation, own.images, own.rows, self.splits,
            *divisor(own.rows * q), *divisor(q), *divisor(own.frame_rows), *divisor(own.pieces_down),
            own.depths, own.plane, own.patch_pitch, *own.shifts,
        ]  # fmt: skip
        return np.array(words, np.int64).astype(np.uint32)

    def __call__(self, x, y, out):
        own = self.layout
        target = memory.empty((self.splits, *own.shapes.w), out.dtype) if self.splits > 1 else out
        loader.run(
            "weight.cu", "correlate_weight", (*own.blocks, self.splits), own.tile.threads, x, y, target, self.struct,
            shared_bytes=own.shared_bytes, PRECISION=self.precision, CHANNELS=own.channels, QUADS=self.quads,
            **own.tile.defines(),
        )  # fmt: skip
        if self.splits > 1:
            parts.add_up(target, out)
