// C and T, the convolution and its adjoint, as a product of matrices that are never written down ("implicit"):
// one row for each pixel of the result, one column for each of its channels, and as depth the taps of the kernel
// in every channel of the image. A block of threads takes BLOCK_ROWS pixels and BLOCK_COLUMNS channels. It copies
// the part of the image that its pixels see into shared memory, CHUNK channels at a time, once for all taps:
// a tap is only an offset in there. While it multiplies, the next part is on its way.
//
// T with stride s is s x s such products, its phases: pixels between which a step of s lies see the same taps
// (Dumoulin and Visin 2016, section 4.5, without the zeros).
#include "tile.cuh"

const int WARPS_DOWN = BLOCK_ROWS / WARP_ROWS, WARPS = WARPS_DOWN * (BLOCK_COLUMNS / WARP_COLUMNS);
const int THREADS = WARPS * WARP;
const int STAGES = 3;  // steps whose weights are in shared memory: one is multiplied, two are on their way

// One direction, height or width. Image rows that a pixel may see, padding included, are its frame's.
struct Axis {
    int taps, first_tap, tap_step;         // which rows of the kernel take part
    int first_shift, shift_step;           // how far down the frame tap 0 reads, and each next one
    int first_out, out_step;               // which rows of the result are made
    int first_image, image_step;           // the image's row that is the frame's first; frame rows between pixels
    Divisor pixels, frame;                 // how many rows are made; the frame's length
};

struct Phase {
    Axis height, width;
    Divisor plane;  // pixels of an image
};

struct Correlation {
    int batch, channels, height, width;           // of the image
    int out_channels, out_height, out_width;      // of the result
    int kernel_rows, kernel_columns;
    int quads;                                    // of the packed weights
    int column_step, channel_step;                // of weights as they are
    int splits, split_size;                       // parts of the depth, each summed up by blocks of its own; their floats
    int patch_pitch, plane;                       // of the image in shared memory: floats of a row, of a channel
    int shift_1, shift_2;                         // more floats for odd channels, and for the second pair of four
    int table;                                    // most depths of a chunk, rounded up to 8
    int depth;                                    // most of them in shared memory at a time
    Phase phases[4];
};

// The image (batch, channels, height, width). The weights are packed, (quads, out_channels, 4), see parts.cu; or,
// where so few blocks read them that packing does not pay, as they are: that of column n, channel k and tap t at
// n * column_step + k * channel_step + t.
extern "C" __global__ void __launch_bounds__(THREADS) correlate(
    const float *image, const float *weights, float *out, Correlation c) {
    SHARED_MEMORY(memory);
    float *patches = memory;                                    // (2, CHUNK, plane)
    float *columns_of_weights = patches + 2 * CHUNK * c.plane;  // (STAGES, depth / 4, BLOCK_COLUMNS, 4)
    int *tables = (int *)(columns_of_weights + STAGES * c.depth * BLOCK_COLUMNS);
    int *depth_offset = tables;                                 // (table): in the patch, bytes
    int *weight_quad = depth_offset + c.table;                  // (table / 4): where its columns begin, or -1
    int *source = weight_quad + c.table / 4;                    // (patch rows, patch_pitch): in the image, or -1

    const Phase &phase = c.phases[blockIdx.z / c.splits];
    const Axis &down = phase.height, &along = phase.width;
    int split = blockIdx.z % c.splits, pixels = c.batch * phase.plane.divisor;
    int first_pixel = blockIdx.x * BLOCK_ROWS, first_column = blockIdx.y * BLOCK_COLUMNS;
    if (first_pixel >= pixels) return;
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;

    // Where a channel begins: so that the four channels and eight pixels that a warp reads fall on different banks.
    auto channel_place = [&](int channel) {
        return channel * c.plane + channel % 2 * c.shift_1 + channel / 2 % 2 * c.shift_2;
    };
    // Frames of the images stand one below the other; the patch begins with the first pixel's row.
    auto stacked_row = [&](int pixel) {
        int n = phase.plane.quotient(pixel);
        return n * down.frame.divisor + along.pixels.quotient(pixel - n * phase.plane.divisor) * down.image_step;
    };
    int first_row = stacked_row(first_pixel), last_pixel = min(first_pixel + BLOCK_ROWS, pixels) - 1;
    int reach = down.frame.divisor - (down.pixels.divisor - 1) * down.image_step;  // rows that one pixel sees
    int patch_rows = stacked_row(last_pixel) - first_row + reach;
    int positions = patch_rows * c.patch_pitch;
    for (int row = warp; row < patch_rows; row += WARPS) {
        int n = down.frame.quotient(first_row + row), h = down.frame.rest(first_row + row) + down.first_image;
        for (int column = lane; column < c.patch_pitch; column += WARP) {
            int v = column + along.first_image, at = row * c.patch_pitch + column;
            bool inside = n < c.batch && h >= 0 && h < c.height && v >= 0 && v < c.width &&
                          column < along.frame.divisor;
            source[at] = inside ? (n * c.channels * c.height + h) * c.width + v : -1;
            if (!inside)  // the padding stays 0
                for (int k = 0; k < 2 * CHUNK; k++)
                    patches[k / CHUNK * CHUNK * c.plane + channel_place(k % CHUNK) + at] = 0.0f;
        }
    }
    int taps = down.taps * along.taps, kernel_taps = c.kernel_rows * c.kernel_columns;
    int chunk_depth = (CHUNK * taps + 7) / 8 * 8;
    for (int at = threadIdx.x; at < chunk_depth; at += THREADS) {
        int channel = at % CHUNK, tap = at / CHUNK;
        int i = tap < taps ? tap / along.taps : 0, j = tap < taps ? tap % along.taps : 0;
        depth_offset[at] = 4 * (channel_place(channel) + (down.first_shift + i * down.shift_step) * c.patch_pitch +
                                along.first_shift + j * along.shift_step);
        int kernel_tap = (down.first_tap + i * down.tap_step) * c.kernel_columns + along.first_tap + j * along.tap_step;
        int quad = CHUNK == 1 ? at / 4 : channel / 4 * kernel_taps + kernel_tap;
        int place = PACKED ? quad * c.out_channels * 4 : channel * c.channel_step + kernel_tap;
        if (at % 4 == 0) weight_quad[at / 4] = tap < taps ? place : -1;
    }
    __syncthreads();

    int chunks = (c.channels + CHUNK - 1) / CHUNK, groups = (chunk_depth + c.depth - 1) / c.depth;
    int group_depth = groups ? ((chunk_depth + groups - 1) / groups + 7) / 8 * 8 : 0;
    int first_chunk = chunks * split / c.splits, steps = (chunks * (split + 1) / c.splits - first_chunk) * groups;

    // A step multiplies one group of depths of one chunk. Where the loads are, which run ahead:
    int load_chunk = first_chunk, load_group = 0, load_stage = 0;
    // Copies what a step multiplies: the weights of its depths and, for the first group of a chunk, the patch.
    auto load_next = [&]() {
        int first_depth = load_group * group_depth, channels = c.channels - load_chunk * CHUNK;
        if (load_group == 0) {
            float *patch = patches + load_chunk % 2 * CHUNK * c.plane;
            int plane = c.height * c.width;
            const float *from = image + load_chunk * CHUNK * plane;
            for (int at = threadIdx.x; at < positions; at += THREADS) {
                int place = source[at];
                if (place < 0) continue;
#pragma unroll 8
                for (int k = 0; k < CHUNK; k++) {
                    bool wanted = k < channels;
                    copy_async<4>(patch + channel_place(k) + at, wanted ? from + place + k * plane : image, wanted);
                }
            }
        }
        float *to = columns_of_weights + load_stage * c.depth * BLOCK_COLUMNS;
        int quads = min(group_depth, chunk_depth - first_depth) / 4;
        const int *begin = weight_quad + first_depth / 4;
#if PACKED
        int first_quad = CHUNK == 1 ? load_chunk * ((kernel_taps + 3) / 4) : load_chunk * (CHUNK / 4) * kernel_taps;
        int there = (c.quads - first_quad) * c.out_channels * 4;
        const float *from = weights + (first_quad * c.out_channels + first_column) * 4;
#pragma unroll 4
        for (int at = threadIdx.x; at < quads * BLOCK_COLUMNS; at += THREADS) {
            int column = at % BLOCK_COLUMNS, quad = begin[at / BLOCK_COLUMNS];
            bool wanted = (unsigned)quad < (unsigned)there && first_column + column < c.out_channels;
            copy_async<16>(to + 4 * at, wanted ? from + quad + 4 * column : weights, wanted);
        }
#else
        const float *from = weights + load_chunk * CHUNK * c.channel_step + first_column * c.column_step;
        int step = CHUNK == 1 ? along.tap_step : c.channel_step;  // from one depth of a quad to the next
        for (int at = threadIdx.x; at < quads * BLOCK_COLUMNS; at += THREADS) {
            int column = at % BLOCK_COLUMNS, quad = begin[at / BLOCK_COLUMNS];
            int depth = first_depth + at / BLOCK_COLUMNS * 4;
            int left = CHUNK == 1 ? taps - depth : channels - depth % CHUNK;  // of taps, or channels, from here on
            bool there = quad >= 0 && first_column + column < c.out_channels;
            for (int i = 0; i < 4; i++) {
                bool wanted = there && i < left;
                int place = quad + column * c.column_step + i * step;
                copy_async<4>(to + 4 * at + i, wanted ? from + place : weights, wanted);
            }
        }
#endif
        commit_copies();
        load_stage = load_stage + 1 == STAGES ? 0 : load_stage + 1;
        if (++load_group == groups) load_group = 0, load_chunk++;
    };

    Tile<WARP_ROWS, WARP_COLUMNS> tile;
    tile.clear();
    int warp_row = warp % WARPS_DOWN * WARP_ROWS;
    int warp_column = WARPS == WARPS_DOWN ? 0 : warp / WARPS_DOWN * WARP_COLUMNS;
    int pixel_offset[tile.LEFT_ROWS];  // bytes
#pragma unroll
    for (int i = 0; i < tile.LEFT_ROWS; i++) {
        int pixel = min(first_pixel + warp_row + tile.row(lane, i), last_pixel);
        int column = along.pixels.rest(phase.plane.rest(pixel));
        pixel_offset[i] = 4 * ((stacked_row(pixel) - first_row) * c.patch_pitch + column * along.image_step);
    }

    // Two steps ahead, but a chunk's patch may only be overwritten when the chunk before the last is done with.
    int ahead = groups > 1 ? 2 : 1;
    for (int step = 0; step < min(ahead, steps); step++) load_next();
    for (int step = 0, chunk = first_chunk, group = 0, stage = 0; step < steps; step++) {
        if (ahead == 2 && step + 1 < steps) wait_for_copies<1>();
        else wait_for_copies<0>();
        show_to_groups();
        __syncthreads();
        if (step + ahead < steps) load_next();
        const float *from = columns_of_weights + stage * c.depth * BLOCK_COLUMNS + 4 * warp_column;
        int patch = chunk % 2 * CHUNK * c.plane * 4, first_depth = group * group_depth;
        const int *offset = depth_offset + first_depth;
        tile.multiply(lane, min(group_depth, chunk_depth - first_depth), from, BLOCK_COLUMNS,
                      [&](int d) { return patch + offset[d]; },
                      [&](int i, int at) { return *(const float *)((const char *)patches + (pixel_offset[i] + at)); });
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        if (++group == groups) group = 0, chunk++;
    }

    out += split * c.split_size;
#pragma unroll
    for (int i = 0; i < tile.ROWS; i++) {
        int pixel = first_pixel + warp_row + tile.row(lane, i);
        if (pixel > last_pixel) continue;
        int n = phase.plane.quotient(pixel), p = along.pixels.quotient(phase.plane.rest(pixel));
        int q = along.pixels.rest(phase.plane.rest(pixel));
        int h = down.first_out + p * down.out_step, v = along.first_out + q * along.out_step;
        float *to = out + (n * c.out_channels * c.out_height + h) * c.out_width + v;
#pragma unroll
        for (int j = 0; j < tile.COLUMNS; j++) {
            int k = first_column + warp_column + tile.column(lane, j);
            if (k < c.out_channels) to[k * c.out_height * c.out_width] = tile.sum(i, j);
        }
    }
}
