"""Exercise 18 by minigan."""

from minigan.kernels.cuda import grid, loader


def block_count(size, threads):
    """As for kernels of one element a thread."""
    return grid.blocks(size, threads)


def sectors(elements, element_bytes=4):
    """minigan has no such function: this one is short."""
    return len({int(element) * element_bytes // 32 for element in elements})


def leaky_relu_backward():
    """With the derivative that minigan's kernels end with; minigan's own has four elements for each thread."""
    return f"""
#define NUMBER float
{loader.source("leaky_relu.cuh")}
extern "C" __global__ void leaky_relu_backward(int size, const float *g, const float *x, float slope, float *out) {{
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) out[i] = leaky_backward(g[i], x[i], slope);
}}
"""


def row_sums():
    """With the sum over a block that batch normalisation uses."""
    return f"""
{loader.source("sums.cuh")}
extern "C" __global__ void row_sums(int columns, const float *x, float *sums) {{
    __shared__ float slots[WARP];
    float sum = 0;
    for (int i = threadIdx.x; i < columns; i += blockDim.x) sum += x[blockIdx.x * columns + i];
    sum = block_sum(sum, slots);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}}
"""
