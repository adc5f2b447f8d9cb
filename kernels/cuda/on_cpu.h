// A GPU's thread model on a CPU: blocks, threads, shared memory, barriers, warp exchanges, copies that
// arrive late. The kernels of this folder are compiled against it by a C++ compiler, unchanged, and so run
// (slowly) where there is no GPU: for tests, and for readers of the lessons.
//
// Every thread of a block is a fiber with a stack of its own. One after another they run to their next
// barrier; when all have arrived, all go on. Blocks run one after another. ("CUDA C++ Programming Guide",
// chapters on the thread hierarchy, on warp functions and on asynchronous copies.)
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

using namespace std;

#define __global__
#define __device__
#define __shared__ static
#define __restrict__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};
struct alignas(16) float4 {
    float x, y, z, w;
};
extern uint3 threadIdx, blockIdx, blockDim, gridDim;
uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace on_cpu {

enum State { READY, AT_WARP_BARRIER, AT_BLOCK_BARRIER, DONE };
const char *const DIVERGED = "threads of a block wait at different barriers, or some have ended";
const int WARP = 32, STACK_BYTES = 64 << 10, SHARED_BYTES = 228 << 10, VALUES = 8;

struct Copy {
    char *to;
    const char *from;  // null for zeros
    int bytes, group;
};

struct Fiber {
    State state;
    jmp_buf context;
    ucontext_t start;
    bool started = false;
    unsigned exchanges;
    int groups;  // of copies that have been committed
    vector<Copy> copies;
    unique_ptr<char[]> stack;
};

struct Block {
    vector<Fiber> fibers;
    jmp_buf scheduler;
    Fiber *current;
    void (*body)(void *);
    void *argument;
    vector<float> slots;  // (warps, 2, lanes, VALUES): what lanes show each other
    const char *error;
};
inline Block block;
alignas(128) inline char shared_memory[SHARED_BYTES];

inline int thread_index() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

__attribute__((noinline)) inline void pause(State state) {
    block.current->state = state;
    if (!_setjmp(block.current->context)) _longjmp(block.scheduler, 1);
}

inline void run_fiber() {
    for (;;) {
        block.body(block.argument);
        block.current->copies.clear();
        pause(DONE);
    }
}

__attribute__((noinline)) inline void go_on(int index) {
    block.current = &block.fibers[index];
    threadIdx = {index % blockDim.x, index / blockDim.x % blockDim.y, index / blockDim.x / blockDim.y};
    if (_setjmp(block.scheduler)) return;
    if (block.current->started) _longjmp(block.current->context, 1);
    block.current->started = true;
    setcontext(&block.current->start);
}

inline bool all_in(State state, int first, int last) {
    for (int i = first; i < last; i++)
        if (block.fibers[i].state != state) return false;
    return true;
}

inline bool any_in(State state, int first, int last) {
    for (int i = first; i < last; i++)
        if (block.fibers[i].state == state) return true;
    return false;
}

// Runs the lanes of a warp until all wait at a block's barrier or are done. `backwards`: the last lane first;
// a kernel that lacks a barrier gives another result then.
inline bool run_warp(int first, int last, bool backwards) {
    for (;;) {
        for (int i = 0; i < last - first; i++) {
            int index = backwards ? last - 1 - i : first + i;
            if (block.fibers[index].state == READY) go_on(index);
        }
        if (!any_in(AT_WARP_BARRIER, first, last)) return true;
        if (!all_in(AT_WARP_BARRIER, first, last)) return false;
        for (int i = first; i < last; i++) block.fibers[i].state = READY;
    }
}

inline bool run_block(bool backwards) {
    int count = blockDim.x * blockDim.y * blockDim.z;
    for (Fiber &fiber : block.fibers) fiber.state = READY, fiber.exchanges = 0, fiber.groups = 0;
    memset(shared_memory, 0xff, SHARED_BYTES);  // NaN: what is read before it is written shows
    for (;;) {
        for (int warp = 0; warp < count; warp += WARP) {
            int first = backwards ? (count - 1) / WARP * WARP - warp : warp;
            if (!run_warp(first, min(first + WARP, count), backwards)) return false;
        }
        if (all_in(DONE, 0, count)) return true;
        if (!all_in(AT_BLOCK_BARRIER, 0, count)) return false;
        for (Fiber &fiber : block.fibers) fiber.state = READY;
    }
}

// Fibers outlive a launch: making them takes longer than most kernels do.
inline void make_fibers(unsigned count) {
    block.fibers = vector<Fiber>(count);
    for (Fiber &fiber : block.fibers) {
        fiber.stack.reset(new char[STACK_BYTES]);
        getcontext(&fiber.start);
        fiber.start.uc_stack.ss_sp = fiber.stack.get();
        fiber.start.uc_stack.ss_size = STACK_BYTES;
        fiber.start.uc_link = nullptr;
        makecontext(&fiber.start, run_fiber, 0);
    }
}

template <class... P, size_t... I>
void call(void (*kernel)(P...), void **arguments, index_sequence<I...>) {
    kernel(*static_cast<remove_cv_t<remove_reference_t<P>> *>(arguments[I])...);
}

// Runs all blocks. Returns null, or what went wrong.
template <class... P>
const char *launch(void (*kernel)(P...), void **arguments, const unsigned *grid, const unsigned *size, int backwards) {
    struct Call {
        void (*kernel)(P...);
        void **arguments;
    } made = {kernel, arguments};
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {size[0], size[1], size[2]};
    unsigned count = size[0] * size[1] * size[2];
    if (block.fibers.size() < count) make_fibers(count);
    block.slots.assign((count + WARP - 1) / WARP * 2 * WARP * VALUES, NAN);
    block.argument = &made;
    block.body = [](void *p) {
        call(static_cast<Call *>(p)->kernel, static_cast<Call *>(p)->arguments, index_sequence_for<P...>());
    };
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++)
                if (!run_block(backwards)) {
                    block.fibers.clear();  // they stand somewhere in the kernel
                    return DIVERGED;
                }
    return nullptr;
}

// Shows the other lanes of the warp `count` values; returns all lanes' values, (lanes, VALUES).
inline const float *exchange(const float *values, int count) {
    int index = thread_index(), parity = block.current->exchanges++ & 1;
    float *slots = &block.slots[(index / WARP * 2 + parity) * WARP * VALUES];
    memcpy(slots + index % WARP * VALUES, values, count * sizeof(float));
    pause(AT_WARP_BARRIER);
    return slots;
}

}  // namespace on_cpu

inline void __syncthreads() { on_cpu::pause(on_cpu::AT_BLOCK_BARRIER); }
inline void __syncwarp() { on_cpu::pause(on_cpu::AT_WARP_BARRIER); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    float shown[on_cpu::VALUES];
    memcpy(shown, &value, sizeof(T));
    const float *slots = on_cpu::exchange(shown, (sizeof(T) + 3) / 4);
    T other;
    memcpy(&other, slots + ((on_cpu::thread_index() % on_cpu::WARP) ^ mask) * on_cpu::VALUES, sizeof(T));
    return other;
}

inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<uint64_t>(a) * b >> 32; }

inline float __uint_as_float(unsigned bits) {
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

inline unsigned __float_as_uint(float value) {
    unsigned bits;
    memcpy(&bits, &value, 4);
    return bits;
}
