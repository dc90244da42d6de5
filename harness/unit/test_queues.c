/* SPDX-License-Identifier: MIT
 * core/sync/queues.c: who looks where and takes what, and that threads who do it at once take every
 * lane exactly once. An argument divides the rounds, for race detectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fold_fixture.h"
#include "platform.h"

static uint32_t divisor = 1;
/* Plans of both kinds have the same queues: each test is run with the reductions that take them. */
static dd_reduce reduces[] = {DD_REDUCE_TREE, DD_REDUCE_OWNER};
static dd_reduce reduce;

static int choose_reduce(void **state)
{
    reduce = *(dd_reduce *)*state;
    return 0;
}

static void fill_all(fold_fixture *f)
{
    for (uint32_t w = 0; w < f->hierarchy->n_workers; w++)
        dd_queues_fill(f->queues, w);
}

static dd_hierarchy *open_case(fold_fixture *f, uint32_t lane_depth, uint64_t batch, uint32_t depth,
                               uint32_t workers)
{
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(depth, workers, &h), DD_OK);
    fold_fixture_open(f, lane_depth, batch, h, reduce, true);
    return h;
}

static void close_case(fold_fixture *f, dd_hierarchy *h)
{
    fold_fixture_close(f);
    dd_hierarchy_close(h);
}

/* ---- One thread ---- */

static void test_take_in_order(void **state)
{
    (void)state;
    fold_fixture f;
    dd_hierarchy *h = open_case(&f, 2, 100, 2, 17);
    for (uint32_t step = 0; step < 3; step++)
        for (uint32_t w = 0; w < 17; w++) {
            uint32_t n, lane;
            const uint32_t *list = dd_plan_lanes(f.plan, w, &n);
            assert_false(dd_queues_take(f.queues, w, &lane)); /* empty until filled */
            dd_queues_fill(f.queues, w);
            for (uint32_t i = 0; i < n; i++) {
                assert_true(dd_queues_take(f.queues, w, &lane));
                assert_int_equal(lane, list[i]);
            }
            assert_false(dd_queues_take(f.queues, w, &lane));
        }
    close_case(&f, h);
}

/* Steals until nobody has anything; the victims in the order in which they came up. */
static uint32_t victims_of(fold_fixture *f, uint32_t thief, uint32_t *victims)
{
    uint32_t n = 0, victim;
    const uint32_t *lanes;
    while (dd_queues_steal(f->queues, thief, &lanes, &victim))
        if (n == 0 || victims[n - 1] != victim)
            victims[n++] = victim;
    return n;
}

static void test_touching_siblings_first(void **state)
{
    (void)state;
    fold_fixture f;
    dd_hierarchy *h = open_case(&f, 2, 288, 2, 144);
    uint32_t lane;
    for (uint32_t thief = 0; thief < 144; thief++) {
        uint32_t victims[144], n, place = 0;
        fill_all(&f);
        while (dd_queues_take(f.queues, thief, &lane))
            ;
        n = victims_of(&f, thief, victims);
        assert_int_equal(n, 11);
        for (uint32_t pass = 0; pass < 2; pass++) /* those that touch, then the others */
            for (uint32_t p = 0; p < DD_POSITIONS; p++) {
                const uint32_t worker = thief / 12 * 12 + p;
                if (worker == thief || dd_in_contact(thief % 12, p) != (pass == 0))
                    continue;
                assert_int_equal(victims[place++], worker);
            }
        assert_int_equal(place, 11);
        for (uint32_t w = 0; w < 144; w++)
            while (dd_queues_take(f.queues, w, &lane))
                assert_true(w / 12 != thief / 12);
    }
    close_case(&f, h);
}

/* Only siblings that are workers: a control among them is passed over, and so are its children. */
static void test_no_lanes_from_controls(void **state)
{
    (void)state;
    dd_hierarchy *flat, *h;
    dd_place place;
    dd_error error;
    fold_fixture f;
    assert_int_equal(dd_hierarchy_open(1, 4, &flat), DD_OK);
    assert_true(dd_place_read("3", &place));
    assert_int_equal(dd_hierarchy_expand(flat, place, 2, &h, &error), DD_OK);
    fold_fixture_open(&f, 1, 12, h, reduce, true);
    /* workers 0, (1, 2 in sphere "3"), 3, 4 */
    static const uint32_t expected[5][2] = {{3, 4}, {2}, {1}, {0, 4}, {0, 3}};
    static const uint32_t n_expected[] = {2, 1, 1, 2, 2};
    for (uint32_t w = 0; w < 5; w++) {
        uint32_t victims[5], lane;
        fill_all(&f);
        while (dd_queues_take(f.queues, w, &lane))
            ;
        assert_int_equal(victims_of(&f, w, victims), n_expected[w]);
        for (uint32_t i = 0; i < n_expected[w]; i++)
            assert_true(victims[i] == expected[w][0] || victims[i] == expected[w][1]);
        for (uint32_t v = 0; v < 5; v++)
            while (dd_queues_take(f.queues, v, &lane))
                ;
    }
    fold_fixture_close(&f);
    dd_hierarchy_close(h);
    dd_hierarchy_close(flat);
}

/* Half of what is left at most, a subtree of at most three, one at least; from the end. */
static void test_how_much(void **state)
{
    (void)state;
    fold_fixture f;
    dd_hierarchy *h = open_case(&f, 1, 12, 1, 2); /* six lanes each */
    const uint32_t *lanes;
    uint32_t victim, lane;
    static const struct {
        uint32_t taken, n, first;
    } expected[] = {
        {0, 3, 9},  /* six: a triangle */
        {0, 1, 8},  /* then three: not half of a triangle, so the lane alone */
        {0, 1, 7},  /* two */
        {0, 1, 6},  /* the last */
        {1, 1, 11}, /* five: two are allowed, but lane 11's subtree is all of its triangle */
        {4, 1, 11}, /* two left, (9 + 10) is past */
    };
    for (uint32_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        if (i == 0 || i >= 4) {
            while (dd_queues_take(f.queues, 1, &lane))
                ;
            dd_queues_fill(f.queues, 1);
        }
        for (uint32_t t = 0; t < expected[i].taken; t++)
            assert_true(dd_queues_take(f.queues, 1, &lane));
        assert_int_equal(dd_queues_steal(f.queues, 0, &lanes, &victim), expected[i].n);
        assert_int_equal(victim, 1);
        for (uint32_t k = 0; k < expected[i].n; k++)
            assert_int_equal(lanes[k], expected[i].first + k);
    }
    close_case(&f, h);
}

/* ---- Real threads ---- */

/* A step after another, with a barrier where Points B and V would be. */
typedef struct crowd {
    fold_fixture *fixture;
    dd_pbarrier *barrier;
    uint32_t rounds, *taken; /* by lane, plain: only one thread may touch an entry in a round */
    bool fill_late;          /* at the beginning of the step, not before it */
    struct crowd_worker {
        _Alignas(DD_CACHE_LINE) struct crowd *crowd;
        dd_thread thread;
        uint32_t number, stolen;
    } worker[24];
} crowd;

static void crowd_main(void *arg)
{
    struct crowd_worker *self = arg;
    crowd *c = self->crowd;
    dd_queues *q = c->fixture->queues;
    for (uint32_t round = 0; round < c->rounds; round++) {
        uint32_t lane, n, victim;
        const uint32_t *lanes;
        dd_pbarrier_wait(c->barrier);
        if (c->fill_late)
            dd_queues_fill(q, self->number);
        while (dd_queues_take(q, self->number, &lane))
            c->taken[lane]++;
        while ((n = dd_queues_steal(q, self->number, &lanes, &victim)) > 0)
            for (; n > 0; n--, lanes++) {
                c->taken[*lanes]++;
                self->stolen++;
            }
        dd_pbarrier_wait(c->barrier);
        if (!c->fill_late && round + 1 < c->rounds)
            dd_queues_fill(q, self->number);
    }
}

static void test_threads_take_every_lane_once(void **state)
{
    (void)state;
    uint64_t stolen = 0;
    for (uint32_t i = 0; i < 6; i++) {
        fold_fixture f;
        const uint32_t workers = i % 3 == 0 ? 2 : i % 3 == 1 ? 12 : 24;
        dd_hierarchy *h = open_case(&f, i % 3 == 0 ? 1 : 2, 300, workers > 12 ? 2 : 1, workers);
        crowd c = {.fixture = &f, .rounds = 2000 / divisor + 2, .fill_late = i >= 3};
        c.taken = calloc(f.n_places, sizeof *c.taken);
        c.barrier = dd_pbarrier_open(workers);
        assert_non_null(c.taken);
        assert_non_null(c.barrier);
        if (!c.fill_late)
            fill_all(&f);
        for (uint32_t w = 0; w < workers; w++) {
            struct crowd_worker *worker = &c.worker[w];
            worker->crowd = &c;
            worker->number = w;
            assert_int_equal(dd_thread_create(&worker->thread, "crowd", 0, crowd_main, worker), 0);
        }
        for (uint32_t w = 0; w < workers; w++) {
            dd_thread_join(&c.worker[w].thread);
            stolen += c.worker[w].stolen;
        }
        for (uint32_t l = 0; l < f.n_places; l++)
            assert_int_equal(c.taken[l], f.weight[l] ? c.rounds : 0);
        dd_pbarrier_close(c.barrier);
        free(c.taken);
        close_case(&f, h);
    }
    assert_true(stolen > 0);
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
#define OF(r, test) cmocka_unit_test_prestate_setup_teardown(test, choose_reduce, NULL, &reduces[r])
#define BOTH(test) OF(0, test), OF(1, test)
    const struct CMUnitTest tests[] = {
        BOTH(test_take_in_order),
        BOTH(test_touching_siblings_first),
        BOTH(test_no_lanes_from_controls),
        BOTH(test_how_much),
        BOTH(test_threads_take_every_lane_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
