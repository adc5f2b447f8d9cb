// Adam (Kingma and Ba 2015, algorithm 1) for a whole network in one launch, as PyTorch's "foreach" optimizers: a
// table of the parameters is passed by value, and every block finds its chunk of one of them in it. Beside it,
// what training in 16 bits needs (Micikevicius et al., "Mixed Precision Training", 2018).
#include "device.cuh"

const int PARAMETERS = 64, EACH = 4;  // as in adam.py

struct Parameter {
    NUMBER *values;
    const NUMBER *gradient;
    NUMBER *first, *second;
    long long *step;
    long long size, first_block;
};

struct Table {
    Parameter parameters[PARAMETERS];
};

__device__ __forceinline__ int owner_of_block(const Table &table, int count) {
    int position = count - 1;
    while (blockIdx.x < table.parameters[position].first_block) position--;
    return position;
}

__device__ __forceinline__ double power(double base, long long exponent) {
    double result = 1;
    for (; exponent; exponent /= 2, base *= base)
        if (exponent % 2) result *= base;
    return result;
}

extern "C" __global__ void __launch_bounds__(256) adam(Table table, int count, double lr, double beta1, double beta2,
    double eps, int epsilon_hat, const float *scale, const int *overflow) {
    __shared__ NUMBER step_size, inverse_root, small;
    if (overflow && *overflow) return;
    int position = owner_of_block(table, count);
    NUMBER *values = table.parameters[position].values, *first = table.parameters[position].first;
    NUMBER *second = table.parameters[position].second;
    const NUMBER *gradient = table.parameters[position].gradient;
    long long size = table.parameters[position].size;
    if (threadIdx.x == 0) {  // in double, as 1 - beta2^t cancels: by one thread, as doubles are slow on many GPUs
        long long taken = *table.parameters[position].step + 1;
        double root_correction2 = sqrt(1 - power(beta2, taken));
        step_size = lr / (1 - power(beta1, taken));
        inverse_root = 1 / root_correction2;
        small = epsilon_hat ? eps / root_correction2 : eps;
    }
    NUMBER keep1 = beta1, keep2 = beta2, rest1 = 1 - beta1, rest2 = 1 - beta2, unscale = scale ? 1 / *scale : 1;
    long long start = (blockIdx.x - table.parameters[position].first_block) * blockDim.x * EACH + threadIdx.x;
    NUMBER p[EACH], g[EACH], m[EACH], v[EACH];
#pragma unroll
    for (int k = 0; k < EACH; k++) {  // all loads are under way before the first store
        long long i = start + k * blockDim.x;
        if (i < size) p[k] = values[i], g[k] = gradient[i] * unscale, m[k] = first[i], v[k] = second[i];
    }
    __syncthreads();
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        long long i = start + k * blockDim.x;
        if (i >= size) break;
        m[k] = keep1 * m[k] + rest1 * g[k];
        v[k] = keep2 * v[k] + rest2 * g[k] * g[k];
        first[i] = m[k], second[i] = v[k];
        values[i] = p[k] - step_size * m[k] / (sqrt(v[k]) * inverse_root + small);
    }
}

// A launch of its own: every block of `adam` reads the steps.
extern "C" __global__ void advance_steps(Table table, int count, const int *overflow) {
    if (threadIdx.x < count && !(overflow && *overflow)) *table.parameters[threadIdx.x].step += 1;
}

// A moving average of the parameters: `values` holds the averages, `gradient` what they follow.
extern "C" __global__ void __launch_bounds__(256) move_average(Table table, int count, double rest) {
    int position = owner_of_block(table, count);
    NUMBER *averages = table.parameters[position].values;
    const NUMBER *values = table.parameters[position].gradient;
    long long size = table.parameters[position].size;
    long long start = (blockIdx.x - table.parameters[position].first_block) * blockDim.x * EACH + threadIdx.x;
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        long long i = start + k * blockDim.x;
        if (i < size) averages[i] += NUMBER(rest) * (values[i] - averages[i]);
    }
}

extern "C" __global__ void __launch_bounds__(256) check_overflow(Table table, int count, int *overflow) {
    int position = owner_of_block(table, count);
    const NUMBER *gradient = table.parameters[position].gradient;
    long long start = (blockIdx.x - table.parameters[position].first_block) * blockDim.x * EACH + threadIdx.x;
    bool finite = true;
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        long long i = start + k * blockDim.x;
        if (i < table.parameters[position].size) finite &= isfinite(gradient[i]) != 0;
    }
    if (!finite) store_alike(overflow, 1);
}

extern "C" __global__ void update_scale(float *scale, int *overflow, long long *good_steps, int growth_interval) {
    if (*overflow) {
        *scale *= 0.5f, *good_steps = 0;
    } else if (++*good_steps >= growth_interval) {
        *scale *= 2.0f, *good_steps = 0;
    }
    *overflow = 0;
}
