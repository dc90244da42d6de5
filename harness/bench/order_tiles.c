/* SPDX-License-Identifier: MIT
 * The innermost loops with a fixed and with a free order: products and row sums whose operands lie
 * in the caches next to the core, so that nothing but arithmetic is compared. */
#include <math.h>
#include <stdio.h>

#include "operands.h"
#include "order_bench.h"
#include "order_loops.h"
#include "platform.h"

#ifdef __x86_64__

enum { M = 96, N = 96, K = 256, SUM_CALLS = 200 };
#define WINDOW_NS 4000000u

typedef void (*product)(size_t, size_t, size_t, const float *, const float *, float *);

typedef struct tiles {
    float a[M * K], b[N * K];                            /* as they are */
    float a_by_6[M * K], a_by_3[M * K], b_panels[N * K]; /* packed */
    float c[M * N], x[1 << 16];
} tiles;

static void fill(float *x, size_t n, uint32_t state)
{
    for (size_t i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)state * 0x1p-31f;
    }
}

/* from (rows, K) to panels of `wide` rows */
static void pack(size_t rows, size_t wide, const float *from, float *to)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < K; k++)
            to[r / wide * wide * K + k * wide + r % wide] = from[r * K + k];
}

/* Against sums in double, with a bound that any order keeps. NaN fails. */
static bool right(const tiles *t)
{
    for (size_t i = 0; i < M; i++)
        for (size_t j = 0; j < N; j++) {
            double sum = 0;
            for (size_t k = 0; k < K; k++)
                sum += (double)t->a[i * K + k] * (double)t->b[j * K + k];
            if (!(fabs((double)t->c[i * N + j] - sum) <= K * K * 0x1p-24))
                return false;
        }
    return true;
}

static double time_product(product multiply, const float *a, const float *b, float *c)
{
    double best = HUGE_VAL;
    uint64_t begin = dd_thread_cpu_ns(), before = begin, now;
    do {
        multiply(M, N, K, a, b, c);
        now = dd_thread_cpu_ns();
        best = (double)(now - before) < best ? (double)(now - before) : best;
        before = now;
    } while (now - begin < WINDOW_NS);
    return best;
}

/* Nanoseconds of a sum of n floats; what is summed depends on the sum before, lest calls overlap or
 * be left out. */
static double time_sum(float (*sum)(size_t, const float *), size_t n, float *x)
{
    double best = HUGE_VAL;
    uint64_t begin = dd_thread_cpu_ns(), before = begin, now;
    do {
        for (int i = 0; i < SUM_CALLS; i++)
            x[0] = sum(n, x) * 0x1p-20f;
        now = dd_thread_cpu_ns();
        best = (double)(now - before) < best ? (double)(now - before) : best;
        before = now;
    } while (now - begin < WINDOW_NS);
    return best / SUM_CALLS;
}

static bool compare_products(dd_order_table *t, tiles *x)
{
    const char *what = "product 96 x 96 x 256 in L1 and L2, AVX2";
    double chain[DD_ROUNDS_MAX], again[DD_ROUNDS_MAX], halves[DD_ROUNDS_MAX], along[DD_ROUNDS_MAX];
    for (uint32_t r = 0; r < t->o->rounds; r++) {
        chain[r] = again[r] = time_product(dd_loop_chain_avx2, x->a_by_6, x->b_panels, x->c);
        t->failed = t->failed || !right(x);
        halves[r] = time_product(dd_loop_halves_avx2, x->a_by_3, x->b_panels, x->c);
        t->failed = t->failed || !right(x);
        along[r] = time_product(dd_loop_along_avx2, x->a, x->b, x->c);
        t->failed = t->failed || !right(x);
    }
    return dd_order_add(t, what, "one chain an element, 6 x 16", "two half-chains, 3 x 16", chain,
                        halves) &&
           dd_order_add(t, what, "one chain an element, 6 x 16", "vectors along k, 4 x 3", again,
                        along);
}

static bool compare_sums(dd_order_table *t, tiles *x, size_t n)
{
    double fixed[DD_ROUNDS_MAX], loose[DD_ROUNDS_MAX];
    char what[96];
    for (uint32_t r = 0; r < t->o->rounds; r++) {
        fixed[r] = time_sum(dd_loop_sum16_avx2, n, x->x);
        loose[r] = time_sum(dd_loop_sum64_avx2, n, x->x);
    }
    (void)snprintf(what, sizeof what, "sum of a row of %zu, AVX2", n);
    return dd_order_add(t, what, "sixteen partials", "sixty-four partials", fixed, loose);
}

bool dd_order_tiles_(dd_order_table *t)
{
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        fputs("dodeca bench: SKIP product and sum: this CPU lacks AVX2 or FMA\n", stderr);
        return true;
    }
    tiles *x = dd_alloc(sizeof *x);
    if (!x)
        return false;
    fill(x->a, M * K, 1);
    fill(x->b, N * K, 2);
    fill(x->x, sizeof x->x / sizeof *x->x, 3);
    pack(M, 6, x->a, x->a_by_6);
    pack(M, 3, x->a, x->a_by_3);
    pack(N, 16, x->b, x->b_panels);
    bool ok = true;
    if (dd_order_wanted(t, "product"))
        ok = compare_products(t, x);
    if (ok && dd_order_wanted(t, "sum of a row"))
        ok = compare_sums(t, x, 256) && compare_sums(t, x, 768);
    dd_free(x);
    return ok;
}

#else

bool dd_order_tiles_(dd_order_table *t)
{
    (void)t;
    fputs("dodeca bench: SKIP product and sum: they are written for AVX2\n", stderr);
    return true;
}

#endif
