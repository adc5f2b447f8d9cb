// A GPU's thread model on a CPU: blocks, threads, shared memory, barriers, warp exchanges, copies that
// arrive late. The kernels of this folder are compiled against it by a C++ compiler, unchanged, and so run
// (slowly) where there is no GPU: for tests, and for readers of the lessons.
//
// Every thread of a block is a fiber with a stack of its own. One after another they run to their next
// barrier; when all have arrived, all go on. Blocks run one after another. ("CUDA C++ Programming Guide",
// chapters on the thread hierarchy, on warp functions and on asynchronous copies.) Where WATCHED is defined, every
// access to memory is looked at (watch.h).
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
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
#ifdef WATCHED
#define __shared__ static __attribute__((section("shared")))
#else
#define __shared__ static
#endif
#define __restrict__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)

struct uint3 {
    unsigned x, y, z;
};
struct alignas(16) float4 {
    float x, y, z, w;
};

static uint3 threadIdx, blockIdx, blockDim, gridDim;

namespace on_cpu {
const int WARP = 32, STACK_BYTES = 64 << 10, SHARED_BYTES = 228 << 10, VALUES = 8, MOST_THREADS = 1024;
alignas(128) static char shared_memory[SHARED_BYTES];
static float slots[MOST_THREADS * 2 * VALUES];  // (warps, 2, lanes, VALUES): what lanes show each other
[[noreturn]] void leave();                      // the launch, from within a thread
}  // namespace on_cpu

namespace watch {
struct Span {  // of memory that a launch may touch
    uint64_t begin, end, writable;
};
}  // namespace watch

#ifdef WATCHED
#include "watch.h"
#else
#define UNSEEN
namespace watch {
inline void begin_launch(const Span *, int, int) {}
inline const char *found() { return nullptr; }
inline void begin_block() {}
inline void barrier() {}
inline void warp_barrier(int) {}
inline void go_on(int, const char *, int) {}
inline void pause() {}
struct Unwatched {};
inline void copied(const void *, const void *, int, bool, void *) {}
inline void stored_alike(const int *, int, void *) {}
}  // namespace watch
#endif

namespace on_cpu {

// At an exchange lanes of a warp wait for each other, but it orders no accesses to memory.
enum State { READY, AT_EXCHANGE, AT_WARP_BARRIER, AT_BLOCK_BARRIER, DONE };
const char *const DIVERGED = "threads of a block wait at different barriers, or some have ended";

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
};
static Block block;

inline int thread_index() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

__attribute__((noinline)) UNSEEN inline void pause(State state) {
    watch::pause();
    block.current->state = state;
    if (!_setjmp(block.current->context)) _longjmp(block.scheduler, 1);
    watch::go_on(thread_index(), block.current->stack.get(), STACK_BYTES);
}

UNSEEN inline void run_fiber() {
    watch::go_on(thread_index(), block.current->stack.get(), STACK_BYTES);
    for (;;) {
        block.body(block.argument);
        watch::pause();
        block.current->copies.clear();
        pause(DONE);
    }
}

__attribute__((noinline)) UNSEEN inline void go_on(int index) {
    block.current = &block.fibers[index];
    threadIdx = {index % blockDim.x, index / blockDim.x % blockDim.y, index / blockDim.x / blockDim.y};
    if (_setjmp(block.scheduler)) return;
    if (block.current->started) _longjmp(block.current->context, 1);
    block.current->started = true;
    setcontext(&block.current->start);
}

[[noreturn]] UNSEEN inline void leave() {
    watch::pause();
    _longjmp(block.scheduler, 1);
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
            if (watch::found()) return false;
        }
        State where = any_in(AT_EXCHANGE, first, last) ? AT_EXCHANGE : AT_WARP_BARRIER;
        if (!any_in(where, first, last)) return true;
        if (!all_in(where, first, last)) return false;
        for (int i = first; i < last; i++) block.fibers[i].state = READY;
        if (where == AT_WARP_BARRIER) watch::warp_barrier(first / WARP);
    }
}

inline bool run_block(bool backwards) {
    int count = blockDim.x * blockDim.y * blockDim.z;
    for (Fiber &fiber : block.fibers) fiber.state = READY, fiber.exchanges = 0, fiber.groups = 0;
    memset(shared_memory, 0xff, SHARED_BYTES);  // NaN: what is read before it is written shows
    watch::begin_block();
    for (;;) {
        for (int warp = 0; warp < count; warp += WARP) {
            int first = backwards ? (count - 1) / WARP * WARP - warp : warp;
            if (!run_warp(first, min(first + WARP, count), backwards)) return false;
        }
        if (all_in(DONE, 0, count)) return true;
        if (!all_in(AT_BLOCK_BARRIER, 0, count)) return false;
        for (Fiber &fiber : block.fibers) fiber.state = READY;
        watch::barrier();
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

// A kernel and where its arguments are.
template <class... P>
struct Call {
    void (*kernel)(P...);
    void **arguments;

    UNSEEN static void make(void *call) {
        static_cast<Call *>(call)->with_arguments(index_sequence_for<P...>());
    }

    template <size_t... I>
    UNSEEN void with_arguments(index_sequence<I...>) {
        kernel(*static_cast<remove_cv_t<remove_reference_t<P>> *>(arguments[I])...);
    }
};

// What a launch is, besides its kernel and arguments. spans: memory that it may touch, for watch.h.
struct Launch {
    unsigned grid[3], threads[3];
    int backwards, shared_bytes, span_count;
    const watch::Span *spans;
};

// Runs all blocks. Returns null, or what went wrong.
template <class... P>
const char *launch(void (*kernel)(P...), void **arguments, const Launch *of) {
    Call<P...> call = {kernel, arguments};
    const unsigned *grid = of->grid, *threads = of->threads;
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {threads[0], threads[1], threads[2]};
    unsigned count = threads[0] * threads[1] * threads[2];
    if (block.fibers.size() < count) make_fibers(count);
    fill(begin(slots), end(slots), NAN);
    block.body = Call<P...>::make;
    block.argument = &call;
    watch::begin_launch(of->spans, of->span_count, of->shared_bytes);
    for (blockIdx.z = 0; blockIdx.z < grid[2]; blockIdx.z++)
        for (blockIdx.y = 0; blockIdx.y < grid[1]; blockIdx.y++)
            for (blockIdx.x = 0; blockIdx.x < grid[0]; blockIdx.x++)
                if (!run_block(of->backwards)) {
                    block.fibers.clear();  // they stand somewhere in the kernel
                    return watch::found() ? watch::found() : DIVERGED;
                }
    return nullptr;
}

// Shows the other lanes of the warp `count` values; returns all lanes' values, (lanes, VALUES).
UNSEEN inline const float *exchange(const float *values, int count) {
    int index = thread_index(), parity = block.current->exchanges++ & 1;
    float *of_warp = &slots[(index / WARP * 2 + parity) * WARP * VALUES];
    memcpy(of_warp + index % WARP * VALUES, values, count * sizeof(float));
    pause(AT_EXCHANGE);
    return of_warp;
}

UNSEEN inline void store_alike(int *to, int value) {
    watch::stored_alike(to, value, __builtin_return_address(0));
    *to = value;
}

// A copy of the current thread's group, made by wait_for_copies; from is null for zeros.
UNSEEN inline void copy_later(void *to, const void *from, int bytes) {
    if ((uintptr_t)to % bytes || (uintptr_t)from % bytes) abort();  // as a GPU would: misaligned
    watch::copied(to, from, bytes, false, __builtin_return_address(0));
    watch::Unwatched here;
    block.current->copies.push_back({(char *)to, (const char *)from, bytes, block.current->groups});
}

UNSEEN inline void commit_copies() { block.current->groups++; }

// Makes the copies of all groups but the last `later` ones.
UNSEEN inline void wait_for_copies(int later) {
    watch::Unwatched here;
    Fiber &fiber = *block.current;
    vector<Copy> rest;
    for (const Copy &copy : fiber.copies) {
        if (copy.group >= fiber.groups - later) {
            rest.push_back(copy);
            continue;
        }
        watch::copied(copy.to, copy.from, copy.bytes, true, __builtin_return_address(0));
        if (copy.from) memcpy(copy.to, copy.from, copy.bytes);
        else memset(copy.to, 0, copy.bytes);
    }
    fiber.copies = rest;
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
