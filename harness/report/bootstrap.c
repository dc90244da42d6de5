/* SPDX-License-Identifier: MIT
 * Resampling. */
#include "bootstrap.h"
#include "random.h"
#include "stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of random numbers, beside those that scenarios and the core have. */
#define PURPOSE_BOOTSTRAP 36

static const dd_interval no_interval = {(double)NAN, (double)NAN};

/* ---- Draws ---- */

/* Whole numbers below n, one after another: a function of the resample and of how many were
 * drawn in it. */
typedef struct dice {
    uint64_t resample;
    uint32_t drawn, word[4];
} dice;

static size_t roll(dice *d, size_t n)
{
    if (d->drawn % 4 == 0)
        dd_philox(d->resample, d->drawn / 4, PURPOSE_BOOTSTRAP, d->word);
    return (size_t)((uint64_t)d->word[d->drawn++ % 4] * n >> 32);
}

/* The median of x, which is sorted. */
static double median(double *x, size_t n)
{
    dd_sort(x, n);
    return dd_quantile(x, n, 0.5);
}

/* The middle 95 % of the resamples' results. */
static dd_interval middle(double *result)
{
    dd_sort(result, DD_BOOTSTRAP_RESAMPLES);
    return (dd_interval){dd_quantile(result, DD_BOOTSTRAP_RESAMPLES, 0.025),
                         dd_quantile(result, DD_BOOTSTRAP_RESAMPLES, 0.975)};
}

/* x without its NaNs. */
static size_t numbers(const double *x, size_t n, double *out)
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(x[i]))
            out[used++] = x[i];
    return used;
}

/* ---- Medians ---- */

dd_interval dd_bootstrap_median(const double *x, size_t n)
{
    const double one = 1;
    if (n < 2)
        return no_interval;
    return dd_bootstrap_ratio(x, n, &one, 1);
}

/* ---- Ratios ---- */

/* What is drawn from: pairs, then what only one of the two has. */
typedef struct sample {
    double *x;     /* (n): the pairs' first */
    double *drawn; /* (n) */
    size_t n;
} sample;

static bool sample_open(sample *s, size_t n)
{
    s->x = calloc(n, sizeof *s->x);
    s->drawn = calloc(n, sizeof *s->drawn);
    return s->x && s->drawn;
}

static void sample_close(sample *s)
{
    free(s->x);
    free(s->drawn);
}

/* Fills both.  returns  the number of pairs, with which both begin */
static size_t pair(const double *a, size_t n_a, const double *b, size_t n_b, sample *of_a,
                   sample *of_b)
{
    const size_t both = n_a < n_b ? n_a : n_b, all = n_a < n_b ? n_b : n_a;
    for (size_t i = 0; i < both; i++)
        if (!isnan(a[i]) && !isnan(b[i])) {
            of_a->x[of_a->n++] = a[i];
            of_b->x[of_b->n++] = b[i];
        }
    const size_t n_pairs = of_a->n;
    for (size_t i = 0; i < all; i++) {
        const bool has_a = i < n_a && !isnan(a[i]), has_b = i < n_b && !isnan(b[i]);
        if (has_a && !has_b)
            of_a->x[of_a->n++] = a[i];
        if (has_b && !has_a)
            of_b->x[of_b->n++] = b[i];
    }
    return n_pairs;
}

static double ratio_of_resample(uint64_t resample, size_t n_pairs, sample *a, sample *b)
{
    dice d = {.resample = resample};
    for (size_t i = 0; i < n_pairs; i++) {
        const size_t at = roll(&d, n_pairs);
        a->drawn[i] = a->x[at];
        b->drawn[i] = b->x[at];
    }
    for (size_t i = n_pairs; i < a->n; i++)
        a->drawn[i] = a->x[n_pairs + roll(&d, a->n - n_pairs)];
    for (size_t i = n_pairs; i < b->n; i++)
        b->drawn[i] = b->x[n_pairs + roll(&d, b->n - n_pairs)];
    return median(a->drawn, a->n) / median(b->drawn, b->n);
}

dd_interval dd_bootstrap_ratio(const double *a, size_t n_a, const double *b, size_t n_b)
{
    dd_interval interval = no_interval;
    sample of_a = {0}, of_b = {0};
    double *result = calloc(DD_BOOTSTRAP_RESAMPLES, sizeof *result);
    if (result && n_a && n_b && sample_open(&of_a, n_a) && sample_open(&of_b, n_b)) {
        size_t n_pairs = pair(a, n_a, b, n_b, &of_a, &of_b);
        if (of_a.n == 1 || of_b.n == 1)
            n_pairs = 0; /* a single number stands beside all of the other's */
        if (of_a.n && of_b.n && of_a.n + of_b.n > 2) {
            for (size_t i = 0; i < DD_BOOTSTRAP_RESAMPLES; i++)
                result[i] = ratio_of_resample(i, n_pairs, &of_a, &of_b);
            interval = middle(result);
        }
    }
    sample_close(&of_a);
    sample_close(&of_b);
    free(result);
    return interval;
}

/* ---- Outliers ---- */

size_t dd_outliers(const double *x, size_t n, bool *mark)
{
    size_t found = 0;
    double *sorted = calloc(n ? n : 1, sizeof *sorted);
    memset(mark, 0, n * sizeof *mark);
    const size_t used = sorted ? numbers(x, n, sorted) : 0;
    if (used >= DD_OUTLIERS_FROM) {
        const double middle_one = median(sorted, used);
        for (size_t i = 0; i < used; i++)
            sorted[i] = fabs(sorted[i] - middle_one);
        const double far = 3 * 1.4826 * median(sorted, used);
        for (size_t i = 0; i < n; i++) {
            mark[i] = !isnan(x[i]) && fabs(x[i] - middle_one) > far;
            found += mark[i];
        }
    }
    free(sorted);
    return found;
}
