/* SPDX-License-Identifier: MIT
 * Synchronisation flows along contacts only: trains with the library that records every edge used
 * (DD_CHECK_EDGES), through the public interface, and looks at what was recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dodeca.h"
#include "edges.h"
#include "hierarchy.h"

static dd_data *data;

static int open_data(void **state)
{
    (void)state;
    return dd_data_open("builtin", 1, &data, NULL) != DD_OK;
}

static int close_data(void **state)
{
    (void)state;
    dd_data_close(data);
    return 0;
}

/* A model so small that the hierarchy is most of the work. */
static dd_config config_of(uint32_t depth, uint32_t workers, uint32_t lane_depth, uint32_t batch)
{
    dd_config c;
    dd_config_default(&c);
    c.shape = (dd_shape){.L = 1, .NH = 1, .C = 16, .V = 64, .T_max = 4};
    c.batch = batch;
    c.lane_depth = lane_depth;
    c.depth = depth;
    c.workers = workers;
    return c;
}

static dd_trainer *open_trainer(const dd_config *c)
{
    dd_trainer *t;
    dd_error error = {""};
    if (dd_trainer_open(c, data, &t, &error) != DD_OK)
        fail_msg("%s", error.message);
    return t;
}

static void train(dd_trainer *t, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        dd_step step;
        dd_error error = {""};
        if (dd_trainer_step(t, &step, &error) != DD_OK)
            fail_msg("%s", error.message);
    }
}

/* What was recorded since the last time, none of it apart. */
static void take(dd_edge_count count[DD_EDGE_KINDS], const char *when)
{
    static const char *const names[DD_EDGE_KINDS] = {"release", "arrive", "fold", "steal", "spawn"};
    dd_place acting = {0, 0}, owner = {0, 0};
    char a[DD_PLACE_TEXT], b[DD_PLACE_TEXT];
    dd_edges_take(count, &acting, &owner);
    for (int k = 0; k < DD_EDGE_KINDS; k++)
        if (count[k].apart)
            fail_msg("%s: %llu %s edges without contact; the first of all from %s to %s", when,
                     (unsigned long long)count[k].apart, names[k], dd_place_write(acting, a),
                     dd_place_write(owner, b));
}

static uint64_t total(dd_edge_count c)
{
    return c.equal + c.triangle + c.neighbour + c.centre + c.apart;
}

/* ---- The record itself ---- */

static void test_relations(void **state)
{
    (void)state;
    static const struct {
        dd_place a, b;
    } pair[] = {
        {{2, 17}, {2, 17}}, /* equal */
        {{1, 0}, {1, 2}},   /* mates in a triangle */
        {{2, 12}, {2, 16}}, /* 1.0 and 1.4: neighbours */
        {{2, 17}, {1, 1}},  /* parent and child */
        {{0, 0}, {1, 11}},
    };
    dd_edge_count count[DD_EDGE_KINDS];
    take(count, "before");
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        dd_edge_use(DD_EDGE_ARRIVE, pair[i].a, pair[i].b);
        dd_edge_use(DD_EDGE_STEAL, pair[i].b, pair[i].a);
    }
    take(count, "relations");
    for (int k = 0; k < DD_EDGE_KINDS; k++) {
        const bool used = k == DD_EDGE_ARRIVE || k == DD_EDGE_STEAL;
        assert_int_equal(count[k].equal, used);
        assert_int_equal(count[k].triangle, used);
        assert_int_equal(count[k].neighbour, used);
        assert_int_equal(count[k].centre, 2 * used);
    }
    take(count, "again");
    for (int k = 0; k < DD_EDGE_KINDS; k++)
        assert_int_equal(total(count[k]), 0);
}

static void test_an_edge_apart_is_reported(void **state)
{
    (void)state;
    static const struct {
        dd_place a, b;
    } pair[] = {
        {{1, 0}, {1, 5}},      /* siblings that do not touch */
        {{2, 11}, {2, 12}},    /* 0.11 and 1.0: side by side, of different parents */
        {{2, 3}, {0, 0}},      /* a grandchild */
        {{3, 1727}, {1, 11}},  /* inside, but not a child */
        {{4, 20735}, {4, 0}},  /* far apart */
        {{1, 3}, {2, 12 + 3}}, /* somebody else's child */
    };
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        dd_edge_count count[DD_EDGE_KINDS];
        dd_place acting, owner;
        dd_edge_use(DD_EDGE_FOLD, pair[i].a, pair[i].a);
        dd_edge_use(DD_EDGE_FOLD, pair[i].a, pair[i].b);
        dd_edge_use(DD_EDGE_ARRIVE, (dd_place){1, 2}, (dd_place){1, 9}); /* a later one */
        dd_edges_take(count, &acting, &owner);
        assert_int_equal(count[DD_EDGE_FOLD].equal, 1);
        assert_int_equal(count[DD_EDGE_FOLD].apart, 1);
        assert_int_equal(total(count[DD_EDGE_FOLD]), 2);
        assert_int_equal(count[DD_EDGE_ARRIVE].apart, 1);
        assert_true(dd_place_equal(acting, pair[i].a) && dd_place_equal(owner, pair[i].b));
    }
    dd_edge_count count[DD_EDGE_KINDS];
    take(count, "after");
}

/* ---- Training ---- */

static void test_every_way_to_train(void **state)
{
    (void)state;
    static const struct {
        uint32_t depth, workers, lane_depth, batch;
    } shape[] = {{1, 1, 1, 12},  {1, 5, 1, 12},  {1, 12, 1, 12}, {1, 12, 2, 40}, {2, 7, 1, 12},
                 {2, 20, 2, 40}, {2, 14, 2, 14}, {2, 12, 1, 24}, {3, 9, 1, 12}};
    static const dd_barrier barriers[] = {DD_BARRIER_TREE, DD_BARRIER_PTHREAD};
    static const dd_reduce reduces[] = {DD_REDUCE_TREE, DD_REDUCE_CONTROL, DD_REDUCE_SLICED,
                                        DD_REDUCE_OWNER};
    for (size_t s = 0; s < sizeof shape / sizeof *shape; s++) {
        for (uint32_t way = 0; way < 16; way++) {
            dd_config c =
                config_of(shape[s].depth, shape[s].workers, shape[s].lane_depth, shape[s].batch);
            c.barrier = barriers[way % 2];
            c.reduce = reduces[way / 2 % 4];
            c.steal = way >= 8;
            char when[96];
            (void)snprintf(when, sizeof when,
                           "depth %u, %u workers, lane depth %u, barrier %d, reduce %d, steal %d",
                           c.depth, c.workers, c.lane_depth, c.barrier, c.reduce, c.steal);
            dd_trainer *t = open_trainer(&c);
            train(t, 3);
            dd_trainer_close(t);

            dd_edge_count count[DD_EDGE_KINDS];
            take(count, when);
            assert_true(count[DD_EDGE_RELEASE].centre > 0);
            assert_true(count[DD_EDGE_ARRIVE].centre > 0);
            assert_int_equal(count[DD_EDGE_FOLD].neighbour, 0); /* triangles fold, then centres */
            if (!c.steal)
                assert_int_equal(total(count[DD_EDGE_STEAL]), 0);
            if (c.workers > 4)
                assert_true(total(count[DD_EDGE_FOLD]) > 0);
        }
    }
}

/* With a worker to every lane, each triangle's second and third lane are handed to the first. */
static void check_triangle_folds(uint32_t depth, uint32_t workers, uint32_t triangles)
{
    enum { STEPS = 5 };
    const dd_config c = config_of(depth, workers, depth, workers);
    dd_trainer *t = open_trainer(&c);
    train(t, STEPS);
    dd_trainer_close(t);
    dd_edge_count count[DD_EDGE_KINDS];
    take(count, "a worker to every lane");
    assert_int_equal(count[DD_EDGE_FOLD].triangle, STEPS * triangles * 2);
    assert_int_equal(count[DD_EDGE_FOLD].neighbour, 0);
    assert_true(count[DD_EDGE_ARRIVE].triangle >= STEPS * triangles * 2);
}

static void test_triangles_carry_their_folds(void **state)
{
    (void)state;
    check_triangle_folds(1, 12, 4);
    check_triangle_folds(2, 144, 4 * 13);
}

/* Twelve workers with twelve lanes each, on fewer cores: those that run take from those that do
 * not. */
static void test_neighbours_steal(void **state)
{
    (void)state;
    dd_config c = config_of(1, 12, 2, 144);
    c.steal = true;
    dd_trainer *t = open_trainer(&c);
    dd_edge_count sum = {0};
    dd_trainer_info info = {0};
    for (uint32_t round = 0;
         round < 100 && !(info.steals && sum.triangle && sum.neighbour && sum.centre); round++) {
        train(t, 5);
        dd_edge_count count[DD_EDGE_KINDS];
        take(count, "stealing");
        sum.triangle += count[DD_EDGE_STEAL].triangle;
        sum.neighbour += count[DD_EDGE_STEAL].neighbour;
        sum.centre += count[DD_EDGE_STEAL].centre;
        dd_trainer_info_get(t, &info);
    }
    dd_trainer_close(t);
    assert_true(info.steals > 0);
    assert_true(sum.triangle > 0 && sum.neighbour > 0 && sum.centre > 0);
}

typedef struct membership_case {
    uint32_t depth, workers, lane_depth, batch;
    uint32_t children, spawned; /* of the controls at the beginning; of those made by changes */
    struct {
        const char *sphere;
        uint32_t n_children; /* 0: terminate */
    } change[7];
} membership_case;

/* clang-format off */
static const membership_case memberships[] = {
    {1, 4, 2, 40, 4, 3 + 12 + 1 + 2 + 4,
     {{"3", 3}, {"3.4", 12}, {"0", 1}, {"3.4", 0}, {"6", 2}, {"3", 0}, {"3", 4}}},
    {1, 1, 2, 40, 1, 12 + 5 + 1 + 3 + 2,
     {{"0", 12}, {"0.5", 5}, {"0.5", 0}, {"0.5", 1}, {"0.11", 3}, {"0", 0}, {"0", 2}}},
    {2, 7, 2, 40, 2 + 7, 6 + 5 + 2 + 3,
     {{"6.3", 6}, {"0", 0}, {"0", 5}, {"6.9", 2}, {"6", 0}, {"0.2", 3}, {"0", 0}}},
    {2, 12, 2, 24, 3 + 12, 2 + 3 + 1 + 4 + 2,
     {{"4.9", 2}, {"8.0", 3}, {"0.0", 1}, {"8.9", 4}, {"4", 0}, {"8", 0}, {"4", 2}}},
    {3, 9, 3, 30, 2 + 4 + 9, 3 + 2 + 11,
     {{"6.6", 0}, {"6", 0}, {"0.6", 0}, {"6", 3}, {"0.6", 2}, {"0", 0}, {"0", 11}}},
};
/* clang-format on */

static void change(dd_trainer *t, const char *sphere, uint32_t n_children)
{
    dd_error error = {""};
    dd_status st = n_children ? dd_trainer_spawn(t, sphere, n_children, &error)
                              : dd_trainer_terminate(t, sphere, &error);
    if (st != DD_OK)
        fail_msg("%s %s: %s", n_children ? "spawn" : "terminate", sphere, error.message);
    train(t, 2);
}

static void check_membership(const membership_case *m, uint32_t way)
{
    enum { N = sizeof m->change / sizeof *m->change };
    dd_config c = config_of(m->depth, m->workers, m->lane_depth, m->batch);
    c.max_workers = 20;
    c.barrier = way % 2 ? DD_BARRIER_PTHREAD : DD_BARRIER_TREE;
    c.reduce = (dd_reduce)(way / 2 % 4); /* tree, control, sliced, owner */
    c.steal = way >= 8;
    char when[96];
    dd_edge_count count[DD_EDGE_KINDS];
    dd_trainer *t = open_trainer(&c);
    train(t, 1);
    (void)snprintf(when, sizeof when, "depth %u, %u workers, barrier %d, reduce %d, steal %d",
                   c.depth, c.workers, c.barrier, c.reduce, c.steal);
    take(count, when);
    assert_int_equal(count[DD_EDGE_SPAWN].centre, m->children);
    for (uint32_t i = 0; i < N; i++)
        change(t, m->change[i].sphere, m->change[i].n_children);
    dd_trainer_info info;
    dd_trainer_info_get(t, &info);
    assert_int_equal(info.n_changes, N);
    dd_trainer_close(t);
    take(count, when);
    /* each child that came, by its own control */
    assert_int_equal(count[DD_EDGE_SPAWN].centre, m->spawned);
    assert_int_equal(total(count[DD_EDGE_SPAWN]), count[DD_EDGE_SPAWN].centre);
}

static void test_membership_changes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof memberships / sizeof *memberships; i++)
        for (uint32_t way = 0; way < 16; way++)
            check_membership(&memberships[i], way);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relations),
        cmocka_unit_test(test_an_edge_apart_is_reported),
        cmocka_unit_test(test_every_way_to_train),
        cmocka_unit_test(test_triangles_carry_their_folds),
        cmocka_unit_test(test_neighbours_steal),
        cmocka_unit_test(test_membership_changes),
    };
    return cmocka_run_group_tests(tests, open_data, close_data);
}
