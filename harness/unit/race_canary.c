/* SPDX-License-Identifier: MIT
 * Planted defects, their mended twins, and sound code that tools cry wolf at: what each tool must
 * say of each stands in race_canaries.txt. scripts/race_check.sh tries them all first and believes
 * a tool only where it is known to see. Uses core's own atomics and threads, so that it also shows
 * that their annotations reach the tool. Refuses to test anything else: `race_canary NAME` commits
 * the named defect and exits 0, or 77 where this CPU, or the one a tool pretends, lacks what the
 * defect is made of. */
#include "platform.h"
#include "streaming.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#if __has_include(<valgrind/helgrind.h>)
#include <valgrind/helgrind.h>
#else
#define ANNOTATE_HAPPENS_BEFORE(word) ((void)(word))
#endif

enum { ROUNDS = 64, ROW = 16, CANNOT_RUN = 77 };

/* Each field is written by one thread and used by another; what orders that, if anything, is the
 * canary's. */
static struct {
    dd_atomic_u32 turn;
    uint64_t counter;
    uint32_t flag, part[2], seen[2];
    _Alignas(64) float row[ROW];
} shared;

static bool (*row_store)(float); /* fixed before the threads start; false: this CPU cannot */

static void await_turn(void)
{
    (void)DD_AWAIT(dd_u32_load(&shared.turn, DD_ACQUIRE) == 1, DD_FOREVER);
}

/* ---- A plain counter of two threads ---- */

static void count(void *arg)
{
    (void)arg;
    for (int i = 0; i < ROUNDS; i++)
        shared.counter++;
}

/* ---- A value handed over ---- */

static void give_released(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    dd_u32_store(&shared.turn, 1, DD_RELEASE);
}

static void give_relaxed(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    dd_u32_store(&shared.turn, 1, DD_RELAXED);
}

/* The annotation promises what the store does not. */
static void give_claiming(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    ANNOTATE_HAPPENS_BEFORE(&shared.turn.word);
    dd_u32_store(&shared.turn, 1, DD_RELAXED);
}

static void give_by_plain_flag(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    shared.flag = 1;
}

static void take(void *arg)
{
    (void)arg;
    await_turn();
    shared.counter++;
}

static void take_relaxed(void *arg)
{
    (void)arg;
    (void)DD_AWAIT(dd_u32_load(&shared.turn, DD_RELAXED) == 1, DD_FOREVER);
    shared.counter++;
}

/* Gives up after some looks: a compiler may let the loop see one value for ever. */
static void take_by_plain_flag(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000 && !shared.flag; i++)
        sched_yield();
    shared.counter++;
}

/* ---- Two that meet in every round ---- */

static dd_pbarrier *meeting; /* fixed before the threads start */

/* Each reads what the other wrote in this round, and before it writes again they meet. A thread
 * that leaves a barrier late takes in all that the other did before it entered the next: to a tool
 * that would be an order. Hence nobody goes on before both are out, told by what orders nothing. */
static void meet_in(bool (*meets)(int round), uint32_t self)
{
    for (int i = 0; i < ROUNDS; i++) {
        (void)dd_u32_fetch_add(&shared.turn, 1, DD_RELAXED);
        (void)DD_AWAIT(dd_u32_load(&shared.turn, DD_RELAXED) >= 2 * (uint32_t)i + 2, DD_FOREVER);
        shared.part[self] = (uint32_t)i;
        if (meets(i))
            dd_pbarrier_wait(meeting);
        shared.seen[self] += shared.part[1 - self];
        dd_pbarrier_wait(meeting);
    }
}

static bool always(int round)
{
    (void)round;
    return true;
}

static bool but_once(int round)
{
    return round != ROUNDS / 2;
}

static void meet_first(void *arg)
{
    (void)arg;
    meet_in(always, 0);
}

static void meet_second(void *arg)
{
    (void)arg;
    meet_in(always, 1);
}

static void miss_first(void *arg)
{
    (void)arg;
    meet_in(but_once, 0);
}

static void miss_second(void *arg)
{
    (void)arg;
    meet_in(but_once, 1);
}

/* ---- Woken, and nothing else ---- */

static void give_then_wake(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    dd_u32_store(&shared.turn, 1, DD_RELEASE);
    dd_futex_wake(&shared.turn, UINT32_MAX);
}

static void sleep_then_take(void *arg)
{
    (void)arg;
    while (dd_u32_load(&shared.turn, DD_RELAXED) == 0)
        dd_futex_wait(&shared.turn, 0);
    shared.counter++;
}

static void sleep_then_look(void *arg)
{
    (void)arg;
    while (dd_u32_load(&shared.turn, DD_ACQUIRE) == 0)
        dd_futex_wait(&shared.turn, 0);
    shared.counter++;
}

/* ---- Sound, yet not told in a way that tools can follow ---- */

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan" /* says what the canary is there to show */
#endif

static void give_behind_fence(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    __atomic_thread_fence(__ATOMIC_RELEASE);
    dd_u32_store(&shared.turn, 1, DD_RELAXED);
}

static void take_behind_fence(void *arg)
{
    (void)arg;
    (void)DD_AWAIT(dd_u32_load(&shared.turn, DD_RELAXED) == 1, DD_FOREVER);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    shared.counter++;
}

static void give_bare(void *arg)
{
    (void)arg;
    shared.counter = ROUNDS;
    __atomic_store_n(&shared.flag, 1, __ATOMIC_RELEASE);
}

static void take_bare(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&shared.flag, __ATOMIC_ACQUIRE))
        sched_yield();
    shared.counter++;
}

/* ---- A row of floats, stored in every way that kernels store ---- */

static bool store_plain(float value)
{
    for (int i = 0; i < ROW; i++)
        shared.row[i] = value;
    return true;
}

#if defined(__x86_64__)
#define FOR(isa) __attribute__((target(isa))) static
FOR("avx") bool store_avx(float value)
{
    if (!__builtin_cpu_supports("avx"))
        return false;
    _mm256_storeu_ps(shared.row, _mm256_set1_ps(value));
    return true;
}

FOR("avx") bool store_five_at(float *p, float value)
{
    if (!__builtin_cpu_supports("avx"))
        return false;
    const __m256i five = _mm256_setr_epi32(-1, -1, -1, -1, -1, 0, 0, 0);
    _mm256_maskstore_ps(p, five, _mm256_set1_ps(value));
    return true;
}

FOR("avx") bool store_avx_streaming(float value)
{
    if (!__builtin_cpu_supports("avx"))
        return false;
    _mm256_stream_ps(shared.row, _mm256_set1_ps(value));
    dd_streaming_end();
    return true;
}

FOR("avx512f") bool store_avx512(float value)
{
    if (!__builtin_cpu_supports("avx512f"))
        return false;
    _mm512_storeu_ps(shared.row, _mm512_set1_ps(value));
    return true;
}

FOR("avx512f") bool store_avx512_masked(float value)
{
    if (!__builtin_cpu_supports("avx512f"))
        return false;
    _mm512_mask_storeu_ps(shared.row, 0x1fff, _mm512_set1_ps(value));
    return true;
}
#else
static bool store_five_at(float *p, float value)
{
    (void)p, (void)value;
    return false;
}

static bool store_avx(float value)
{
    (void)value;
    return false;
}
#define store_avx_streaming store_avx
#define store_avx512 store_avx
#define store_avx512_masked store_avx
#endif

static bool store_avx_masked(float value)
{
    return store_five_at(shared.row, value);
}

static void fill_one(void *arg)
{
    (void)arg;
    (void)row_store(1);
}

static void fill_two(void *arg)
{
    (void)arg;
    (void)row_store(2);
}

static void fill_then_release(void *arg)
{
    (void)arg;
    (void)row_store(1);
    dd_u32_store(&shared.turn, 1, DD_RELEASE);
}

static void fill_after_acquire(void *arg)
{
    (void)arg;
    await_turn();
    (void)row_store(2);
}

/* ---- Memory ---- */

static void sum_bytes(const char *block, size_t n)
{
    for (size_t i = 0; block && i < n; i++)
        shared.counter += (uint64_t)block[i];
}

static void read_bytes(size_t n)
{
    char *block = malloc((size_t)ROUNDS);
    if (block)
        memset(block, 1, (size_t)ROUNDS);
    sum_bytes(block, n);
    free(block);
}

static void read_within(void *arg)
{
    (void)arg;
    read_bytes(ROUNDS);
}

static void read_beyond(void *arg)
{
    (void)arg;
    read_bytes(ROUNDS + 1);
}

static void read_beyond_core_block(void *arg)
{
    (void)arg;
    char *block = dd_alloc((size_t)ROUNDS);
    sum_bytes(block, ROUNDS + 1);
    dd_free(block);
}

/* Five floats into room for four. */
static bool store_beyond(float value)
{
    float *block = malloc(4 * sizeof *block);
    const bool done = block && store_five_at(block, value);
    for (int i = 0; done && i < 4; i++)
        shared.row[i] = block[i];
    free(block);
    return done;
}

__attribute__((noinline)) static void count_if_set(char *block)
{
    if (block && block[ROUNDS / 2] == 1)
        shared.counter++;
}

static void read_unset(void *arg)
{
    (void)arg;
    char *block = malloc((size_t)ROUNDS);
    count_if_set(block);
    free(block);
}

static void lose_block(void *arg)
{
    (void)arg;
    shared.counter += dd_alloc((size_t)ROUNDS) != NULL;
}

/* So large that it has pages of its own. */
static void lose_pages(void *arg)
{
    (void)arg;
    shared.counter += dd_alloc((size_t)4 << 20) != NULL;
}

static void overflow(void *arg)
{
    (void)arg;
    int n = INT_MAX - (int)dd_u32_load(&shared.turn, DD_RELAXED);
    n++;
    shared.counter += (uint64_t)(n < 0);
}

/* ---- The table ---- */

static const struct canary {
    const char *name, *says;
    void (*first)(void *), (*second)(void *); /* second NULL: one thread */
    bool (*store)(float);
} canaries[] = {
    {"counter", "two threads count in one plain variable", count, count, NULL},
    {"plain-flag", "a value handed over by a plain flag", give_by_plain_flag, take_by_plain_flag,
     NULL},
    {"handover", "a value handed over", give_released, take, NULL},
    {"handover-release", "the same by a relaxed store", give_relaxed, take, NULL},
    {"handover-acquire", "the same, taken by a relaxed load", give_released, take_relaxed, NULL},
    {"handover-claimed", "a relaxed store, annotated as one that releases", give_claiming, take,
     NULL},
    {"meet", "two that meet twice in every round", meet_first, meet_second, NULL},
    {"meet-skipped", "the same, one meeting left out", miss_first, miss_second, NULL},
    {"wake", "a sleeper that looks again when it is woken", give_then_wake, sleep_then_look, NULL},
    {"wake-alone", "one that takes being woken for an order", give_then_wake, sleep_then_take,
     NULL},
    {"fence", "a value handed over behind fences", give_behind_fence, take_behind_fence, NULL},
    {"bare", "a value handed over by atomics without annotations", give_bare, take_bare, NULL},
    {"row", "a row filled by one thread, then by another", fill_then_release, fill_after_acquire,
     store_plain},
    {"row-plain", "by both at once, float by float", fill_one, fill_two, store_plain},
    {"row-avx", "by 32-byte stores", fill_one, fill_two, store_avx},
    {"row-avx-masked", "by a masked store of five floats", fill_one, fill_two, store_avx_masked},
    {"row-avx-streaming", "by streaming stores", fill_one, fill_two, store_avx_streaming},
    {"row-avx512", "by 64-byte stores", fill_one, fill_two, store_avx512},
    {"row-avx512-masked", "by a masked store of 13 floats", fill_one, fill_two,
     store_avx512_masked},
    {"within", "a read of all of a block", read_within, NULL, NULL},
    {"beyond", "a read one byte beyond a block", read_beyond, NULL, NULL},
    {"beyond-core", "a read one byte beyond a block of dd_alloc", read_beyond_core_block, NULL,
     NULL},
    {"beyond-masked", "a masked store beyond a block", fill_one, NULL, store_beyond},
    {"unset", "a branch on a byte that nobody set", read_unset, NULL, NULL},
    {"leak", "a block that is lost", lose_block, NULL, NULL},
    {"leak-pages", "a block with pages of its own that is lost", lose_pages, NULL, NULL},
    {"overflow", "a signed overflow", overflow, NULL, NULL},
};

static int commit(const struct canary *c)
{
    row_store = c->store;
    if (row_store && !row_store(0)) {
        printf("%s: not on this CPU, or not on the one a tool pretends\n", c->name);
        return CANNOT_RUN;
    }
    dd_thread thread[2];
    int started = 0;
    dd_u32_init(&shared.turn, 0);
    meeting = dd_pbarrier_open(2);
    if (meeting && dd_thread_create(&thread[0], "first", 0, c->first, NULL) == 0)
        started++;
    if (started && c->second && dd_thread_create(&thread[1], "second", 0, c->second, NULL) == 0)
        started++;
    for (int t = 0; t < started; t++)
        dd_thread_join(&thread[t]);
    dd_pbarrier_close(meeting);
    if (started != (c->second ? 2 : 1)) {
        fprintf(stderr, "race_canary: threads or memory are lacking\n");
        return 3;
    }
    printf("%s: %llu %g\n", c->says, (unsigned long long)shared.counter, (double)shared.row[0]);
    return 0;
}

int main(int argc, char **argv)
{
    const size_t n = sizeof canaries / sizeof *canaries;
    for (size_t i = 0; argc == 2 && i < n; i++)
        if (strcmp(argv[1], canaries[i].name) == 0)
            return commit(&canaries[i]);
    fprintf(stderr, "usage: race_canary NAME, one of\n");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "  %-18s %s\n", canaries[i].name, canaries[i].says);
    return 2;
}
