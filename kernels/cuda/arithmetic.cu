// NumPy's arithmetic on arrays of any strides: broadcasting is a stride of 0, a transposition a permutation of them.
// Which operation it is, is the same for all threads: choosing costs little beside the memory's time.
#include "strided.cuh"

enum Operation { ADD, SUBTRACT, MULTIPLY, DIVIDE, NEGATIVE, EXP, LOG, SQRT };  // as in arithmetic.py

__device__ __forceinline__ NUMBER computed(int operation, NUMBER a, NUMBER b) {
    switch (operation) {
        case ADD: return a + b;
        case SUBTRACT: return a - b;
        case MULTIPLY: return a * b;
        case DIVIDE: return a / b;
        case NEGATIVE: return -a;
        case EXP: return exp(a);
        case LOG: return log(a);
        default: return sqrt(a);
    }
}

// out = operation(a, b). A null pointer stands for a number, the value beside it.
extern "C" __global__ void arithmetic(int size, Layout layout, int operation, const NUMBER *a, double a_value,
    const NUMBER *b, double b_value, NUMBER *out) {
    const int each = 4;
    NUMBER results[each];
    unsigned first = blockIdx.x * blockDim.x * each + threadIdx.x;
#pragma unroll
    for (int k = 0; k < each; k++) {
        unsigned i = first + k * blockDim.x;
        if (i >= size) break;
        Places at(layout, i);
        NUMBER left = a ? a[at.of[1]] : NUMBER(a_value), right = b ? b[at.of[2]] : NUMBER(b_value);
        results[k] = computed(operation, left, right);
    }
#pragma unroll
    for (int k = 0; k < each; k++) {
        unsigned i = first + k * blockDim.x;
        if (i < size) out[Places(layout, i).of[0]] = results[k];
    }
}
