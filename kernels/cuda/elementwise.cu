// Activations and dropout, one pass over memory each; formulas and treatment of NaN as in reference.py.
// What limits them is memory, not arithmetic.
#include "map.cuh"
#include "leaky_relu.cuh"
#include "philox.cuh"

extern "C" __global__ void leaky_relu(int size, const NUMBER *x, double slope, NUMBER *out) {
    map(size, out, [=](unsigned i) { return leaky(x[i], NUMBER(slope)); });
}

extern "C" __global__ void leaky_relu_backward(int size, const NUMBER *g, const NUMBER *x, double slope, NUMBER *out) {
    map(size, out, [=](unsigned i) { return leaky_backward(g[i], x[i], NUMBER(slope)); });
}

extern "C" __global__ void sigmoid(int size, const NUMBER *x, NUMBER *out) {
    map(size, out, [=](unsigned i) {
        NUMBER small = exp(-fabs(x[i]));  // never overflows
        return (x[i] >= 0 ? NUMBER(1) : small) / (1 + small);
    });
}

extern "C" __global__ void sigmoid_backward(int size, const NUMBER *g, const NUMBER *y, NUMBER *out) {
    map(size, out, [=](unsigned i) { return g[i] * (y[i] * (1 - y[i])); });
}

extern "C" __global__ void hyperbolic_tangent(int size, const NUMBER *x, NUMBER *out) {
    map(size, out, [=](unsigned i) { return tanh(x[i]); });
}

extern "C" __global__ void hyperbolic_tangent_backward(int size, const NUMBER *g, const NUMBER *y, NUMBER *out) {
    map(size, out, [=](unsigned i) { return g[i] * (1 - y[i] * y[i]); });
}

// A thread makes one block of four words. limit: word >> 8, the uniform number times 2^24, is less than it with
// the probability of being dropped; those kept are multiplied by `scale`.
extern "C" __global__ void dropout(int size, const NUMBER *x, unsigned limit, double scale, unsigned long long seed,
    unsigned purpose, const unsigned long long *draw, NUMBER *mask, NUMBER *out) {
    unsigned block = blockIdx.x * blockDim.x + threadIdx.x, first = 4 * block;
    if (first >= size) return;
    Words random = philox({seed, purpose, *draw}, block);
    Four<NUMBER> values = load_four(x, first, size), kept;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        kept.values[k] = random.words[k] >> 8 >= limit ? NUMBER(scale) : NUMBER(0);
        values.values[k] *= kept.values[k];
    }
    store_four(kept, mask, first, size);
    store_four(values, out, first, size);
}

extern "C" __global__ void dropout_backward(int size, const NUMBER *g, const NUMBER *mask, NUMBER *out) {
    map(size, out, [=](unsigned i) { return g[i] * mask[i]; });
}
