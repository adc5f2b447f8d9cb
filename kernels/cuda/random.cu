// Random words, uniform and normal numbers: a thread makes one block of Philox's four words and what follows from
// them. Definitions as in reference.py; which draw it is may lie in memory, so that a replayed launch draws anew.
#include "philox.cuh"

#ifdef ON_CPU  // which lacks CUDA's sine and cosine of pi x
template <class T>
void sincospi(T x, T *sine, T *cosine) {
    *sine = sin(M_PI * x), *cosine = cos(M_PI * x);  // in double: CUDA's do not round pi x either
}
#endif

// f(words) for this thread's four elements of out; `at` holds the draw, or is null and it is `draw`.
template <class T, class F>
__device__ __forceinline__ void draw_four(int size, Stream stream, const unsigned long long *at, T *out, F f) {
    unsigned block = blockIdx.x * blockDim.x + threadIdx.x;
    if (4 * block >= size) return;
    if (at) stream.draw = *at;
    store_four(f(philox(stream, block)), out, 4 * block, size);
}

extern "C" __global__ void random_bits(int size, unsigned long long seed, unsigned purpose, unsigned long long draw,
    const unsigned long long *at, unsigned *out) {
    draw_four(size, {seed, purpose, draw}, at, out, [](const Words &random) {
        return Four<unsigned>{random.words[0], random.words[1], random.words[2], random.words[3]};
    });
}

extern "C" __global__ void uniform(int size, unsigned long long seed, unsigned purpose, unsigned long long draw,
    const unsigned long long *at, NUMBER *out) {
    draw_four(size, {seed, purpose, draw}, at, out, [](const Words &random) {
        Four<NUMBER> values;
        for (int k = 0; k < 4; k++) values.values[k] = NUMBER(random.words[k] >> 8) * NUMBER(1.0 / (1 << 24));
        return values;
    });
}

// sqrt(-2 ln((u + 1) / 2^32)) without cancellation: near 1 the logarithm is taken of the distance to 1, which
// ~u / 2^32 is exactly.
__device__ __forceinline__ NUMBER radius(unsigned u) {
    const NUMBER unit = NUMBER(1) / 4294967296u;
    NUMBER logarithm = u >> 31 ? log1p(NUMBER(~u) * -unit) : log(NUMBER(u + 1) * unit);
    return sqrt(-2 * logarithm);
}

// Box and Muller (1958): the pair radius(u) times (cos, sin) of 2 pi v / 2^32. The angle is split in integers, so
// exactly, into quarter turns and a rest between -1/8 and 1/8 turn, where sine and cosine are precise.
__device__ __forceinline__ void normal_pair(unsigned u, unsigned v, NUMBER *pair) {
    unsigned quarters = (v + (1u << 29)) >> 30;
    NUMBER rest = static_cast<int>(v - (quarters << 30)), sine, cosine;
    sincospi(rest * (NUMBER(1) / 2147483648u), &sine, &cosine);
    NUMBER r = radius(u), first = quarters & 1 ? -sine : cosine, second = quarters & 1 ? cosine : sine;
    pair[0] = quarters & 2 ? -r * first : r * first;
    pair[1] = quarters & 2 ? -r * second : r * second;
}

extern "C" __global__ void normal(int size, unsigned long long seed, unsigned purpose, unsigned long long draw,
    const unsigned long long *at, NUMBER *out) {
    draw_four(size, {seed, purpose, draw}, at, out, [](const Words &random) {
        Four<NUMBER> values;
        normal_pair(random.words[0], random.words[1], values.values);
        normal_pair(random.words[2], random.words[3], values.values + 2);
        return values;
    });
}

extern "C" __global__ void next_draw(unsigned long long *draw) { *draw += 1; }
