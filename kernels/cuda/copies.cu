// Copies between arrays of any strides, and filling with one value. Nothing is computed, so elements are unsigned
// integers of their size, BYTES, whatever they mean.
#include "strided.cuh"

#if BYTES == 1
typedef unsigned char Element;
#elif BYTES == 2
typedef unsigned short Element;
#elif BYTES == 4
typedef unsigned int Element;
#else
typedef unsigned long long Element;
#endif

extern "C" __global__ void copy_elements(int size, Layout layout, const Element *source, Element *out) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    Places at(layout, i);
    out[at.of[0]] = source[at.of[1]];
}

extern "C" __global__ void fill_elements(int size, Layout layout, Element value, Element *out) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < size) out[Places(layout, i).of[0]] = value;
}
