// A warp's part of a matrix product, HEIGHT x WIDTH sums in registers: on the tensor cores (see
// tensor_core.cuh) or, for full float32, each lane an outer product of its own rows and columns.
//
// The left operand is the caller's business: left(i, place(depth)) is its number in the lane's i-th row; what `place`
// returns is worked out once for all rows. The right operand lies in shared memory, four depths side by side:
// (depth / 4, columns, 4), which keeps a warp's reads on different banks.
#pragma once
#include "device.cuh"

#define FLOAT32 0

#if PRECISION == FLOAT32

__device__ __forceinline__ void show_to_groups() {}

template <int HEIGHT, int WIDTH>
struct Tile {
    static const int ROWS = HEIGHT / 8, COLUMNS = WIDTH / 4, LEFT_ROWS = ROWS;
    float sums[ROWS][COLUMNS];

    // The lane's rows and columns of the result: lanes are 8 x 4.
    static __device__ __forceinline__ int row(int lane, int i) { return lane % 8 + 8 * i; }
    static __device__ __forceinline__ int column(int lane, int j) { return lane / 8 + 4 * j; }
    __device__ __forceinline__ float sum(int i, int j) const { return sums[i][j]; }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < ROWS; i++)
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) sums[i][j] = 0.0f;
    }

    // Adds the products of `depths` depths, a multiple of 8.
    template <class Place, class Left>
    __device__ __forceinline__ void multiply(
        int lane, int depths, const float *right, int columns, Place place, Left left) {
        const float4 *quads = (const float4 *)right + lane / 8;
#pragma unroll 2
        for (int depth = 0; depth < depths; depth += 4, quads += columns) {
            float4 b[COLUMNS];
#pragma unroll
            for (int j = 0; j < COLUMNS; j++) b[j] = quads[4 * j];
#pragma unroll
            for (int k = 0; k < 4; k++) {
                auto at = place(depth + k);
#pragma unroll
                for (int i = 0; i < ROWS; i++) {
                    float a = left(i, at);
#pragma unroll
                    for (int j = 0; j < COLUMNS; j++)
                        sums[i][j] += a * (k == 0 ? b[j].x : k == 1 ? b[j].y : k == 2 ? b[j].z : b[j].w);
                }
            }
        }
    }
};

#else
#include "tensor_core.cuh"

template <int HEIGHT, int WIDTH>
struct Tile {
    static const int ROWS = HEIGHT / 8, COLUMNS = WIDTH / 4, LEFT_ROWS = ROWS;
    float sums[HEIGHT / 16][WIDTH / 8][4];

    static __device__ __forceinline__ int row(int lane, int i) { return lane / 4 + 8 * i; }
    static __device__ __forceinline__ int column(int lane, int j) { return j / 2 * 8 + lane % 4 * 2 + j % 2; }
    __device__ __forceinline__ float sum(int i, int j) const { return sums[i / 2][j / 2][i % 2 * 2 + j % 2]; }

    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < HEIGHT / 16; i++)
#pragma unroll
            for (int j = 0; j < WIDTH / 8; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) sums[i][j][e] = 0.0f;
    }

    template <class Place, class Left>
    static __device__ __forceinline__ void load(float (&a)[HEIGHT / 16][4], int depth, Place place, Left left) {
        auto first = place(depth), second = place(depth + 4);
#pragma unroll
        for (int i = 0; i < HEIGHT / 16; i++) {
            a[i][0] = left(2 * i, first), a[i][1] = left(2 * i + 1, first);
            a[i][2] = left(2 * i, second), a[i][3] = left(2 * i + 1, second);
        }
    }

#ifdef GROUPS
    // Multiplies one or two times 8 depths.
    __device__ __forceinline__ void begin(
        const float (&a)[2][HEIGHT / 16][4], int depths, const float *right, int columns) {
        begin_group();
#pragma unroll
        for (int k = 0; k < 2; k++)
            if (8 * k < depths)
#pragma unroll
                for (int i = 0; i < HEIGHT / 16; i++)
#pragma unroll
                    for (int j = 0; j < WIDTH / 64; j++)
                        multiply_group(*(float(*)[8][4]) & sums[i][8 * j], a[k][i],
                                       right + 8 * k * columns + 256 * j, columns);
        end_group();
    }

    template <class Place, class Left>
    static __device__ __forceinline__ void load_two(
        float (&a)[2][HEIGHT / 16][4], int depth, int depths, Place place, Left left) {
#pragma unroll
        for (int k = 0; k < 2; k++)
            if (depth + 8 * k < depths) load(a[k], depth + 8 * k + threadIdx.x % 4, place, left);
    }

    // Adds the products of `depths` depths, a multiple of 8. While the tensor cores work, the next numbers are loaded.
    template <class Place, class Left>
    __device__ __forceinline__ void multiply(
        int lane, int depths, const float *right, int columns, Place place, Left left) {
        float even[2][HEIGHT / 16][4], odd[2][HEIGHT / 16][4];
        load_two(even, 0, depths, place, left);
        for (int depth = 0; depth < depths; depth += 32) {
            begin(even, depths - depth, right + depth * columns, columns);
            load_two(odd, depth + 16, depths, place, left);
            wait_for_group();
            if (depth + 16 >= depths) break;
            begin(odd, depths - depth - 16, right + (depth + 16) * columns, columns);
            load_two(even, depth + 32, depths, place, left);
            wait_for_group();
        }
    }
#else
    // Adds the products of `depths` depths, a multiple of 8.
    template <class Place, class Left>
    __device__ __forceinline__ void multiply(
        int lane, int depths, const float *right, int columns, Place place, Left left) {
        right += lane;  // column lane / 4, depth lane % 4
#pragma unroll 2
        for (int depth = 0; depth < depths; depth += 8, right += 8 * columns) {
            float a[HEIGHT / 16][4], b[WIDTH / 8][2];
            load(a, depth + lane % 4, place, left);
#pragma unroll
            for (int j = 0; j < WIDTH / 8; j++) b[j][0] = right[32 * j], b[j][1] = right[32 * j + 4 * columns];
#pragma unroll
            for (int i = 0; i < HEIGHT / 16; i++)
#pragma unroll
                for (int j = 0; j < WIDTH / 8; j++) ::multiply(sums[i][j], a[i], b[j]);
        }
    }
#endif
};

#endif
