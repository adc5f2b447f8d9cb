// A training step's input and output without the host: a batch of images by an order that lies on the device, and
// a row of the log. Both count on by themselves, so that a replayed launch takes the next.
#include "map.cuh"

// out[n] = images[order[position + n]], pixels 0 .. 255 to -1 .. 1.
extern "C" __global__ void gather_images(int size, int pixels, const unsigned char *images, const long long *order,
    const long long *position, float *out) {
    long long begin = *position;
    map(size, out, [=](unsigned i) {
        unsigned n = i / pixels;
        return (images[order[begin + n] * pixels + (i - n * pixels)] - 127.5f) / 127.5f;
    });
}

extern "C" __global__ void next_position(long long *position, int count) { *position += count; }

// log[row % rows] = the first `columns` of the values; row += 1.
extern "C" __global__ void write_row(int rows, int columns, const float *v0, const float *v1, const float *v2,
    const float *v3, const float *v4, const float *v5, const float *v6, const float *v7, float *log, long long *row) {
    const float *values[] = {v0, v1, v2, v3, v4, v5, v6, v7};
    float *at = log + *row % rows * columns;
#pragma unroll
    for (int column = 0; column < 8; column++)
        if (column < columns) at[column] = *values[column];
    *row += 1;
}
