// Sums over the threads of a block, always added in the same order: the lanes of each warp by exchange, then
// the warps' sums (Harris, "Optimizing parallel reduction in CUDA", 2007, with warp shuffles).
#pragma once
#include "device.cuh"

// The sum over a block's threads, in every thread; all of them must call it. slots: shared, one for each warp.
template <class T>
__device__ __forceinline__ T block_sum(T value, T *slots) {
    int thread = threadIdx.y * blockDim.x + threadIdx.x, warps = blockDim.x * blockDim.y / WARP;
    value = warp_sum(value);
    __syncthreads();  // an earlier sum may still be read from the slots
    if (thread % WARP == 0) slots[thread / WARP] = value;
    __syncthreads();
    return warp_sum(thread % WARP < warps ? slots[thread % WARP] : T(0));
}
