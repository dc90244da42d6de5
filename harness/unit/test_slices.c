/* SPDX-License-Identifier: MIT
 * core/sync/slices.c: every sentence of its contract, and that slices settle where workers of
 * different speed take the same time. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "slices.h"

enum { MOST_WORKERS = 1728 };

static uint64_t size_of(const dd_slices *s, uint32_t w)
{
    return s->first[w + 1] - s->first[w];
}

/* Slices follow each other, cover all blocks and keep to the lower bound. */
static void check_cuts(const dd_slices *s)
{
    const uint64_t parts = 4 * (uint64_t)s->n_workers;
    assert_int_equal(s->first[0], 0);
    assert_int_equal(s->first[s->n_workers], s->n_blocks);
    for (uint32_t w = 0; w < s->n_workers; w++) {
        assert_true(s->first[w] <= s->first[w + 1]);
        if (s->n_blocks >= s->n_workers)
            assert_true(size_of(s, w) >= 1 && size_of(s, w) * parts >= s->n_blocks);
    }
}

/* What slices take when worker w needs ns_per_block[w]. */
static void adapt(dd_slices *s, const double *ns_per_block)
{
    uint64_t ns[MOST_WORKERS];
    for (uint32_t w = 0; w < s->n_workers; w++)
        ns[w] = (uint64_t)((double)size_of(s, w) * ns_per_block[w]);
    dd_slices_adapt(s, ns);
    check_cuts(s);
}

static void test_even_at_first(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= 40; workers++)
        for (uint64_t blocks = 0; blocks <= 200; blocks += 7) {
            dd_slices s;
            assert_int_equal(dd_slices_open(&s, workers, blocks), DD_OK);
            for (uint32_t w = 0; w <= workers; w++)
                assert_int_equal(s.first[w], w * blocks / workers);
            check_cuts(&s);
            dd_slices_close(&s);
            assert_null(s.first);
            dd_slices_close(&s); /* zeroed */
        }
    dd_slices s;
    const uint64_t huge = UINT64_MAX / 3;
    assert_int_equal(dd_slices_open(&s, 5, huge), DD_OK);
    for (uint32_t w = 0; w < 5; w++)
        assert_true(size_of(&s, w) - huge / 5 <= 1);
    dd_slices_close(&s);
}

static void test_proportional_to_speed(void **state)
{
    (void)state;
    dd_slices s;
    assert_int_equal(dd_slices_open(&s, 3, 7000), DD_OK);
    adapt(&s, (double[]){100, 100, 50});
    /* first measurements are taken as they are: 1 : 1 : 2 */
    assert_int_equal(size_of(&s, 0), 1750);
    assert_int_equal(size_of(&s, 1), 1750);
    assert_int_equal(size_of(&s, 2), 3500);
    adapt(&s, (double[]){100, 100, 50});
    assert_int_equal(size_of(&s, 2), 3500);
    dd_slices_close(&s);
}

static void test_least_slice(void **state)
{
    (void)state;
    dd_slices s;
    assert_int_equal(dd_slices_open(&s, 4, 4000), DD_OK);
    adapt(&s, (double[]){1, 1, 1, 1e6});
    assert_int_equal(size_of(&s, 3), 250);
    assert_int_equal(size_of(&s, 0), 1250);
    dd_slices_close(&s);
    /* several below, some of which only because of the others */
    assert_int_equal(dd_slices_open(&s, 4, 4000), DD_OK);
    adapt(&s, (double[]){1, 3.8, 1000, 1e6});
    assert_int_equal(size_of(&s, 2), 250);
    assert_int_equal(size_of(&s, 3), 250);
    assert_in_range(size_of(&s, 1), 728, 730); /* 3500 / 4.8 */
    dd_slices_close(&s);
    /* rounded up */
    assert_int_equal(dd_slices_open(&s, 2, 9), DD_OK);
    adapt(&s, (double[]){100, 1e9});
    assert_int_equal(size_of(&s, 1), 2);
    dd_slices_close(&s);
}

static void test_measurement_moves_a_quarter(void **state)
{
    (void)state;
    dd_slices s;
    assert_int_equal(dd_slices_open(&s, 1, 1000), DD_OK);
    dd_slices_adapt(&s, (uint64_t[]){1000});
    assert_true(s.speed[0] == 1.0);
    dd_slices_adapt(&s, (uint64_t[]){500}); /* 2: a quarter of the way */
    assert_true(s.speed[0] == 1.25);
    dd_slices_adapt(&s, (uint64_t[]){1}); /* 1000: no more than a quarter */
    assert_true(s.speed[0] == 1.25 * 1.25);
    const double before = s.speed[0];
    dd_slices_adapt(&s, (uint64_t[]){UINT64_MAX}); /* nothing: no more than a quarter either */
    assert_true(fabs(s.speed[0] - before * 0.75) < 1e-9);
    dd_slices_adapt(&s, (uint64_t[]){0}); /* not measured */
    assert_true(fabs(s.speed[0] - before * 0.75) < 1e-9);
    dd_slices_close(&s);
}

static void test_not_measured(void **state)
{
    (void)state;
    dd_slices s;
    assert_int_equal(dd_slices_open(&s, 3, 3000), DD_OK);
    dd_slices_adapt(&s, (uint64_t[]){0, 0, 0});
    for (uint32_t w = 0; w < 3; w++)
        assert_int_equal(size_of(&s, w), 1000);
    /* 1 and 3 known: the unknown one counts as 2 */
    dd_slices_adapt(&s, (uint64_t[]){3000, 0, 1000});
    assert_int_equal(size_of(&s, 0), 500);
    assert_int_equal(size_of(&s, 1), 1000);
    assert_int_equal(size_of(&s, 2), 1500);
    assert_true(s.speed[1] == 0);
    dd_slices_close(&s);
}

/* Two workers, of which the first is p % faster: the gain of new cuts is p / (200 + p). */
static void test_small_gains_are_left(void **state)
{
    (void)state;
    for (uint32_t p = 1; p <= 40; p++) {
        dd_slices s;
        assert_int_equal(dd_slices_open(&s, 2, 1000000), DD_OK);
        adapt(&s, (double[]){1000.0 / (100 + p), 10.0});
        const bool moved = size_of(&s, 0) != 500000;
        const double gain = p / (200.0 + p);
        assert_int_equal(moved, gain >= 0.05);
        dd_slices_close(&s);
    }
}

static void test_fewer_blocks_than_workers(void **state)
{
    (void)state;
    dd_slices s;
    assert_int_equal(dd_slices_open(&s, 5, 3), DD_OK);
    for (uint32_t i = 0; i < 20; i++)
        adapt(&s, (double[]){1, 1000, 1000, 1000, 1e6});
    for (uint32_t w = 0; w <= 5; w++)
        assert_int_equal(s.first[w], w * 3 / 5);
    dd_slices_close(&s);
    assert_int_equal(dd_slices_open(&s, 3, 3), DD_OK);
    adapt(&s, (double[]){1, 1000, 1e6}); /* one each is the least */
    for (uint32_t w = 0; w < 3; w++)
        assert_int_equal(size_of(&s, w), 1);
    dd_slices_close(&s);
    assert_int_equal(dd_slices_open(&s, 2, 0), DD_OK);
    dd_slices_adapt(&s, (uint64_t[]){5, 7});
    check_cuts(&s);
    dd_slices_close(&s);
}

/* Whatever is measured, cuts stay cuts and speeds finite. */
static void test_absurd_measurements(void **state)
{
    (void)state;
    uint64_t seed = 9;
    for (uint32_t i = 0; i < 300; i++) {
        dd_slices s;
        const uint32_t workers = 1 + i % 50;
        assert_int_equal(dd_slices_open(&s, workers, i % 3 ? 1000 + i : workers + i % 5), DD_OK);
        for (uint32_t step = 0; step < 60; step++) {
            uint64_t ns[MOST_WORKERS];
            for (uint32_t w = 0; w < workers; w++) {
                seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
                ns[w] = seed >> (seed >> 58); /* 0 to 2^64, every size as likely */
            }
            dd_slices_adapt(&s, ns);
            check_cuts(&s);
            for (uint32_t w = 0; w < workers; w++)
                assert_true(s.speed[w] >= 0 && s.speed[w] < 1e19);
        }
        dd_slices_close(&s);
    }
}

/* One absurd moment costs at most a quarter, and is forgotten. */
static void test_settles(void **state)
{
    (void)state;
    dd_slices s;
    double ns_per_block[MOST_WORKERS], sum = 0;
    assert_int_equal(dd_slices_open(&s, MOST_WORKERS, 2000000), DD_OK);
    for (uint32_t w = 0; w < MOST_WORKERS; w++) {
        ns_per_block[w] = 1000.0 + 100 * (w % 17);
        sum += 1 / ns_per_block[w];
    }
    for (uint32_t step = 0; step < 3; step++)
        adapt(&s, ns_per_block);
    ns_per_block[5] /= 1000;
    adapt(&s, ns_per_block);
    ns_per_block[5] *= 1000;
    for (uint32_t step = 0; step < 40; step++)
        adapt(&s, ns_per_block);
    const double best = 2000000 / sum;
    for (uint32_t w = 0; w < MOST_WORKERS; w++)
        assert_true((double)size_of(&s, w) * ns_per_block[w] <= 1.06 * best);
    dd_slices_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_even_at_first),
        cmocka_unit_test(test_proportional_to_speed),
        cmocka_unit_test(test_least_slice),
        cmocka_unit_test(test_measurement_moves_a_quarter),
        cmocka_unit_test(test_not_measured),
        cmocka_unit_test(test_small_gains_are_left),
        cmocka_unit_test(test_fewer_blocks_than_workers),
        cmocka_unit_test(test_absurd_measurements),
        cmocka_unit_test(test_settles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
