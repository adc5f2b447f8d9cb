// The leaky ReLU (Maas et al. 2013) of a number and its derivative, which several kernels end with.
// With slope 0 it is ReLU: 0 even at -inf, where 0 * -inf would be NaN; a NaN stays one.
#pragma once

__device__ __forceinline__ NUMBER leaky(NUMBER x, NUMBER slope) {
    NUMBER below = slope != 0 ? x * slope : x != x ? x : NUMBER(0);
    return x > 0 ? x : below;
}

// The gradient of x from g, that of leaky(x); x itself or leaky(x), which has the same sign.
__device__ __forceinline__ NUMBER leaky_backward(NUMBER g, NUMBER x, NUMBER slope) {
    return x > 0 ? g : slope != 0 ? g * slope : NUMBER(0);
}
