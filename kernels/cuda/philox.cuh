// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): four random words
// from a counter and a key alone, so that every thread makes its own. Layout of both as in reference.py.
#pragma once

struct Words {
    unsigned words[4];
};

struct Stream {
    unsigned long long seed;
    unsigned purpose;
    unsigned long long draw;
};

// Block number `block` of the stream.
__device__ __forceinline__ Words philox(const Stream &stream, unsigned block) {
    unsigned c0 = block, c1 = unsigned(stream.draw), c2 = unsigned(stream.draw >> 32), c3 = stream.purpose;
    unsigned k0 = unsigned(stream.seed), k1 = unsigned(stream.seed >> 32);
#pragma unroll
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(c0, 0xD2511F53u), low0 = c0 * 0xD2511F53u;
        unsigned high1 = __umulhi(c2, 0xCD9E8D57u), low1 = c2 * 0xCD9E8D57u;
        c0 = high1 ^ c1 ^ k0, c1 = low1;
        c2 = high0 ^ c3 ^ k1, c3 = low0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;  // golden ratio and sqrt(3) - 1
    }
    return {c0, c1, c2, c3};
}

// Four neighbours in memory, moved by one instruction.
template <class T>
struct alignas(4 * sizeof(T)) Four {
    T values[4];
};

template <class T>
__device__ __forceinline__ bool together(const T *array) {
    return reinterpret_cast<size_t>(array) % sizeof(Four<T>) == 0;
}

// Stores those of the values that belong to elements first, first + 1, ... of an array of `size`.
template <class T>
__device__ __forceinline__ void store_four(const Four<T> &values, T *array, unsigned first, int size) {
    if (first + 4 <= size && together(array)) {
        *reinterpret_cast<Four<T> *>(array + first) = values;
        return;
    }
#pragma unroll
    for (int k = 0; k < 4; k++)
        if (first + k < size) array[first + k] = values.values[k];
}

template <class T>
__device__ __forceinline__ Four<T> load_four(const T *array, unsigned first, int size) {
    if (first + 4 <= size && together(array)) return *reinterpret_cast<const Four<T> *>(array + first);
    Four<T> values;
#pragma unroll
    for (int k = 0; k < 4; k++) values.values[k] = first + k < size ? array[first + k] : T(0);
    return values;
}
