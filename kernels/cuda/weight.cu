// G, the convolution's adjoint in its weight, as a product of matrices that are never written down: one row for
// each tap in each channel, one column for each filter, and as depth the pixels of y. A block of threads takes all
// taps of CHANNELS channels and BLOCK_COLUMNS filters. Piece by piece, some images or some rows of one, it copies
// y and the part of x that those pixels see into shared memory: row (i, j, c) is only an offset in there.
// The depth is shared among blocks, whose sums are added up afterwards, in order (parts.cu).
#include "tile.cuh"

const int WARPS_DOWN = BLOCK_ROWS / WARP_ROWS, WARPS = WARPS_DOWN * (BLOCK_COLUMNS / WARP_COLUMNS);
const int THREADS = WARPS * WARP;
const int PITCH = BLOCK_COLUMNS + 1;  // quads; one more, so that copies fall on different banks

struct Weight {
    int batch, channels, height, width;         // of x
    int filters, out_height, out_width;         // of y
    int kernel_rows, kernel_columns;
    int stride_height, stride_width, left, top, dilation_height, dilation_width;
    int images, rows;                           // a piece: so many whole images, or so many rows of one
    int splits;                                 // blocks that share the depth
    Divisor image_depth, out_row, image_rows;   // of a piece: pixels of an image; of a row; rows of an image's frame
    Divisor pieces_down;                        // pieces of an image
    int depths, plane, patch_pitch;             // of shared memory: pixels of a piece, rounded up to 8; floats of a
                                                // channel of x, and of its rows
    int shift_1, shift_2, shift_4;              // more floats for odd channels, the second pair of four, four of eight
};

// x (batch, channels, height, width), y (batch, filters, out_height, out_width),
// out (splits, filters, channels, kernel_rows, kernel_columns).
extern "C" __global__ void __launch_bounds__(THREADS) correlate_weight(
    const float *x, const float *y, float *out, Weight w) {
    SHARED_MEMORY(memory);
    float *values = memory;                                          // of y, (2, depths / 4, PITCH, 4)
    float *patches = values + 2 * w.depths * PITCH;                  // of x, (2, CHANNELS, plane)
    int *pixel_offset = (int *)(patches + 2 * CHANNELS * w.plane);   // (depths): of a pixel in the patch, bytes
    int *y_offset = pixel_offset + w.depths;                         // (depths): of a pixel in y
    int *patch_row = y_offset + w.depths;                            // (patch rows, patch_pitch): image and frame row
    int *source = patch_row + w.plane;                               // (the same): its place in x, or -1

    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    int first_channel = blockIdx.x * CHANNELS, first_filter = blockIdx.y * BLOCK_COLUMNS, split = blockIdx.z;
    // Where a channel begins: so that the eight channels and four pixels that a warp reads fall on different banks.
    auto channel_place = [&](int c) {
        return c * w.plane + c % 2 * w.shift_1 + c / 2 % 2 * w.shift_2 + c / 4 % 2 * w.shift_4;
    };
    int image_rows = w.image_rows.divisor, image_depth = w.image_depth.divisor, pieces_down = w.pieces_down.divisor;
    int depths = w.images * image_depth, patch_rows = w.images * image_rows, positions = patch_rows * w.patch_pitch;
    for (int d = threadIdx.x; d < w.depths; d += THREADS) {
        int n = w.image_depth.quotient(d), pixel = d - n * image_depth;
        int p = w.out_row.quotient(pixel), q = w.out_row.rest(pixel);
        int place = (n * image_rows + p * w.stride_height) * w.patch_pitch + q * w.stride_width;
        pixel_offset[d] = d < depths ? 4 * place : 0;
        y_offset[d] = n * w.filters * w.out_height * w.out_width + p * w.out_width + q;
        if (d >= depths)  // no pixels: 0 in both pieces
            for (int k = 0; k < 2 * BLOCK_COLUMNS; k++)
                values[k / BLOCK_COLUMNS * w.depths * PITCH + (d / 4 * PITCH + k % BLOCK_COLUMNS) * 4 + d % 4] = 0.0f;
    }
    for (int row = warp; row < patch_rows; row += WARPS) {
        int n = w.image_rows.quotient(row), h = row - n * image_rows;
        for (int column = lane; column < w.patch_pitch; column += WARP) {
            int v = column - w.left, at = row * w.patch_pitch + column;
            patch_row[at] = n << 16 | h;
            source[at] = v >= 0 && v < w.width ? (n * w.channels * w.height + h) * w.width + v : -1;
        }
    }
    __syncthreads();

    int pieces = (w.batch + w.images - 1) / w.images * pieces_down;
    int first = pieces * split / w.splits, last = pieces * (split + 1) / w.splits;

    auto load = [&](int piece) {
        int n = w.pieces_down.quotient(piece) * w.images, p = w.pieces_down.rest(piece) * w.rows, parity = piece % 2;
        // Pixels of the piece that there are: the last piece may be cut short.
        int there = pieces_down == 1 ? (w.batch - n) * image_depth : (w.out_height - p) * w.out_width;
        int plane = w.out_height * w.out_width, filters = w.filters - first_filter;
        const float *from = y + (n * w.filters + first_filter) * plane + p * w.out_width;
        float *to = values + parity * w.depths * PITCH;
#if QUADS
        for (int d = lane * 4; d < depths; d += WARP * 4) {
#else
        for (int d = lane; d < depths; d += WARP) {
#endif
            int offset = y_offset[d], target = (d / 4 * PITCH) * 4 + d % 4;
#pragma unroll 4
            for (int k = warp; k < BLOCK_COLUMNS; k += WARPS) {
                bool wanted = d < there && k < filters;
                copy_async<QUADS ? 16 : 4>(to + target + 4 * k, wanted ? from + offset + k * plane : y, wanted);
            }
        }
        int first_row = p * w.stride_height - w.top;  // of x
        const float *image = x + (n * w.channels * w.height + first_row) * w.width;
        float *patch = patches + parity * CHANNELS * w.plane;
        for (int at = threadIdx.x; at < positions; at += THREADS) {
            int place = source[at], h = first_row + (patch_row[at] & 0xffff);
            bool inside = place >= 0 && h >= 0 && h < w.height && n + (patch_row[at] >> 16) < w.batch;
#pragma unroll 8
            for (int k = 0; k < CHANNELS; k++) {
                int channel = first_channel + k;
                bool wanted = inside && channel < w.channels;
                const float *from = wanted ? image + place + channel * w.height * w.width : x;
                copy_async<4>(patch + channel_place(k) + at, from, wanted);
            }
        }
        commit_copies();
    };

    Tile<WARP_ROWS, WARP_COLUMNS> tile;
    tile.clear();
    int warp_row = warp % WARPS_DOWN * WARP_ROWS;
    int warp_column = WARPS == WARPS_DOWN ? 0 : warp / WARPS_DOWN * WARP_COLUMNS;
    int taps = w.kernel_rows * w.kernel_columns, row_offset[tile.LEFT_ROWS];  // bytes
#pragma unroll
    for (int i = 0; i < tile.LEFT_ROWS; i++) {  // rows are (tap, channel)
        int row = min(warp_row + tile.row(lane, i), taps * CHANNELS - 1), tap = row / CHANNELS;
        int i_offset = tap / w.kernel_columns * w.dilation_height, j_offset = tap % w.kernel_columns * w.dilation_width;
        row_offset[i] = 4 * (channel_place(row % CHANNELS) + i_offset * w.patch_pitch + j_offset);
    }

    if (first < last) load(first);
    for (int piece = first; piece < last; piece++) {
        wait_for_copies<0>();
        show_to_groups();
        __syncthreads();
        if (piece + 1 < last) load(piece + 1);
        int patch = piece % 2 * CHANNELS * w.plane * 4;
        tile.multiply(lane, w.depths, values + piece % 2 * w.depths * PITCH + 4 * warp_column, PITCH,
                      [&](int d) { return patch + pixel_offset[d]; },
                      [&](int i, int at) { return *(const float *)((const char *)patches + (row_offset[i] + at)); });
    }

    out += split * w.filters * w.channels * taps;
#pragma unroll
    for (int i = 0; i < tile.ROWS; i++) {
        int row = warp_row + tile.row(lane, i), channel = first_channel + row % CHANNELS;
        if (row >= taps * CHANNELS || channel >= w.channels) continue;
        float *to = out + channel * taps + row / CHANNELS;
#pragma unroll
        for (int j = 0; j < tile.COLUMNS; j++) {
            int filter = first_filter + warp_column + tile.column(lane, j);
            if (filter < w.filters) to[filter * w.channels * taps] = tile.sum(i, j);
        }
    }
}
