/* SPDX-License-Identifier: MIT
 * exp, log, tanh, GELU and its derivative against double precision, and their scalar forms
 * and those of every kernel set against each other, bit for bit. Samples every 9973rd float and all
 * special ones; --all goes through all 2^32, --part I/N through the I-th of N equal parts of them
 * (I from 0), which takes minutes, and prints the worst errors that NUMERICS.md section 10 states.
 */
#define _DEFAULT_SOURCE
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "elementary_forms.h"
#include "kernels.h"

enum { BATCH = 4096, MAX_THREADS = 16, SAMPLE = 9973 };

static bool all_floats;
static uint64_t part, n_parts = 1; /* of all floats */

/* Of this build; those that the CPU runs. */
static const struct forms {
    dd_simd simd;
    const char *name;
    elementary_form *scalars, *vectors;
} built[] = {
#ifdef __x86_64__
    {DD_SIMD_AVX2, "avx2", dd_avx2_scalars_, dd_avx2_vectors_},
    {DD_SIMD_AVX512, "avx512", dd_avx512_scalars_, dd_avx512_vectors_},
#endif
#ifdef __aarch64__
    {DD_SIMD_NEON, "neon", dd_neon_scalars_, dd_neon_vectors_},
#endif
    {DD_SIMD_OFF, NULL, NULL, NULL},
};
static const struct forms *runs[sizeof built / sizeof *built];
static size_t n_runs;

static double to_double(float x)
{
    return (double)x;
}

static double reference(function f, double x)
{
    switch (f) {
    case EXP:
        return exp(x);
    case LOG:
        return log(x);
    case TANH:
        return tanh(x);
    default:
        break;
    }
    if (fabs(x) > 40) /* the limits: gelu(-inf) and more have none in arithmetic */
        return f == GELU ? (x > 0 ? x : -0.0) : (x > 0 ? 1 : -0.0);
    /* sigma(u) and sigma(-u), u = 2 z of GPT-2's GELU */
    const double A = 2 * sqrt(2 / 3.14159265358979323846), B = 0.044715;
    const double e = exp(-fabs(x) * A * (1 + B * x * x));
    const double right = x >= 0 ? 1 / (1 + e) : e / (1 + e);
    const double left = x >= 0 ? e / (1 + e) : 1 / (1 + e);
    return f == GELU ? x * right : right * (1 + x * A * (1 + 3 * B * x * x) * left);
}

/* A piece of a function's domain with the bound that NUMERICS.md states there: in units of the last
 * place of the result (denormals have 2^-149), or absolute. */
typedef struct piece {
    const char *name;
    function f;
    float from, to; /* both included; NaN belongs to all */
    bool absolute;
    double bound;
} piece;

#define INF __builtin_inff()
static const piece pieces[] = {
    {"exp", EXP, -INF, INF, false, 0.988},
    {"log", LOG, -INF, INF, false, 0.5001},
    {"tanh", TANH, -INF, INF, false, 1.51},
    {"gelu", GELU, -INF, INF, false, 3.46},
    {"dgelu, x >= -0.5", DGELU, -0.5f, INF, false, 3.70},
    {"dgelu, x <= -2", DGELU, -INF, -2.0f, false, 6.75},
    {"dgelu, -2 to -0.5, absolute", DGELU, -2.0f, -0.5f, true, 7.2e-8},
    {"dgelu, absolute", DGELU, -INF, INF, true, 2.6e-7},
};
enum { N_PIECES = sizeof pieces / sizeof *pieces };

static double unit_in_last_place(double y)
{
    if (!(fabs(y) >= (double)FLT_MIN))
        return 0x1p-149;
    const uint64_t exponent = dd_double_bits(y) >> 52 & 0x7ff;
    return dd_double_of_bits((exponent - 23) << 52);
}

typedef struct findings {
    double worst[N_PIECES];
    float at[N_PIECES];
    uint64_t wrong;   /* NaN or infinity where there is none, or the reverse */
    uint64_t unequal; /* forms that disagree */
    float wrong_at, unequal_at;
    function wrong_f, unequal_f;
} findings;

static bool same(float a, float b)
{
    return dd_float_bits(a) == dd_float_bits(b) || (a != a && b != b);
}

static void check_value(function f, float x, float y, findings *out)
{
    const double want = reference(f, to_double(x));
    const float rounded = (float)want;
    if (isnan(want) || isinf(rounded) || isnan(y) || isinf(y)) {
        /* next to overflow the bound allows either */
        const bool near = f == EXP && fabs(want) > 0x1.fffffcp+127 && fabs(want) < 0x1.000004p+128;
        if (!same(rounded, y) && !near) {
            out->wrong++;
            out->wrong_at = x;
            out->wrong_f = f;
        }
        return;
    }
    const double error = fabs(to_double(y) - want);
    for (int p = 0; p < N_PIECES; p++) {
        if (pieces[p].f != f || x < pieces[p].from || x > pieces[p].to)
            continue;
        const double e = pieces[p].absolute ? error : error / unit_in_last_place(want);
        if (!(e <= out->worst[p])) {
            out->worst[p] = e;
            out->at[p] = x;
        }
    }
}

/* Notes where two forms of f disagree. */
static void compare(function f, size_t n, const float *x, const float *y, const float *other,
                    findings *out)
{
    for (size_t i = 0; i < n; i++)
        if (!same(y[i], other[i])) {
            out->unequal++;
            out->unequal_at = x[i];
            out->unequal_f = f;
        }
}

static void plain_form(function f, size_t n, const float *x, float *y)
{
    for (size_t i = 0; i < n; i++)
        y[i] = scalar_form(f, x[i]);
}

static void check_batch(size_t n, const float *x, findings *out)
{
    float y[BATCH], other[BATCH];
    for (function f = 0; f < N_FUNCTIONS; f++) {
        /* without the instruction, calls of the C library's fmaf: too slow for all floats */
        if (n_runs == 0 || !all_floats)
            plain_form(f, n, x, y);
        else
            runs[0]->scalars(f, n, x, y);
        for (size_t r = 0; r < n_runs; r++) {
            if (runs[r]->scalars(f, n, x, other))
                compare(f, n, x, y, other, out);
            if (runs[r]->vectors(f, n, x, other))
                compare(f, n, x, y, other, out);
        }
        for (size_t i = 0; i < n; i++)
            check_value(f, x[i], y[i], out);
    }
}

typedef struct sweep {
    pthread_t thread;
    uint64_t index, n_threads;
    findings found;
} sweep;

/* Every n_threads-th batch, beginning with number `index`. */
static void *run_sweep(void *arg)
{
    sweep *s = arg;
    const uint64_t step = all_floats ? 1 : SAMPLE, n = (UINT64_C(1) << 32) / step;
    const uint64_t first = part * (n / n_parts), end = part + 1 < n_parts ? first + n / n_parts : n;
    float x[BATCH];
    for (uint64_t i = first + s->index * BATCH; i < end; i += s->n_threads * BATCH) {
        for (uint64_t j = 0; j < BATCH; j++)
            x[j] = dd_float_of_bits((uint32_t)((i + j) * step)); /* wraps at the end */
        check_batch(BATCH, x, &s->found);
    }
    return NULL;
}

static void add_findings(findings *sum, const findings *more)
{
    for (int p = 0; p < N_PIECES; p++)
        if (more->worst[p] > sum->worst[p]) {
            sum->worst[p] = more->worst[p];
            sum->at[p] = more->at[p];
        }
    if (more->wrong) {
        sum->wrong += more->wrong;
        sum->wrong_at = more->wrong_at;
        sum->wrong_f = more->wrong_f;
    }
    if (more->unequal) {
        sum->unequal += more->unequal;
        sum->unequal_at = more->unequal_at;
        sum->unequal_f = more->unequal_f;
    }
}

static void check_findings(const findings *found)
{
    static const char *const names[N_FUNCTIONS] = {"exp", "log", "tanh", "gelu", "dgelu"};
    for (int p = 0; p < N_PIECES; p++)
        print_message("%-34s %-12.6g at %-16a bound %g\n", pieces[p].name, found->worst[p],
                      to_double(found->at[p]), pieces[p].bound);
    if (found->wrong)
        fail_msg("%s(%a) and %llu more have the wrong kind of result", names[found->wrong_f],
                 to_double(found->wrong_at), (unsigned long long)found->wrong - 1);
    if (found->unequal)
        fail_msg("the forms of %s differ at %a and at %llu more", names[found->unequal_f],
                 to_double(found->unequal_at), (unsigned long long)found->unequal - 1);
    for (int p = 0; p < N_PIECES; p++)
        if (!(found->worst[p] <= pieces[p].bound))
            fail_msg("%s: error %g at %a exceeds %g", pieces[p].name, found->worst[p],
                     to_double(found->at[p]), pieces[p].bound);
}

static void floats_in_order(void **state)
{
    (void)state;
    static sweep sweeps[MAX_THREADS];
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t n = cores < 1 ? 1 : cores > MAX_THREADS ? MAX_THREADS : (uint64_t)cores;
    for (uint64_t i = 0; i < n; i++) {
        sweeps[i] = (sweep){.index = i, .n_threads = n};
        assert_int_equal(pthread_create(&sweeps[i].thread, NULL, run_sweep, &sweeps[i]), 0);
    }
    findings found = {.wrong = 0};
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(pthread_join(sweeps[i].thread, NULL), 0);
        add_findings(&found, &sweeps[i].found);
    }
    check_findings(&found);
}

/* Where a sample may not fall: ends of clamps, of the normal range and of the pieces, each with its
 * neighbours. */
static void special_floats(void **state)
{
    (void)state;
    static const float around[] = {0.0f,           0x1p-149f,      0x1p-126f,
                                   0x1p-25f,       0.5f,           0.625f,
                                   1.0f,           2.0f,           16.0f,
                                   0x1.62e42ep+6f, 0x1.62e43p+6f,  89.0f,
                                   103.97f,        104.0f,         0x1.5d589ep+6f,
                                   0x1.6a09e6p-1f, 0x1.6a09e6p+0f, 0.75179f,
                                   9.010913f,      10.5f,          0x1.fffffep+127f,
                                   0x1p+64f,       0.34657f,       0.7f};
    enum { N = sizeof around / sizeof *around, EACH = 9 };
    float x[(N * EACH * 2 + 16 + 15) / 16 * 16] = {0};
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        for (uint32_t j = 0; j < EACH; j++) {
            const float near = dd_float_of_bits(dd_float_bits(around[i]) + j - EACH / 2);
            x[n++] = near;
            x[n++] = -near;
        }
    x[n++] = INF;
    x[n++] = -INF;
    x[n++] = dd_float_of_bits(0x7fc00000);
    x[n++] = dd_float_of_bits(0xffc00000);
    x[n++] = dd_float_of_bits(0x7f800001); /* signalling */
    x[n++] = dd_float_of_bits(0xffffffff);
    findings found = {.wrong = 0};
    check_batch(sizeof x / sizeof *x, x, &found);
    check_findings(&found);

    assert_true(same(dd_exp(-INF), 0.0f) && same(dd_exp(INF), INF));
    assert_true(same(dd_exp(0.0f), 1.0f) && same(dd_exp(-0.0f), 1.0f));
    assert_true(same(dd_log(0.0f), -INF) && same(dd_log(-0.0f), -INF) && same(dd_log(INF), INF));
    assert_true(same(dd_log(1.0f), 0.0f) && isnan(dd_log(-1.0f)) && isnan(dd_log(-INF)));
    assert_true(same(dd_tanh(-0.0f), -0.0f) && same(dd_tanh(INF), 1.0f));
    assert_true(same(dd_gelu(-0.0f), -0.0f) && same(dd_gelu(INF), INF));
    assert_true(same(dd_gelu(-INF), -0.0f) && same(dd_dgelu(INF), 1.0f));
    assert_true(same(dd_dgelu(-INF), -0.0f) && same(dd_dgelu(0.0f), 0.5f));
}

static void cospi_of_the_schedule(void **state)
{
    (void)state;
    assert_true(dd_cospi(0.0) == 1.0 && dd_cospi(0.5) == 0.0 && dd_cospi(1.0) == -1.0);
    assert_true(isnan(dd_cospi((double)NAN)));
#if LDBL_MANT_DIG >= 64
    const long double pi = 3.14159265358979323846264338327950288L;
    long double worst = 0;
    for (int i = 0; i <= 1000003; i++) {
        const double q = (double)i / 1000003.0;
        const long double want = q < 0.25   ? cosl(pi * (long double)q)
                                 : q > 0.75 ? -cosl(pi * (1.0L - (long double)q))
                                            : sinl(pi * (0.5L - (long double)q));
        int exponent;
        frexpl(want, &exponent);
        const long double error =
            fabsl((long double)dd_cospi(q) - want) / ldexpl(1.0L, exponent - 53);
        worst = error > worst ? error : worst;
        assert_true(error <= 1.05L);
    }
    print_message("cospi                              %.4Lf ulp, bound 1.05\n", worst);
#endif
}

static bool parse_part(const char *text)
{
    char *end;
    part = strtoull(text, &end, 10);
    if (end == text || *end != '/')
        return false;
    const char *parts = end + 1;
    n_parts = strtoull(parts, &end, 10);
    return end != parts && *end == '\0' && n_parts > 0 && n_parts <= 1024 && part < n_parts;
}

int main(int argc, char **argv)
{
    const bool in_parts = argc == 3 && strcmp(argv[1], "--part") == 0;
    all_floats = in_parts || (argc == 2 && strcmp(argv[1], "--all") == 0);
    if ((argc > 1 && !all_floats) || (in_parts && !parse_part(argv[2]))) {
        fprintf(stderr, "usage: test_elementary [--all | --part I/N], 0 <= I < N <= 1024\n");
        return 2;
    }
    for (size_t i = 0; built[i].name; i++) {
        const char *why = "";
        if (dd_kernels_select(built[i].simd, &why))
            runs[n_runs++] = &built[i];
        print_message("%s: %s\n", built[i].name, *why ? why : "compared");
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(special_floats),
        cmocka_unit_test(cospi_of_the_schedule),
        cmocka_unit_test(floats_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
