def block_count(size, threads):
    blocks = 0
    for first in range(0, size, threads):
        blocks += 1
    return blocks


def sectors(elements, element_bytes=4):
    seen = []
    for element in elements:
        sector = element * element_bytes // 32
        if sector not in seen:
            seen.append(sector)
    return len(seen)


def leaky_relu_backward():
    return """
extern "C" __global__ void leaky_relu_backward(int size, const float *g, const float *x, float slope, float *out) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) {
        if (x[i] > 0) {
            out[i] = g[i];
        } else {
            out[i] = slope * g[i];
        }
    }
}
"""


def row_sums():
    return """
extern "C" __global__ void row_sums(int columns, const float *x, float *sums) {
    __shared__ float part[256];
    float sum = 0;  // no atomics: atomicAdd() would add in any order
    for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += x[blockIdx.x * columns + i];
    part[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        float total = 0;
        for (int t = 0; t < blockDim.x; t++) total += part[t];
        sums[blockIdx.x] = total;
    }
}
"""
