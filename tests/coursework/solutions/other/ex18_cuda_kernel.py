def block_count(size, threads):
    return (size + threads - 1) // threads


def sectors(elements, element_bytes=4):
    each = 32 // element_bytes
    return len({element // each for element in elements})


def leaky_relu_backward():
    return """
extern "C" __global__ void leaky_relu_backward(int size, const float *g, const float *x, float slope, float *out) {
    int i = threadIdx.x + blockDim.x * blockIdx.x;
    if (i >= size) return;
    float derivative = x[i] > 0 ? 1.0f : slope;
    out[i] = derivative * g[i];
}
"""


def row_sums():
    return """
__device__ float warp_sum(float value) {
    for (int mask = 16; mask > 0; mask /= 2) value += __shfl_xor_sync(0xffffffff, value, mask);
    return value;
}

extern "C" __global__ void row_sums(int columns, const float *x, float *sums) {
    __shared__ float part[8];
    const float *row = x + blockIdx.x * columns;
    float sum = 0;
    for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += row[i];
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = warp_sum(threadIdx.x < blockDim.x / 32 ? part[threadIdx.x] : 0);
        if (threadIdx.x == 0) sums[blockIdx.x] = sum;
    }
}
"""
