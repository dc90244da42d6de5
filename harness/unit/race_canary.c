/* SPDX-License-Identifier: MIT
 * Planted races, and their mended twins: scripts/race_check.sh first makes sure that a tool reports
 * each planted one and stays silent about its twin, and only then believes what it says of dodeca.
 * Uses core's own atomics and threads, so that it also shows that their annotations reach the tool.
 * Refuses to test anything else: `race_canary NAME` commits the named defect and exits 0. */
#include "platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { ROUNDS = 64, ROW = 8 };

static struct {
    dd_atomic_u32
        turn;         /* atomic: owner stores, the other thread loads; the orders are the defect */
    uint64_t counter; /* guarded by turn, or by nothing */
    float row[ROW];   /* guarded by turn, or by nothing */
} shared;

/* ---- A plain counter of two threads ---- */

static void count_unguarded(void *arg)
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

static void take(void *arg)
{
    (void)arg;
    (void)DD_AWAIT(dd_u32_load(&shared.turn, DD_ACQUIRE) == 1, DD_FOREVER);
    shared.counter++;
}

/* ---- A row of eight floats, stored at once where the CPU can ---- */

#if defined(__x86_64__)
__attribute__((target("avx"))) static void store_wide(float value)
{
    _mm256_storeu_ps(shared.row, _mm256_set1_ps(value));
}
#endif

static void store_row(float value)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx")) {
        store_wide(value);
        return;
    }
#endif
    for (int i = 0; i < ROW; i++)
        shared.row[i] = value;
}

static void fill_one(void *arg)
{
    (void)arg;
    store_row(1);
}

static void fill_two(void *arg)
{
    (void)arg;
    store_row(2);
}

static void fill_then_release(void *arg)
{
    (void)arg;
    store_row(1);
    dd_u32_store(&shared.turn, 1, DD_RELEASE);
}

static void fill_after_acquire(void *arg)
{
    (void)arg;
    (void)DD_AWAIT(dd_u32_load(&shared.turn, DD_ACQUIRE) == 1, DD_FOREVER);
    store_row(2);
}

/* ---- Memory, for memcheck ---- */

static void read_beyond(void *arg)
{
    (void)arg;
    size_t n = (size_t)ROUNDS;
    char *block = malloc(n);
    if (!block)
        return;
    memset(block, 1, n);
    for (size_t i = 0; i <= n; i++)
        shared.counter += (uint64_t)block[i];
    free(block);
}

static void read_within(void *arg)
{
    (void)arg;
    size_t n = (size_t)ROUNDS;
    char *block = malloc(n);
    if (!block)
        return;
    memset(block, 1, n);
    for (size_t i = 0; i < n; i++)
        shared.counter += (uint64_t)block[i];
    free(block);
}

/* ---- The table ---- */

static const struct canary {
    const char *name, *says;
    void (*first)(void *), (*second)(void *); /* second NULL: one thread */
} canaries[] = {
    {"counter", "two threads count in one plain variable", count_unguarded, count_unguarded},
    {"handover", "a value handed over by a relaxed store", give_relaxed, take},
    {"handover-mended", "the same by a release store", give_released, take},
    {"row", "two threads store the same row of eight floats", fill_one, fill_two},
    {"row-mended", "the same, one after the other", fill_then_release, fill_after_acquire},
    {"beyond", "a read one byte beyond a block", read_beyond, NULL},
    {"beyond-mended", "a read of all of a block", read_within, NULL},
};

int main(int argc, char **argv)
{
    const size_t n = sizeof canaries / sizeof *canaries;
    for (size_t i = 0; argc == 2 && i < n; i++) {
        const struct canary *c = &canaries[i];
        if (strcmp(argv[1], c->name) != 0)
            continue;
        dd_thread thread[2];
        int started = 0;
        dd_u32_init(&shared.turn, 0);
        if (dd_thread_create(&thread[0], "first", 0, c->first, NULL) == 0)
            started++;
        if (started && c->second && dd_thread_create(&thread[1], "second", 0, c->second, NULL) == 0)
            started++;
        for (int t = 0; t < started; t++)
            dd_thread_join(&thread[t]);
        if (started != (c->second ? 2 : 1)) {
            fprintf(stderr, "race_canary: a thread could not be started\n");
            return 3;
        }
        printf("%s: %llu %g\n", c->says, (unsigned long long)shared.counter, (double)shared.row[0]);
        return 0;
    }
    fprintf(stderr, "usage: race_canary NAME, one of\n");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "  %-16s %s\n", canaries[i].name, canaries[i].says);
    return 2;
}
