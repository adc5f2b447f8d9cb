"""Plans for `correlate.cu`: C and T as products of matrices, cut into blocks for the GPU at hand."""

import functools
import math

import numpy as np

from minigan.kernels.cuda import cost, loader, memory, parts
from minigan.kernels.cuda.tiles import Tile

DEPTHS_AT_A_TIME = 48  # of a chunk, in shared memory
STAGES = 3  # as in correlate.cu
CHUNKS = (1, 4, 8, 16, 32)  # channels that are copied together
MOST_DEPTHS = 256  # of a chunk
MOST_PHASES = 4  # of a launch
FEW_READERS = 8  # blocks that read the same weights: for so few, packing does not pay
# Each with its rate, in products a cycle of a multiprocessor, on the tensor cores and in float32.
TILES = {
    Tile(256, 128, 32, 128, True): (653, 0),
    Tile(128, 128, 16, 128, True): (651, 0),
    Tile(256, 64, 32, 64, True): (337, 0),
    Tile(128, 64, 32, 64, True): (180, 0),
    Tile(64, 128, 16, 128, True): (360, 0),
    Tile(64, 64, 16, 64, True): (296, 0),
    Tile(128, 64, 64, 32): (143, 63),
    Tile(64, 64, 32, 32): (361, 69),
    Tile(64, 32, 32, 16): (300, 32),
    Tile(32, 32, 16, 16): (373, 53),
    Tile(64, 8, 16, 8): (169, 44),
    Tile(128, 8, 32, 8): (159, 38),
}
WAITS = (cost.Waits(4.6, 5.3, 0.92, 0.61), cost.Waits(2.8, 3.6, 1.22, 0.67))  # on the tensor cores, in float32


def plan(name, shapes, stride, padding, dilation, precision, device):
    """A Plan for "conv2d" or "conv_transpose2d", or None where shared memory or 32-bit numbers are too small."""
    image, out = (shapes.x, shapes.y) if name == "conv2d" else (shapes.y, shapes.x)
    kernel, begin = shapes.w[2:], (padding[2], padding[0])
    axes = _axes_of_c if name == "conv2d" else _axes_of_t
    down, along = (axes(out[2 + a], kernel[a], stride[a], begin[a], dilation[a]) for a in (0, 1))
    phases = sorted(((h, v) for h in down for v in along), key=lambda phase: -_taps(phase))
    best, least = None, math.inf
    for tile, rates in TILES.items():
        rate = rates[precision == 0]
        if not rate or not tile.runs(precision, device) or tile.columns >= 2 * max(8, out[1]):
            continue
        for chunk in _chunks(image[1], phases):
            layout = Layout(name, image, out, kernel, phases, tile, chunk)
            if layout.shared_bytes > device.shared_bytes:
                continue
            for splits in cost.split_counts(layout.blocks, layout.chunks, device):
                works = layout.works(splits)
                taken = cost.microseconds(
                    tile, rate, works, splits, math.prod(out), layout.shared_bytes, WAITS[precision == 0], device
                )
                if taken < least:
                    best, least = (layout, splits), taken
    try:
        return Plan(*best, precision) if best else None
    except OverflowError:
        return None


def _taps(phase):
    return phase[0]["taps"] * phase[1]["taps"]


def _chunks(channels, phases):
    """How many channels may be copied together."""
    taps = _taps(phases[0])
    for chunk in CHUNKS:
        # A quad of depths is four channels, or four taps of the only channel.
        fits = channels == 1 and (len(phases) == 1 or taps <= 1) if chunk == 1 else chunk < channels + 4
        if fits and (chunk <= 8 or chunk * taps <= MOST_DEPTHS):
            yield chunk


def _axes_of_c(out, kernel, stride, begin, dilation):
    return [
        dict(
            taps=kernel, first_tap=0, tap_step=1, first_shift=0, shift_step=dilation, first_out=0, out_step=1,
            first_image=-begin, image_step=stride, pixels=out, frame=(out - 1) * stride + (kernel - 1) * dilation + 1,
        )
    ]  # fmt: skip


def _axes_of_t(out, kernel, stride, begin, dilation):
    """One for each phase: pixels h of the result with h + begin = stride * u + phase, for u = first, first + 1, ..."""
    axes = []
    for phase in range(stride):
        first = max(0, -(-(begin - phase) // stride))
        pixels = len(range(stride * first + phase - begin, out, stride))
        if not pixels:
            continue
        # Tap i reads the image's row u - reach, where i * dilation = stride * reach + phase.
        taps = [i for i in range(kernel) if i * dilation % stride == phase]
        reaches = [i * dilation // stride for i in taps] or [0]
        furthest = reaches[-1]
        axes.append(dict(
            taps=len(taps), first_tap=taps[0] if taps else 0, tap_step=taps[1] - taps[0] if len(taps) > 1 else 1,
            first_shift=furthest - reaches[0], shift_step=reaches[0] - reaches[1] if len(taps) > 1 else 0,
            first_out=stride * first + phase - begin, out_step=stride,
            first_image=first - furthest, image_step=1, pixels=pixels, frame=pixels + furthest - reaches[0],
        ))  # fmt: skip
    return axes


class Layout:
    """How a product is cut by a tile and chunks of channels, and what that takes of shared memory."""

    def __init__(self, name, image, out, kernel, phases, tile, chunk):
        self.name, self.image, self.out, self.kernel, self.phases = name, image, out, kernel, phases
        self.tile, self.chunk, self.chunks = tile, chunk, -(-image[1] // chunk)
        self.taps = taps = math.prod(kernel)
        self.by_channel = chunk > 1
        self.quads = -(-image[1] // 4) * taps if self.by_channel else image[1] * -(-taps // 4)
        # From one column, the result's channel, and from one channel of the image to the next: w is (K, C, R, S).
        self.weight_steps = (image[1] * taps, taps) if name == "conv2d" else (taps, out[1] * taps)
        self.table = _whole(chunk * _taps(phases[0]), 8)
        groups = max(1, -(-self.table // DEPTHS_AT_A_TIME))
        self.depth = max(8, _whole(-(-self.table // groups), 8))
        # From the last pixel of a row to the first of the next is as far as between neighbours, but for whole groups
        # of 8: so pixels keep to different banks of shared memory.
        width, pixels = max(v["frame"] for _, v in phases), phases[0][1]["pixels"]
        self.patch_pitch = width + (pixels - width) % 8
        self.shifts = (phases[0][1]["image_step"] % 2 * 7 + 1, 16) if chunk > 1 else (0, 0)
        rows = max(_patch_rows(tuple(h.items()), tuple(v.items()), image[0], tile.rows) for h, v in phases)
        positions = rows * self.patch_pitch
        self.plane = _whole(positions + sum(self.shifts), 32) if chunk > 1 else _whole(positions, 4)
        weights = STAGES * self.depth * tile.columns
        self.shared_bytes = 4 * (2 * chunk * self.plane + weights + self.table * 5 // 4 + positions)
        self.blocks = sum(self.blocks_down(phase) for phase in phases) * self.blocks_along

    def blocks_down(self, phase):
        """Blocks for a phase's pixels."""
        return -(-self.out[0] * phase[0]["pixels"] * phase[1]["pixels"] // self.tile.rows)

    @property
    def blocks_along(self):
        """Blocks for the channels of the result."""
        return -(-self.out[1] // self.tile.columns)

    @property
    def packs(self):
        """Whether the weights are packed first."""
        return max(map(self.blocks_down, self.phases)) > FEW_READERS

    def works(self, splits):
        """What the blocks have to do, a cost.Work for each phase."""
        chunks, works = -(-self.chunks // splits), []
        for phase in self.phases:
            depth = _whole(self.chunk * _taps(phase), 8)
            blocks = self.blocks_down(phase) * self.blocks_along * splits
            works.append(cost.Work(blocks, chunks * depth, chunks * -(-depth // DEPTHS_AT_A_TIME)))
        return works


class Plan:
    """The launches of one product, for arrays of certain shapes."""

    algorithm = "correlate"

    def __init__(self, layout, splits, precision):
        self.layout, self.splits, self.precision = layout, splits, precision
        groups = [layout.phases[i : i + MOST_PHASES] for i in range(0, len(layout.phases), MOST_PHASES)]
        self.launches = [
            ((max(map(layout.blocks_down, group)), layout.blocks_along, len(group) * splits), self._struct(group))
            for group in groups
        ]

    def _struct(self, phases):
        """The struct Correlation of correlate.cu."""
        own = self.layout
        header = [
            *own.image, *own.out[1:], *own.kernel, own.quads, *own.weight_steps, self.splits, math.prod(own.out),
            own.patch_pitch, own.plane, *own.shifts, own.table, own.depth,
        ]  # fmt: skip
        words = [word for phase in phases for word in _words(phase, own.image[0])]
        missing = (MOST_PHASES - len(phases)) * (len(words) // len(phases))
        return np.array(header + words + [0] * missing, np.int64).astype(np.uint32)

    def __call__(self, image, weight, out):
        own = self.layout
        if own.packs:
            weight = parts.packed(
                weight, own.quads, own.out[1], own.image[1], own.taps, *own.weight_steps, by_channel=own.by_channel
            )
        target = memory.empty((self.splits, *own.out), out.dtype) if self.splits > 1 else out
        for blocks, struct in self.launches:
            loader.run(
                "correlate.cu", "correlate", blocks, own.tile.threads, image, weight, target, struct,
                shared_bytes=own.shared_bytes, PRECISION=self.precision, CHUNK=own.chunk, PACKED=int(own.packs), **own.tile.defines(),
            )  # fmt: skip
        if self.splits > 1:
            parts.add_up(target, out)


def _words(phase, batch):
    """The struct Phase of correlate.cu as numbers of 32 bits."""
    height, width = phase
    largest = batch * max(height["frame"], height["pixels"]) * max(width["frame"], width["pixels"])
    words = []
    for axis in phase:
        *others, pixels, frame = axis.values()
        words += [n & 0xFFFFFFFF for n in others]
        words += [*loader.divisor(pixels, largest), *loader.divisor(frame, largest)]
    return [*words, *loader.divisor(height["pixels"] * width["pixels"], largest)]


@functools.lru_cache(1024)
def _patch_rows(down, along, batch, rows):
    """The most rows of stacked frames that `rows` consecutive pixels see."""
    down, along = dict(down), dict(along)
    plane = down["pixels"] * along["pixels"]
    reach = down["frame"] - (down["pixels"] - 1) * down["image_step"]

    def stacked(pixel):
        return pixel // plane * down["frame"] + pixel % plane // along["pixels"] * down["image_step"]

    firsts = np.arange(0, batch * plane, rows)
    lasts = np.minimum(firsts + rows, batch * plane) - 1
    return int((stacked(lasts) - stacked(firsts)).max()) + reach


def _whole(count, multiple):
    """The count rounded up to a multiple."""
    return -(-count // multiple) * multiple
