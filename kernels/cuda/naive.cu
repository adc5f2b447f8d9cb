// The convolution triple as its definition says: one thread for each number of the result, which gathers
// its products one after another. The first rung of the ladder, and what float64 runs on.
#include "device.cuh"

// x (batch, channels, height, width), w (filters, channels, rows, columns),
// y (batch, filters, out_height, out_width).
struct Shapes {
    int batch, channels, height, width, filters, rows, columns, out_height, out_width;
    int stride_height, stride_width, left, top, dilation_height, dilation_width;
};

__device__ __forceinline__ int result_index() { return blockIdx.x * blockDim.x + threadIdx.x; }

// y = C(x, w).
extern "C" __global__ void naive_conv2d(const NUMBER *x, const NUMBER *w, NUMBER *y, Shapes s) {
    int index = result_index();
    if (index >= s.batch * s.filters * s.out_height * s.out_width) return;
    int q = index % s.out_width, p = index / s.out_width % s.out_height;
    int k = index / (s.out_width * s.out_height) % s.filters, n = index / (s.out_width * s.out_height * s.filters);
    NUMBER sum = 0;
    for (int c = 0; c < s.channels; c++)
        for (int i = 0; i < s.rows; i++)
            for (int j = 0; j < s.columns; j++) {
                int h = p * s.stride_height + i * s.dilation_height - s.top;
                int v = q * s.stride_width + j * s.dilation_width - s.left;
                if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
                sum += x[((n * s.channels + c) * s.height + h) * s.width + v] *
                       w[((k * s.channels + c) * s.rows + i) * s.columns + j];
            }
    y[index] = sum;
}

// x = T(y, w): tap (i, j) of y[p][q] falls on the pixel (h, v) if p * stride + i * dilation - top = h, and so on.
extern "C" __global__ void naive_conv_transpose2d(const NUMBER *y, const NUMBER *w, NUMBER *x, Shapes s) {
    int index = result_index();
    if (index >= s.batch * s.channels * s.height * s.width) return;
    int v = index % s.width, h = index / s.width % s.height;
    int c = index / (s.width * s.height) % s.channels, n = index / (s.width * s.height * s.channels);
    NUMBER sum = 0;
    for (int k = 0; k < s.filters; k++)
        for (int i = 0; i < s.rows; i++)
            for (int j = 0; j < s.columns; j++) {
                int p = h + s.top - i * s.dilation_height, q = v + s.left - j * s.dilation_width;
                if (p < 0 || q < 0 || p % s.stride_height || q % s.stride_width) continue;
                p /= s.stride_height, q /= s.stride_width;
                if (p >= s.out_height || q >= s.out_width) continue;
                sum += y[((n * s.filters + k) * s.out_height + p) * s.out_width + q] *
                       w[((k * s.channels + c) * s.rows + i) * s.columns + j];
            }
    x[index] = sum;
}

// w = G(x, y).
extern "C" __global__ void naive_conv2d_weight(const NUMBER *x, const NUMBER *y, NUMBER *w, Shapes s) {
    int index = result_index();
    if (index >= s.filters * s.channels * s.rows * s.columns) return;
    int j = index % s.columns, i = index / s.columns % s.rows;
    int c = index / (s.columns * s.rows) % s.channels, k = index / (s.columns * s.rows * s.channels);
    NUMBER sum = 0;
    for (int n = 0; n < s.batch; n++)
        for (int p = 0; p < s.out_height; p++)
            for (int q = 0; q < s.out_width; q++) {
                int h = p * s.stride_height + i * s.dilation_height - s.top;
                int v = q * s.stride_width + j * s.dilation_width - s.left;
                if (h < 0 || h >= s.height || v < 0 || v >= s.width) continue;
                sum += x[((n * s.channels + c) * s.height + h) * s.width + v] *
                       y[((n * s.filters + k) * s.out_height + p) * s.out_width + q];
            }
    w[index] = sum;
}
