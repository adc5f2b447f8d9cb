// Binary cross-entropy of probabilities and of logits, element by element, and the mean of a loss; formulas as in
// reference.py. The mean is one block's work: a loss has one number for each image.
#include "map.cuh"
#include "sums.cuh"

// As max, but of two floats or two doubles, and NaN where x is.
__device__ __forceinline__ NUMBER at_least(NUMBER x, NUMBER least) { return x < least ? least : x; }

__device__ __forceinline__ NUMBER logistic(NUMBER z) {
    NUMBER small = exp(-fabs(z));
    return (z >= 0 ? NUMBER(1) : small) / (1 + small);
}

extern "C" __global__ void bce(int size, const NUMBER *p, const NUMBER *target, NUMBER *out) {
    map(size, out, [=](unsigned i) {
        NUMBER log_p = at_least(log(p[i]), -100), log_rest = at_least(log1p(-p[i]), -100);
        return -(target[i] * log_p + (1 - target[i]) * log_rest);
    });
}

extern "C" __global__ void bce_backward(int size, const NUMBER *g, const NUMBER *p, const NUMBER *target, NUMBER *out) {
    map(size, out, [=](unsigned i) {
        return g[i] * (p[i] - target[i]) / at_least(p[i] * (1 - p[i]), NUMBER(1e-12));
    });
}

extern "C" __global__ void bce_with_logits(int size, const NUMBER *z, const NUMBER *target, NUMBER *out) {
    map(size, out, [=](unsigned i) { return at_least(z[i], 0) - target[i] * z[i] + log1p(exp(-fabs(z[i]))); });
}

extern "C" __global__ void bce_with_logits_backward(int size, const NUMBER *g, const NUMBER *z, const NUMBER *target,
    NUMBER *out) {
    map(size, out, [=](unsigned i) { return g[i] * (logistic(z[i]) - target[i]); });
}

extern "C" __global__ void mean(int size, const NUMBER *x, NUMBER *out) {
    __shared__ double slots[WARP];
    double total = 0;
#pragma unroll 4
    for (int i = threadIdx.x; i < size; i += blockDim.x) total += x[i];
    total = block_sum(total, slots);
    if (threadIdx.x == 0) *out = total / size;
}
