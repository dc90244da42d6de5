/* SPDX-License-Identifier: MIT
 * Intervals and outliers, against what can be worked out by hand or counted out, and against the
 * truth they are about: how often a 95 % interval holds it. */
#include "bootstrap.h"
#include "random.h"
#include "stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NONE ((double)NAN)

static void must_be(dd_interval got, double low, double high)
{
    if (!(fabs(got.low - low) <= 1e-12 && fabs(got.high - high) <= 1e-12))
        fail_msg("%.17g to %.17g, expected %.17g to %.17g", got.low, got.high, low, high);
}

/* The resampled median of n numbers is the k-th of them or lower when at least (n + 1) / 2 of n
 * draws are: a binomial tail, from which the percentiles follow exactly. */
static void test_order_statistics(void **state)
{
    (void)state;
    static const double x[] = {40, 10, 90, 60, 20, 110, 70, 30, 100, 50, 80};
    static const struct {
        size_t n;
        double low, high;
    } cases[] = {
        {3, 10, 90},  /* the lowest with 26 %: the range */
        {5, 10, 90},  /* 5.8 %: still the range */
        {7, 20, 90},  /* the lowest with 1 %, the second or lower with 11 % */
        {11, 30, 90}, /* the second or lower with 0.7 %, the third or lower with 5.1 % */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_be(dd_bootstrap_median(x, cases[i].n), cases[i].low, cases[i].high);
    must_be(dd_bootstrap_median(x, 2), 10, 40);
    assert_true(isnan(dd_bootstrap_median(x, 1).low) && isnan(dd_bootstrap_median(x, 1).high));
    assert_true(isnan(dd_bootstrap_median(x, 0).low));
    const double gaps[] = {NONE, 40, 10, NONE, 90, 60, 20};
    must_be(dd_bootstrap_median(gaps, 7), 10, 90);
    const double nothing[] = {NONE, NONE, NONE};
    assert_true(isnan(dd_bootstrap_median(nothing, 3).low));
}

/* Normal noise of unit variance, near enough: twelve uniform numbers. */
static double noise(uint64_t trial, uint32_t i)
{
    double sum = -6;
    for (uint32_t k = 0; k < 3; k++) {
        uint32_t word[4];
        dd_philox(trial, 3 * (uint64_t)i + k, 1000, word);
        for (int w = 0; w < 4; w++)
            sum += word[w] * 0x1p-32;
    }
    return sum;
}

/* How often the interval of n repeats holds the truth, of 200 times. */
static unsigned holds_truth(uint32_t n)
{
    unsigned held = 0;
    for (uint64_t trial = 0; trial < 200; trial++) {
        double x[16];
        for (uint32_t i = 0; i < n; i++)
            x[i] = 100 + noise(trial, i);
        const dd_interval interval = dd_bootstrap_median(x, n);
        held += interval.low <= 100 && 100 <= interval.high;
    }
    return held;
}

static void test_coverage(void **state)
{
    (void)state;
    static const struct {
        uint32_t n;
        unsigned least, most;
    } cases[] = {{2, 82, 118}, {3, 135, 165}, {5, 178, 196}, {9, 178, 198}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const unsigned held = holds_truth(cases[i].n);
        if (held < cases[i].least || held > cases[i].most)
            fail_msg("with %u repeats the interval holds the truth %u times of 200", cases[i].n,
                     held);
    }
}

static void test_same_every_time(void **state)
{
    (void)state;
    const double x[] = {5, 3, 8, 1, 9, 2, 7, 6}, y[] = {4, 4, 6, 2, 8, 3, 5, 5};
    const dd_interval first = dd_bootstrap_ratio(x, 8, y, 8);
    (void)dd_bootstrap_median(y, 7);
    const dd_interval second = dd_bootstrap_ratio(x, 8, y, 8);
    assert_memory_equal(&first, &second, sizeof first);
    assert_true(first.low < first.high);
}

/* What slows a whole round down, slows both of a pair. */
static void test_pairs(void **state)
{
    (void)state;
    const double drift[] = {1, 1.5, 0.7, 1.2, 2, 0.9, 1.1};
    double slow[7], fast[7], other[7];
    for (size_t i = 0; i < 7; i++) {
        slow[i] = 20 * drift[i];
        fast[i] = 10 * drift[i];
        other[i] = 10 * drift[(i + 3) % 7]; /* the same times, but not in the same rounds */
    }
    must_be(dd_bootstrap_ratio(slow, 7, fast, 7), 2, 2);
    const dd_interval apart = dd_bootstrap_ratio(slow, 7, other, 7);
    assert_true(apart.high - apart.low > 0.5);
    must_be(dd_bootstrap_ratio(slow, 7, slow, 7), 1, 1);
    /* repeats that only one of the two has count, too */
    double more[9];
    memcpy(more, slow, sizeof slow);
    more[7] = 200;
    more[8] = 300;
    assert_true(dd_bootstrap_ratio(more, 9, fast, 7).high > 2);
    /* a gap breaks no other pair */
    slow[2] = NONE;
    fast[5] = NONE;
    const dd_interval gaps = dd_bootstrap_ratio(slow, 7, fast, 7);
    assert_true(gaps.low <= 2 && 2 <= gaps.high);
    /* a single number is exact, on either side */
    const double one = 30, x[] = {10, 15, 12};
    must_be(dd_bootstrap_ratio(&one, 1, x, 3), 2, 3);
    must_be(dd_bootstrap_ratio(x, 3, &one, 1), 1.0 / 3, 0.5);
    assert_true(isnan(dd_bootstrap_ratio(&one, 1, &one, 1).low));
    assert_true(isnan(dd_bootstrap_ratio(&one, 1, x, 0).low));
}

static void test_outliers(void **state)
{
    (void)state;
    bool mark[8];
    const double calm[] = {100, 101, 99, 102, 98, 100.5},
                 far[] = {100, 101, 99, 150, 98, 100.5, 40};
    assert_int_equal(dd_outliers(calm, 6, mark), 0);
    assert_int_equal(dd_outliers(far, 7, mark), 2);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(mark[i], i == 3 || i == 6);
    /* the rule's edge: the distances from 0.25 have the median 1, so that 4.4478 is the bound */
    const double edge[] = {0, 1, -1, 2, 4.4, -4.5, 0.5, -0.5};
    assert_int_equal(dd_outliers(edge, 8, mark), 1);
    assert_true(mark[5] && !mark[4]);
    /* too few to tell, one of them missing */
    const double few[] = {100, 101, 500}, gap[] = {100, NONE, 101, 99, 500, 100};
    assert_int_equal(dd_outliers(few, 3, mark), 0);
    assert_int_equal(dd_outliers(gap, 6, mark), 1);
    assert_true(mark[4] && !mark[1]);
    assert_int_equal(dd_outliers(few, 0, mark), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order_statistics), cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_same_every_time),  cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_outliers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
