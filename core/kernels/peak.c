/* SPDX-License-Identifier: MIT
 * Times each kernel set's burst of fused multiply-adds. */
#include "peak.h"

#include "platform.h"
#include "sets.h"

enum { RUNS = 15, SHORT_RUNS = 5, SHORT_RUN = 32000 /* rounds: some 60 us */ };
#define RUN_NS 1000000u

typedef struct burst {
    float (*run)(size_t n, float seed);
    float chains; /* multiply-adds of a round */
} burst;

static burst burst_of(const dd_kernels *set)
{
    if (set == &dd_reference_portable_)
        return (burst){dd_burst_reference_portable_, 12};
#ifdef __x86_64__
    if (set == &dd_reference_fma_)
        return (burst){dd_burst_reference_fma_, 12};
    if (set == &dd_avx2_)
        return (burst){dd_avx2_burst_, 96};
    if (set == &dd_avx512_)
        return (burst){dd_avx512_burst_, 192};
#endif
#ifdef __aarch64__
    if (set == &dd_neon_)
        return (burst){dd_neon_burst_, 96};
#endif
    return (burst){0};
}

/* Nanoseconds of n rounds. The sum of the chains is handed on as the next seed: the calls cannot be
 * dropped. */
static uint64_t time_burst(const burst *b, size_t n, float *seed)
{
    const uint64_t begin = dd_now_ns();
    *seed = b->run(n, *seed) / (2 * b->chains);
    return dd_now_ns() - begin;
}

/* The median of `runs` of n rounds each, RUNS at most, as operations per second. */
static double median_of(const burst *b, size_t n, int runs, float *seed)
{
    uint64_t ns[RUNS]; /* ascending */
    for (int i = 0; i < runs; i++) {
        const uint64_t last = time_burst(b, n, seed);
        int at = i;
        for (; at > 0 && ns[at - 1] > last; at--)
            ns[at] = ns[at - 1];
        ns[at] = last;
    }
    return (double)n * (double)b->chains * 2 / ((double)ns[runs / 2] * 1e-9);
}

double dd_peak_flops(const dd_kernels *set)
{
    const burst b = burst_of(set);
    if (!b.run)
        return 0;
    float seed = 1.0f;
    size_t n = 1000;
    while (time_burst(&b, n, &seed) < RUN_NS)
        n *= 2;
    return median_of(&b, n, RUNS, &seed);
}

double dd_peak_at_work(const dd_kernels *set)
{
    const burst b = burst_of(set);
    float seed = 1.0f;
    return b.run ? median_of(&b, SHORT_RUN, SHORT_RUNS, &seed) : 0;
}
