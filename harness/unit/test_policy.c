/* SPDX-License-Identifier: MIT
 * core/control: the policy of membership, as a function. */
#include "policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const dd_policy_input plenty = {
    .cores = 8, .n_lanes = 144, .max_workers = 100, .max_depth = 3, .lane_ns = 10000000};

/* ---- What is wanted ---- */

static void test_wanted_is_the_least_of_all_bounds(void **state)
{
    (void)state;
    dd_policy_input in = plenty;
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 8);
    in.n_lanes = 12; /* two lanes each */
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 6);
    in.n_lanes = 1;
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 1);
    in = plenty;
    in.max_workers = 3;
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 3);
}

static void test_wanted_by_the_time_of_lanes(void **state)
{
    (void)state;
    dd_policy_input in = plenty;
    in.n_lanes = 12;
    in.cores = 4;
    for (uint64_t ns = 0; ns < 200000; ns += 100) {
        in.lane_ns = ns;
        const uint32_t w = dd_policy_wanted(&in, DD_AUTO_LEAST_NS);
        assert_in_range(w, 1, 4);
        if (ns == 0) /* not known: no bound */
            assert_int_equal(w, 4);
        else if (w > 1) /* each has enough to do, and one more would not */
            assert_true(ns * 12 / w >= DD_AUTO_LEAST_NS);
        if (ns && w < 4)
            assert_true(ns * 12 / (w + 1) < DD_AUTO_LEAST_NS);
    }
    in.lane_ns = UINT64_MAX;
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 4);
    in.lane_ns = 1;
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 1);
    in.cores = 0;
    assert_int_equal(dd_policy_wanted(&in, DD_AUTO_LEAST_NS), 1);
}

/* ---- Decisions ---- */

typedef struct fixture {
    dd_policy policy;
    dd_hierarchy *h;
    uint32_t changes;
} fixture;

/* Asks once and does what is decided. */
static dd_change decide(fixture *f, const dd_policy_input *in)
{
    dd_place place;
    uint32_t n_children = 0;
    dd_hierarchy *next = NULL;
    dd_change change = dd_policy_decide(&f->policy, in, f->h, &place, &n_children);
    if (change == DD_CHANGE_NONE)
        return change;
    if (change == DD_CHANGE_EXPAND) {
        assert_in_range(n_children, 2, DD_POSITIONS);
        assert_true(place.level < in->max_depth);
        assert_int_equal(dd_hierarchy_expand(f->h, place, n_children, &next, NULL), DD_OK);
    } else {
        assert_int_equal(dd_hierarchy_collapse(f->h, place, &next, NULL), DD_OK);
    }
    dd_hierarchy_close(f->h);
    f->h = next;
    f->changes++;
    return change;
}

static void open(fixture *f, uint32_t n_workers)
{
    *f = (fixture){0};
    assert_int_equal(dd_hierarchy_open(1, n_workers, &f->h), DD_OK);
}

static void test_expands_after_patience(void **state)
{
    (void)state;
    fixture f;
    open(&f, 2);
    for (uint32_t i = 1; i < DD_AUTO_PATIENCE; i++)
        assert_int_equal(decide(&f, &plenty), DD_CHANGE_NONE);
    assert_int_equal(decide(&f, &plenty), DD_CHANGE_EXPAND);
    assert_int_equal(f.h->n_workers, 8); /* six lacked: seven children in one's place */
    assert_int_equal(f.h->sphere[f.h->worker[0]].place.level, 2); /* the lowest-numbered's */
    assert_int_equal(f.h->sphere[f.h->worker[7]].place.level, 1);
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(decide(&f, &plenty), DD_CHANGE_NONE);
    dd_hierarchy_close(f.h);
}

static void test_a_single_step_changes_nothing(void **state)
{
    (void)state;
    fixture f;
    open(&f, 8);
    dd_policy_input few = plenty;
    few.cores = 9;
    for (uint32_t i = 0; i < 100; i++) /* twice in a row wanted, then not */
        assert_int_equal(decide(&f, i % DD_AUTO_PATIENCE == 2 ? &plenty : &few), DD_CHANGE_NONE);
    dd_hierarchy_close(f.h);
}

static void test_rests_after_a_change(void **state)
{
    (void)state;
    fixture f;
    open(&f, 1);
    dd_policy_input many = plenty;
    many.cores = 40;
    uint32_t last = 0;
    for (uint32_t i = 1; i < 100; i++) {
        const uint32_t workers = f.h->n_workers;
        if (decide(&f, &many) == DD_CHANGE_NONE)
            continue;
        assert_int_equal(f.h->n_workers, workers + 11 < 40 ? workers + 11 : 40);
        assert_int_equal(i - last, last ? DD_AUTO_REST + 1 : DD_AUTO_PATIENCE);
        last = i;
    }
    assert_int_equal(f.h->n_workers, 40);
    assert_int_equal(f.changes, 4);
    dd_hierarchy_close(f.h);
}

static void test_collapses_the_deepest_last(void **state)
{
    (void)state;
    fixture f;
    open(&f, 2);
    dd_policy_input many = plenty, one = plenty;
    many.cores = 25;
    for (uint32_t i = 0; i < 60; i++)
        decide(&f, &many);
    assert_int_equal(f.h->n_workers, 25);
    one.cores = 1;
    uint32_t n_controls = f.h->n_controls;
    while (n_controls > 1) {
        uint32_t deepest = 0;
        for (uint32_t s = 0; s < f.h->n_spheres; s++)
            if (f.h->sphere[s].n_children)
                deepest = s;
        const dd_place place = f.h->sphere[deepest].place;
        uint32_t patience = DD_AUTO_REST + DD_AUTO_PATIENCE + 1;
        while (decide(&f, &one) == DD_CHANGE_NONE)
            assert_true(--patience > 0);
        assert_int_equal(f.h->n_controls, --n_controls);
        assert_int_equal(f.h->sphere[dd_hierarchy_at(f.h, place)].n_children, 0);
    }
    /* the root's children stay, though one would do */
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(decide(&f, &one), DD_CHANGE_NONE);
    assert_int_equal(f.h->n_workers, 2);
    dd_hierarchy_close(f.h);
}

/* The time of lanes at which another worker pays: noise about it must not move the team. */
static void test_hysteresis_of_time(void **state)
{
    (void)state;
    fixture f;
    open(&f, 1);
    dd_policy_input in = plenty;
    in.n_lanes = 12;
    in.cores = 4;
    const uint64_t edge_ns = DD_AUTO_LEAST_NS * 4 / 12 + 1; /* just enough for four */
    in.lane_ns = edge_ns;
    for (uint32_t i = 0; i < 20; i++)
        decide(&f, &in);
    assert_int_equal(f.h->n_workers, 4);
    for (uint32_t i = 0; i < 100; i++) { /* long stretches of lanes a third faster */
        in.lane_ns = i / 20 % 2 ? edge_ns * 2 / 3 : edge_ns;
        assert_int_equal(decide(&f, &in), DD_CHANGE_NONE);
    }
    in.lane_ns = edge_ns / 3;
    for (uint32_t i = 0; i < 60; i++)
        decide(&f, &in);
    assert_true(f.h->n_workers < 4);
    const uint32_t changes = f.changes;
    for (uint32_t i = 0; i < 100; i++)
        decide(&f, &in);
    assert_int_equal(f.changes, changes);
    dd_hierarchy_close(f.h);
}

static void test_no_deeper_than_allowed(void **state)
{
    (void)state;
    fixture f;
    open(&f, 1);
    dd_policy_input in = plenty;
    in.cores = in.n_lanes = in.max_workers = 4000;
    in.max_depth = 1;
    for (uint32_t i = 0; i < 100; i++)
        assert_int_equal(decide(&f, &in), DD_CHANGE_NONE);
    in.max_depth = 2;
    for (uint32_t i = 0; i < 100; i++)
        decide(&f, &in);
    assert_int_equal(f.h->depth, 2);
    assert_int_equal(f.h->n_workers, 12); /* one position of the root, full */
    dd_hierarchy_close(f.h);
}

/* Whatever is measured, the same leads to the same, every decision can be carried out, and bounds
 * hold. */
static void test_any_measurements(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= 200; seed++) {
        fixture f, again;
        open(&f, seed % 12 + 1);
        open(&again, seed % 12 + 1);
        uint32_t random = seed;
        dd_policy_input in = plenty;
        for (uint32_t i = 0; i < 200; i++) {
            random = random * 1664525u + 1013904223u;
            if (random >> 28 == 0) {
                in.cores = random >> 16 & 63;
                in.n_lanes = 1 + (random >> 4 & 255);
                in.max_workers = 12 + (random >> 8 & 127);
                in.lane_ns = (uint64_t)(random & 1023) << (random >> 10 & 31);
            }
            const uint32_t before = f.h->n_workers;
            const dd_change change = decide(&f, &in);
            assert_int_equal(decide(&again, &in), change);
            if (change == DD_CHANGE_EXPAND)
                assert_in_range(f.h->n_workers, before + 1,
                                dd_policy_wanted(&in, DD_AUTO_LEAST_NS));
            else if (change == DD_CHANGE_COLLAPSE)
                assert_in_range(f.h->n_workers, 1, before);
        }
        dd_hierarchy_close(f.h);
        dd_hierarchy_close(again.h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wanted_is_the_least_of_all_bounds),
        cmocka_unit_test(test_wanted_by_the_time_of_lanes),
        cmocka_unit_test(test_expands_after_patience),
        cmocka_unit_test(test_a_single_step_changes_nothing),
        cmocka_unit_test(test_rests_after_a_change),
        cmocka_unit_test(test_collapses_the_deepest_last),
        cmocka_unit_test(test_hysteresis_of_time),
        cmocka_unit_test(test_no_deeper_than_allowed),
        cmocka_unit_test(test_any_measurements),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
