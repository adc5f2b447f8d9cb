// Arrays of up to six dimensions, whose elements may lie any distance apart in memory, and scalars repeated.
#pragma once

const int DIMENSIONS = 6, OPERANDS = 3;

// Passed to a kernel by value; strides count elements, 0 repeats one. As in arithmetic.py.
struct Layout {
    int dimensions, shape[DIMENSIONS], strides[OPERANDS][DIMENSIONS];
};

// Where element i, counted in C order, lies in each of the operands.
struct Places {
    long long of[OPERANDS];

    __device__ __forceinline__ Places(const Layout &layout, unsigned i) : of{0, 0, 0} {
#pragma unroll  // indices known to the compiler keep the layout out of the threads' own memory
        for (int d = DIMENSIONS - 1; d > 0; d--) {
            if (d >= layout.dimensions) continue;
            unsigned rest = i / layout.shape[d];
            add(layout, d, i - rest * layout.shape[d]);
            i = rest;
        }
        add(layout, 0, i);
    }

    __device__ __forceinline__ void add(const Layout &layout, int d, unsigned index) {
#pragma unroll
        for (int operand = 0; operand < OPERANDS; operand++)
            of[operand] += static_cast<long long>(index) * layout.strides[operand][d];
    }
};
