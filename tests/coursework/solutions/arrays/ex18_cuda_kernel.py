import numpy as np


def block_count(size, threads):
    return -(-size // threads)


def sectors(elements, element_bytes=4):
    return np.unique(elements * element_bytes // 32).size


def leaky_relu_backward():
    return """
extern "C" __global__ void leaky_relu_backward(int size, const float *g, const float *x, float slope, float *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) out[i] = x[i] > 0 ? g[i] : slope * g[i];
}
"""


def row_sums():
    return """
extern "C" __global__ void row_sums(int columns, const float *x, float *sums) {
    __shared__ float part[256];
    int t = threadIdx.x;
    part[t] = 0;
    for (int i = t; i < columns; i += blockDim.x) part[t] += x[blockIdx.x * columns + i];
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) sums[blockIdx.x] = part[0];
}
"""
