// out[i] = f(i) for every element of an array: the shape of every kernel that works element by element.
// A thread takes EACH elements that lie a block's width apart: neighbouring threads read neighbouring memory,
// and all loads of a thread are under way before the first of its stores (which may be to the same memory).
#pragma once

const int EACH = 4;  // as in grid.py

template <class T, class F>
__device__ __forceinline__ void map(int size, T *out, F f) {
    unsigned first = blockIdx.x * blockDim.x * EACH + threadIdx.x;
    T values[EACH];
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        unsigned i = first + k * blockDim.x;
        if (i < size) values[k] = f(i);
    }
#pragma unroll
    for (int k = 0; k < EACH; k++) {
        unsigned i = first + k * blockDim.x;
        if (i < size) out[i] = values[k];
    }
}
