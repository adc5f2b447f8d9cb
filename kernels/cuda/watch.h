// Looks at every access to memory that the threads of a kernel make, and ends the launch before the first one that is
//   outside of the arrays that the launch was given, or a write into one that it may only read;
//   beyond the shared memory that the launch asked for, or a read of shared memory that no thread has written;
//   a race: two threads touch the same four bytes, one of them writes, and no barrier lies between;
//   an access to what an asynchronous copy is bringing, before it has been waited for.
// Threads of different blocks never wait for each other; lanes of a warp do at its barriers, too. The compiler puts
// calls of the functions below that begin with __tsan_ before each access (-fsanitize=thread; Serebryany and
// Iskhodzhanov, "ThreadSanitizer", 2009), and what they do here is ours: its own runtime knows nothing of blocks.
// What is declared __shared__ in a template or an inline function is not known to be so.
#pragma once

#include <cstdio>
#include <unordered_map>

#define UNSEEN __attribute__((no_sanitize("thread"), visibility("hidden")))

#define BY_LINKER extern "C" __attribute__((weak, visibility("hidden"))) char
BY_LINKER __ehdr_start[], _end[];             // where what is loaded of this library begins and ends
BY_LINKER __start_shared[], __stop_shared[];  // and in it what is declared __shared__; null where nothing is

namespace watch {

using on_cpu::SHARED_BYTES, on_cpu::WARP;

struct Moment {  // of an access: by whom, and after how many barriers
    int64_t block = -1;  // counted over all launches
    int thread, barriers, warp_barriers;
};

struct Word {
    Moment write, reads[2];   // the last ones; reads are those of two threads
    bool on_its_way = false;  // to be written by a copy
    bool alike = false;       // the last write was of a value that others may write, too
    int value;
};

static bool on = false;
static Moment now;
static int64_t blocks = 0;  // so far
static int warp_barriers[1024 / WARP];
static uintptr_t stack, stack_bytes, shared_bytes;
static vector<Span> spans;
static Word of_shared[SHARED_BYTES / 4];
static unordered_map<uintptr_t, Word> of_others;
static char message[400];

UNSEEN inline void report(const char *what, const Moment *other, void *from) {
    int n = snprintf(message, sizeof message, "thread %d %s", now.thread, what);
    if (other) {
        const char *where = other->block == now.block ? "" : " of another block";
        n += snprintf(message + n, sizeof message - n, " thread %d%s", other->thread, where);
    }
    snprintf(message + n, sizeof message - n, " @%lx", (unsigned long)((uintptr_t)from - (uintptr_t)__ehdr_start - 1));
    on_cpu::leave();
}

// Whether neither of the two accesses waits for the other.
UNSEEN inline bool at_once(const Moment &then) {
    if (then.block < 0) return false;
    if (then.block != now.block) return true;
    if (then.thread == now.thread || then.barriers != now.barriers) return false;
    return then.thread / WARP != now.thread / WARP || then.warp_barriers == now.warp_barriers;
}

UNSEEN inline bool given(uintptr_t at, bool to_write) {
    for (const Span &span : spans)
        if (at >= span.begin && at < span.end && (span.writable || !to_write)) return true;
    return false;
}

template <class T>
UNSEEN inline bool within(uintptr_t at, const T &object) {
    return at - (uintptr_t)&object < sizeof object;
}

// Constants of the library, and what on_cpu.h shows to threads.
UNSEEN inline bool readable(uintptr_t at) {
    uintptr_t end = (uintptr_t)(__start_shared ? __start_shared : _end);
    return at - (uintptr_t)__ehdr_start < end - (uintptr_t)__ehdr_start || within(at, on_cpu::slots) ||
           within(at, threadIdx) || within(at, blockIdx) || within(at, blockDim) || within(at, gridDim);
}

// Of elements smaller than four bytes each has a Word of its own: its neighbours may be another thread's.
UNSEEN inline Word &word_at(uintptr_t at, bool small) {
    uintptr_t in_shared = at - (uintptr_t)on_cpu::shared_memory;
    if (small) return of_others[~at];  // which is no quarter of an address
    return in_shared < shared_bytes ? of_shared[in_shared / 4] : of_others[at / 4];
}

UNSEEN inline void look(uintptr_t at, bool writes, bool small, void *from) {
    uintptr_t in_shared = at - (uintptr_t)on_cpu::shared_memory;
    bool of_block = in_shared < shared_bytes ||
                    at - (uintptr_t)__start_shared < (uintptr_t)(__stop_shared - __start_shared);
    if (!of_block && !given(at, writes)) {
        if (in_shared < SHARED_BYTES) report("goes beyond the shared memory asked for", nullptr, from);
        if (given(at, false)) report("writes into what it may only read", nullptr, from);
        if (writes) report("writes outside of its arrays", nullptr, from);
        if (!readable(at)) report("reads outside of its arrays", nullptr, from);
        return;
    }
    Word &word = word_at(at, small);
    if (of_block && word.write.block != now.block) {
        if (!writes) report("reads shared memory that no thread has written", nullptr, from);
        word = Word();
    }
    if (word.on_its_way) report("touches what an unfinished copy brings", nullptr, from);
    now.warp_barriers = warp_barriers[now.thread / WARP];
    if (at_once(word.write))
        report(writes ? "writes where, before a barrier, so does" : "reads what, before a barrier, is written by",
               &word.write, from);
    if (writes) {
        for (const Moment &read : word.reads)
            if (at_once(read)) report("writes what, before a barrier, is read by", &read, from);
        word.write = now, word.alike = false;
        return;
    }
    // Of many readers two are kept, of two warps if possible: whoever writes is another one than one of them. One of
    // another block stays: it is at once with all that this block does.
    Moment &last = word.reads[0], &other = word.reads[1];
    bool stays = other.block >= 0 && other.block != now.block, another_block = last.block != now.block;
    bool another_warp = another_block || last.thread / WARP != now.thread / WARP;
    if (!stays && (another_warp || last.thread != now.thread && !at_once(other))) other = last;
    last = now;
}

// While one lives, nothing is looked at.
struct Unwatched {
    bool before = on;
    UNSEEN Unwatched() { on = false; }
    UNSEEN ~Unwatched() { on = before; }
};

UNSEEN inline void touch(const void *place, long bytes, bool writes, void *from) {
    uintptr_t first = (uintptr_t)place;
    if (!on || first - stack < stack_bytes) return;
    Unwatched looking;
    bool small = bytes < 4;
    for (uintptr_t at = first; at < first + bytes; at += small ? 1 : 4) look(at, writes, small, from);
}

UNSEEN inline void begin_launch(const Span *given, int count, int shared) {
    spans.assign(given, given + count);
    shared_bytes = shared;
    of_others.clear();
    message[0] = 0;
}

// What was wrong, or null.
UNSEEN inline const char *found() { return message[0] ? message : nullptr; }

UNSEEN inline void begin_block() {
    now.block = blocks++;
    now.barriers = 0;
}

UNSEEN inline void barrier() { now.barriers++; }

UNSEEN inline void warp_barrier(int warp) { warp_barriers[warp]++; }

UNSEEN inline void go_on(int thread, const char *its_stack, int bytes) {
    now.thread = thread, stack = (uintptr_t)its_stack, stack_bytes = bytes;
    on = true;
}

UNSEEN inline void pause() { on = false; }

// An asynchronous copy happens at some time between its beginning and its end: it counts at both.
UNSEEN inline void copied(const void *to, const void *from, int bytes, bool finished, void *by) {
    Unwatched here;
    for (int i = 0; i < bytes && finished; i += 4) word_at((uintptr_t)to + i, false).on_its_way = false;
    on = true;
    if (from) touch(from, bytes, false, by);
    touch(to, bytes, true, by);
    on = false;
    for (int i = 0; i < bytes; i += 4) word_at((uintptr_t)to + i, false).on_its_way = !finished;
}

// A store that others may make at the same time, of the same value.
UNSEEN inline void stored_alike(const int *to, int value, void *by) {
    Unwatched here;
    Word &word = word_at((uintptr_t)to, false);
    if (word.alike && word.value == value) word.write = Moment();
    on = true;
    touch(to, sizeof *to, true, by);
    word.alike = true, word.value = value;
}

}  // namespace watch

#define WATCHED_ACCESSES(bytes)                                                                                       \
    extern "C" UNSEEN void __tsan_read##bytes(void *p) { watch::touch(p, bytes, false, __builtin_return_address(0)); } \
    extern "C" UNSEEN void __tsan_write##bytes(void *p) { watch::touch(p, bytes, true, __builtin_return_address(0)); } \
    extern "C" UNSEEN void __tsan_unaligned_read##bytes(void *p) {                                                    \
        watch::touch(p, bytes, false, __builtin_return_address(0));                                                   \
    }                                                                                                                 \
    extern "C" UNSEEN void __tsan_unaligned_write##bytes(void *p) {                                                   \
        watch::touch(p, bytes, true, __builtin_return_address(0));                                                    \
    }
WATCHED_ACCESSES(1)
WATCHED_ACCESSES(2)
WATCHED_ACCESSES(4)
WATCHED_ACCESSES(8)
WATCHED_ACCESSES(16)
extern "C" UNSEEN void __tsan_read_range(void *p, long n) { watch::touch(p, n, false, __builtin_return_address(0)); }
extern "C" UNSEEN void __tsan_write_range(void *p, long n) { watch::touch(p, n, true, __builtin_return_address(0)); }
extern "C" UNSEEN void *__tsan_memset(void *to, int value, size_t n) {
    watch::touch(to, n, true, __builtin_return_address(0));
    return memset(to, value, n);
}
extern "C" UNSEEN void *__tsan_memcpy(void *to, const void *from, size_t n) {
    watch::touch(from, n, false, __builtin_return_address(0));
    watch::touch(to, n, true, __builtin_return_address(0));
    return memcpy(to, from, n);
}
extern "C" UNSEEN void *__tsan_memmove(void *to, const void *from, size_t n) { return __tsan_memcpy(to, from, n); }
extern "C" UNSEEN void __tsan_vptr_update(void *, void *) {}
extern "C" UNSEEN void __tsan_vptr_read(void *) {}
extern "C" UNSEEN void __tsan_init() {}
extern "C" UNSEEN void __tsan_func_entry(void *) {}
extern "C" UNSEEN void __tsan_func_exit(void *) {}
