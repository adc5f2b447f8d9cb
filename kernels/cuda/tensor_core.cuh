// The tensor cores' product of a warp: sum (16 x 8) += a (16 x 8) b (8 x 8), operands brought to PRECISION
// (TF32 cuts off the last 13 bits, the others round), products summed in float32. With g = lane / 4 and
// t = lane % 4 ("PTX ISA", fragments of mma.m16n8k8) a lane holds
//     a[0] = A[g][t], a[1] = A[g+8][t], a[2] = A[g][t+4], a[3] = A[g+8][t+4],   b[0] = B[t][g], b[1] = B[t+4][g],
//     sum[0], sum[1] = S[g][2t], S[g][2t+1],   sum[2], sum[3] = S[g+8][2t], S[g+8][2t+1].
// The 16-bit products number the depth otherwise (2t, 2t+1 in one register); a and b alike, so nothing changes.
#pragma once

#define TF32 1
#define BF16 2
#define FP16 3

#ifdef ON_CPU

inline float rounded_to_half(float value) {
    _Float16 half = static_cast<_Float16>(value);
    return static_cast<float>(half);
}

inline float rounded_to_bfloat(float value) {
    unsigned u = __float_as_uint(value);
    if ((u & 0x7f800000u) == 0x7f800000u) return value;  // infinite, or no number
    return __uint_as_float((u + 0x7fff + (u >> 16 & 1)) & 0xffff0000u);  // to the nearest, ties to even
}

inline float rounded_to_precision(float value) {
    if (PRECISION == TF32) return __uint_as_float(__float_as_uint(value) & 0xffffe000u);  // the hardware cuts off
    return PRECISION == BF16 ? rounded_to_bfloat(value) : rounded_to_half(value);
}

inline void multiply(float (&sum)[4], const float (&a)[4], const float (&b)[2]) {
    float shown[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    for (float &value : shown) value = rounded_to_precision(value);
    using Shown = const float[on_cpu::VALUES];
    const Shown *lanes = reinterpret_cast<const Shown *>(on_cpu::exchange(shown, 6));
    int lane = on_cpu::thread_index() % WARP, g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++) {
        int row = i / 2, column = 2 * t + i % 2;
        for (int k = 0; k < 8; k++)
            sum[i] += lanes[4 * g + k % 4][row + k / 4 * 2] * lanes[4 * column + k % 4][4 + k / 4];
    }
}

#else

// Two numbers in one register, rounded to 16 bits each.
__device__ __forceinline__ unsigned pair(float low, float high) {
    unsigned bits;
#if PRECISION == BF16
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
#else
    asm("{ .reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h}; }"
        : "=r"(bits) : "f"(low), "f"(high));
#endif
    return bits;
}

__device__ __forceinline__ void multiply(float (&sum)[4], const float (&a)[4], const float (&b)[2]) {
#if PRECISION == TF32
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "r"(__float_as_uint(b[0])),
          "r"(__float_as_uint(b[1])));
#elif PRECISION == BF16
    asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(pair(a[0], a[2])), "r"(pair(a[1], a[3])), "r"(pair(b[0], b[1])));
#else
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(pair(a[0], a[2])), "r"(pair(a[1], a[3])), "r"(pair(b[0], b[1])));
#endif
}

#endif

// Four warps multiply together on a GPU of compute capability 9.0 ("PTX ISA", wgmma): each its own 16 rows, whose
// fragments are as above, by the same 64 columns, which the tensor cores read from shared memory themselves:
// right (2 quads of depths, `columns`, 4), of which 64 columns are taken. Asynchronous: between begin_group and
// wait_for_group neither sum nor a may be touched.
#ifdef GROUPS

#ifdef ON_CPU

inline void begin_group() {}
inline void end_group() {}
inline void wait_for_group() { on_cpu::pause(on_cpu::AT_EXCHANGE); }
inline void show_to_groups() {}

inline void multiply_group(float (&sum)[8][4], const float (&a)[4], const float *right, int columns) {
    int lane = on_cpu::thread_index() % WARP, g = lane / 4, t = lane % 4;
    for (int j = 0; j < 8; j++) {
        float b[2] = {right[(8 * j + g) * 4 + t], right[(columns + 8 * j + g) * 4 + t]};
        multiply(sum[j], a, b);
    }
}

#else

__device__ __forceinline__ void begin_group() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void end_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wait_for_group() { asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory"); }

// Makes what this thread has copied to shared memory visible to the tensor cores.
__device__ __forceinline__ void show_to_groups() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

__device__ __forceinline__ void multiply_group(float (&s)[8][4], const float (&a)[4], const float *right, int columns) {
    // Where the matrix begins, how far its second quad of depths is, and the next 8 columns: in units of 16 bytes.
    unsigned long long begin = __cvta_generic_to_shared(right) >> 4;
    unsigned long long matrix = begin | (unsigned long long)columns << 16 | 8ull << 32;
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k8.f32.tf32.tf32 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,"
        "%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, {%32,%33,%34,%35}, %36, 1, 1, 1;"
        : "+f"(s[0][0]), "+f"(s[0][1]), "+f"(s[0][2]), "+f"(s[0][3]), "+f"(s[1][0]), "+f"(s[1][1]), "+f"(s[1][2]),
          "+f"(s[1][3]), "+f"(s[2][0]), "+f"(s[2][1]), "+f"(s[2][2]), "+f"(s[2][3]), "+f"(s[3][0]), "+f"(s[3][1]),
          "+f"(s[3][2]), "+f"(s[3][3]), "+f"(s[4][0]), "+f"(s[4][1]), "+f"(s[4][2]), "+f"(s[4][3]), "+f"(s[5][0]),
          "+f"(s[5][1]), "+f"(s[5][2]), "+f"(s[5][3]), "+f"(s[6][0]), "+f"(s[6][1]), "+f"(s[6][2]), "+f"(s[6][3]),
          "+f"(s[7][0]), "+f"(s[7][1]), "+f"(s[7][2]), "+f"(s[7][3])
        : "r"(__float_as_uint(a[0])), "r"(__float_as_uint(a[1])), "r"(__float_as_uint(a[2])),
          "r"(__float_as_uint(a[3])), "l"(matrix));
}

#endif

#else

__device__ __forceinline__ void show_to_groups() {}

#endif
