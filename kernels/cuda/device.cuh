// What the kernels of this folder share: shared memory, copies that overlap with arithmetic, and the tensor
// cores' product, each in a few lines of PTX ("PTX ISA", sections on cp.async and mma) or, compiled for a
// CPU, in plain C++ that follows the same layout.
#pragma once

#ifdef ON_CPU
#define SHARED_MEMORY(name) float *const name = reinterpret_cast<float *>(on_cpu::shared_memory)
#else
#define SHARED_MEMORY(name) extern __shared__ __align__(128) float name[]
#endif

const int WARP = 32;
const unsigned ALL_LANES = 0xffffffffu;

// Division by a number that is known before the launch: `inverse` is 2^32 / divisor, rounded up. Exact as long as
// n * divisor < 2^32; a processor without a divider takes some forty instructions for n / divisor.
struct Divisor {
    int divisor;
    unsigned inverse;
    __device__ __forceinline__ int quotient(int n) const { return divisor == 1 ? n : (int)__umulhi(n, inverse); }
    __device__ __forceinline__ int rest(int n) const { return n - quotient(n) * divisor; }
};

// *to = value, which several threads may do at once if it is the same value; volatile, so that this is defined
// ("PTX ISA", memory consistency model).
#ifdef ON_CPU
using on_cpu::store_alike;
#else
__device__ __forceinline__ void store_alike(int *to, int value) { *(volatile int *)to = value; }
#endif

// The sum over a warp's lanes, in every lane.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
    for (int mask = WARP / 2; mask; mask /= 2) value += __shfl_xor_sync(ALL_LANES, value, mask);
    return value;
}

// Copies BYTES (4 or 16) to shared memory while the thread goes on; where `wanted` is false, zeros.
// commit_copies closes a group of copies; wait_for_copies waits until at most LATER groups are on their way.
// (GPUs before compute capability 8.0 copy at once.)

#ifdef ON_CPU

template <int BYTES>
__device__ __forceinline__ void copy_async(float *to, const float *from, bool wanted = true) {
    on_cpu::copy_later(to, wanted ? from : nullptr, BYTES);
}

__device__ __forceinline__ void commit_copies() { on_cpu::commit_copies(); }

template <int LATER>
__device__ __forceinline__ void wait_for_copies() {
    on_cpu::wait_for_copies(LATER);
}

#elif __CUDA_ARCH__ >= 800

template <int BYTES>
__device__ __forceinline__ void copy_async(float *to, const float *from, bool wanted = true) {
    unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(to));
    int bytes = wanted ? BYTES : 0;  // the rest is filled with zeros
    if (BYTES == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(address), "l"(from), "r"(bytes) : "memory");
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

template <int LATER>
__device__ __forceinline__ void wait_for_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(LATER) : "memory");
}

#else

template <int BYTES>
__device__ __forceinline__ void copy_async(float *to, const float *from, bool wanted = true) {
    for (int i = 0; i < BYTES / 4; i++) to[i] = wanted ? from[i] : 0.0f;
}

__device__ __forceinline__ void commit_copies() {}

template <int LATER>
__device__ __forceinline__ void wait_for_copies() {}

#endif
