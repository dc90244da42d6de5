/* SPDX-License-Identifier: MIT
 * Times each kernel set's burst of fused multiply-adds. */
#include "peak.h"

#include "platform.h"
#include "sets.h"

enum { CHAINS = 12, RUNS = 15 };
#define RUN_NS 1000000u

typedef struct burst {
    float (*run)(size_t n, float seed);
    double lanes;
} burst;

static burst burst_of(const dd_kernels *set)
{
    if (set == &dd_reference_portable_)
        return (burst){dd_burst_reference_portable_, 1};
#ifdef __x86_64__
    if (set == &dd_reference_fma_)
        return (burst){dd_burst_reference_fma_, 1};
    if (set == &dd_avx2_)
        return (burst){dd_burst_avx2_, 8};
#endif
    return (burst){0};
}

/* Nanoseconds of n rounds. The sum of the chains is handed on as the next seed: the calls cannot be
 * dropped. */
static uint64_t time_burst(const burst *b, size_t n, float *seed)
{
    const uint64_t begin = dd_now_ns();
    *seed = b->run(n, *seed) / 24.0f;
    return dd_now_ns() - begin;
}

double dd_peak_flops(const dd_kernels *set)
{
    const burst b = burst_of(set);
    if (!b.run)
        return 0;
    float seed = 1.0f;
    size_t n = 1000;
    uint64_t best = time_burst(&b, n, &seed);
    while (best < RUN_NS) {
        n *= 2;
        best = time_burst(&b, n, &seed);
    }
    for (int i = 0; i < RUNS; i++) {
        const uint64_t ns = time_burst(&b, n, &seed);
        best = ns < best ? ns : best;
    }
    return (double)n * CHAINS * b.lanes * 2 / ((double)best * 1e-9);
}
