/* SPDX-License-Identifier: MIT
 * core/sync/fold.c, with the plans and queues it works for: whatever the number of workers, the
 * hierarchy, the reduction, stealing and the order of events, the root is the one of NUMERICS 7.
 * An argument divides the rounds, for race detectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "edges.h"
#include "fold_fixture.h"
#include "platform.h"

static uint32_t divisor = 1;

static const fold_order orders[] = {
    {.burst = 1}, /* everybody at once */
    {.burst = 4},
    {.burst = 1u << 20},     /* one worker after the other */
    {.burst = 2, .slow = 4}, /* half of them much later */
    {.burst = 1u << 20, .slow = 6},
    {.burst = 2, .slow = 3, .cancelled = 2},
    {.burst = 3}, /* nothing is left of the cancelled step */
};
enum { N_ORDERS = sizeof orders / sizeof orders[0] };

typedef struct played {
    uint64_t steps, stolen, fused, cancelled;
    uint64_t stolen_apart; /* of those stolen, in `owner` */
    uint32_t highest;      /* values at once in `owner` */
} played;

/* Every reduction, with and without stealing, in every order. */
static void play_all(uint32_t lane_depth, uint64_t batch, const dd_hierarchy *h, uint32_t rounds,
                     played *sum)
{
    static const dd_reduce reduces[] = {DD_REDUCE_TREE, DD_REDUCE_CONTROL, DD_REDUCE_SLICED,
                                        DD_REDUCE_OWNER};
    for (int how = 0; how < 8; how++) {
        fold_fixture f;
        fold_fixture_open(&f, lane_depth, batch, h, reduces[how / 2], how % 2);
        for (uint32_t round = 0; round < rounds; round++)
            for (uint32_t o = 0; o < N_ORDERS; o++) {
                fold_order order = orders[o];
                order.seed = sum->steps * 1000003 + batch;
                fold_fixture_step(&f, &order);
                sum->steps++;
                sum->stolen += f.n_stolen;
                sum->stolen_apart += fold_fixture_apart(&f) ? f.n_stolen : 0;
                sum->highest = f.highest > sum->highest ? f.highest : sum->highest;
                sum->fused += f.stealing ? f.n_fused : 0;
                sum->cancelled += f.n_cancelled > 0;
            }
        fold_fixture_close(&f);
    }
}

static void print_played(const char *what, const played *sum)
{
    print_message("           %s: %llu steps, %llu of them cancelled; with stealing %llu lanes "
                  "stolen, %llu of them apart, %llu added as they ran; lists of owner need %u "
                  "values\n",
                  what, (unsigned long long)sum->steps, (unsigned long long)sum->cancelled,
                  (unsigned long long)sum->stolen, (unsigned long long)sum->stolen_apart,
                  (unsigned long long)sum->fused, sum->highest);
    assert_true(sum->stolen > sum->stolen_apart && sum->stolen_apart > 0);
    assert_true(sum->fused > 0 && sum->cancelled > 0);
}

static void test_lane_depth_1(void **state)
{
    (void)state;
    played sum = {0};
    for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++) {
        dd_hierarchy *h;
        assert_int_equal(dd_hierarchy_open(1, workers, &h), DD_OK);
        for (uint64_t batch = 1; batch <= 40; batch += divisor)
            play_all(1, batch, h, 3 / divisor + 1, &sum);
        dd_hierarchy_close(h);
    }
    print_played("lane depth 1", &sum);
    assert_int_equal(sum.highest, 4); /* the bound is met, not only kept */
}

/* Controls at several levels, workers at several levels; n <= 5: the first n expansions. */
static dd_hierarchy *mixed_hierarchy(uint32_t n)
{
    static const struct {
        const char *at;
        uint32_t n_children;
    } expansions[] = {{"4", 7}, {"0", 12}, {"4.3", 3}, {"4.3.8", 1}, {"9", 2}};
    dd_hierarchy *h;
    assert_int_equal(dd_hierarchy_open(1, 5, &h), DD_OK);
    for (uint32_t i = 0; i < n; i++) {
        dd_place place;
        dd_error error;
        dd_hierarchy *next;
        assert_true(dd_place_read(expansions[i].at, &place));
        if (dd_hierarchy_expand(h, place, expansions[i].n_children, &next, &error) != DD_OK)
            fail_msg("%s", error.message);
        dd_hierarchy_close(h);
        h = next;
    }
    return h;
}

static void test_mixed_hierarchies(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1, 5, 12, 77, 144, 300};
    played sum = {0};
    for (uint32_t n = 0; n <= 5; n++) {
        dd_hierarchy *h = mixed_hierarchy(n);
        for (uint32_t b = 0; b<sizeof batches / sizeof batches[0]; b += divisor> 1 ? 2 : 1)
            for (uint32_t lane_depth = 1; lane_depth <= 2; lane_depth++)
                play_all(lane_depth, batches[b], h, 4 / divisor + 1, &sum);
        dd_hierarchy_close(h);
    }
    print_played("mixed hierarchies", &sum);
}

static void test_lane_depth_2(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1, 2, 13, 40, 77, 100, 143, 144, 145, 200, 288, 500};
    static const uint32_t workers[] = {1, 2, 3, 5, 7, 12, 13, 24, 60, 100, 143, 144};
    played sum = {0};
    for (uint32_t i = 0; i < sizeof workers / sizeof workers[0]; i++)
        for (uint32_t depth = workers[i] <= 12 ? 1 : 2; depth <= 2; depth++) {
            dd_hierarchy *h;
            assert_int_equal(dd_hierarchy_open(depth, workers[i], &h), DD_OK);
            for (uint32_t b = 0; b<sizeof batches / sizeof batches[0]; b += divisor> 1 ? 3 : 1)
                play_all(2, batches[b], h, 1, &sum);
            dd_hierarchy_close(h);
        }
    print_played("lane depth 2", &sum);
    assert_int_equal(sum.highest, 7);
}

static void test_lane_depth_3(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1728, 1, 300, 2000};
    static const uint32_t workers[] = {2, 1728, 12, 144, 145, 1000};
    played sum = {0};
    for (uint32_t i = 0; i < (divisor > 1 ? 2 : sizeof workers / sizeof workers[0]); i++) {
        dd_hierarchy *h;
        assert_int_equal(dd_hierarchy_open(3, workers[i], &h), DD_OK);
        for (uint32_t b = 0; b < (divisor > 1 ? 1 : sizeof batches / sizeof batches[0]); b++)
            play_all(3, batches[b], h, 1, &sum);
        dd_hierarchy_close(h);
    }
    print_played("lane depth 3", &sum);
    assert_int_equal(sum.highest, 10);
}

#ifdef DD_CHECK_EDGES
/* All that went before: every edge along a contact, and triangles did carry folds and steals. */
static void test_edges_are_contacts(void **state)
{
    (void)state;
    dd_edge_count count[DD_EDGE_KINDS];
    dd_place acting = {0}, owner = {0};
    dd_edges_take(count, &acting, &owner);
    if (count[DD_EDGE_FOLD].apart || count[DD_EDGE_STEAL].apart)
        fail_msg("{%u, %u} acted on what is {%u, %u}'s", acting.level, acting.path, owner.level,
                 owner.path);
    assert_true(count[DD_EDGE_FOLD].triangle > 0 && count[DD_EDGE_FOLD].centre > 0);
    assert_true(count[DD_EDGE_STEAL].triangle > 0 && count[DD_EDGE_STEAL].neighbour > 0);
    assert_true(count[DD_EDGE_STEAL].centre > 0);
}
#endif

/* ---- Real threads ---- */

/* Everything here but the combine is plain memory, ordered by it and by the barrier. */
typedef struct hammer {
    const dd_plan *plan;
    dd_combine *combine;
    dd_pbarrier *barrier;
    uint32_t rounds, wrong;
    uint64_t value[DD_POSITIONS * 4];
    struct hammer_worker {
        _Alignas(DD_CACHE_LINE) struct hammer *hammer;
        dd_thread thread;
        uint32_t number, roots;
    } worker[DD_POSITIONS];
} hammer;

static uint64_t minus_half(uint64_t left, uint64_t right)
{
    return 3 * left - right; /* order and grouping tell */
}

static void hammer_fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    hammer *h = user;
    (void)thread;
    h->value[into] = minus_half(h->value[into], h->value[from]);
}

static void hammer_step(hammer *h, struct hammer_worker *self, dd_folder *folder, uint32_t round)
{
    uint32_t n, root;
    const dd_op *ops = dd_plan_ops(h->plan, self->number, &n);
    for (const dd_op *op = ops; op < ops + n; op++) {
        switch (op->kind) {
        case DD_OP_RUN_STORE:
            h->value[op->into] = op->lane + round;
            break;
        case DD_OP_RUN_FOLD:
            h->value[op->into] = minus_half(h->value[op->into], op->lane + round);
            break;
        case DD_OP_FOLD:
            hammer_fold(h, self->number, op->into, op->from);
            break;
        case DD_OP_POST:
            if (dd_combine_arrive(h->combine, op->node, op->right, op->acting, op->from, folder,
                                  NULL, NULL, &root)) {
                uint64_t p[DD_POSITIONS], tri[4];
                for (uint32_t i = 0; i < DD_POSITIONS; i++)
                    p[i] = i + round;
                for (uint32_t i = 0; i < 4; i++)
                    tri[i] = minus_half(minus_half(p[3 * i], p[3 * i + 1]), p[3 * i + 2]);
                h->wrong += h->value[root] !=
                            minus_half(minus_half(tri[0], tri[1]), minus_half(tri[2], tri[3]));
                self->roots++;
            }
            break;
        }
    }
}

static void hammer_main(void *arg)
{
    struct hammer_worker *self = arg;
    hammer *h = self->hammer;
    dd_folder folder = {.user = h, .thread = self->number, .fold = hammer_fold};
    for (uint32_t round = 0; round < h->rounds; round++) {
        dd_pbarrier_wait(h->barrier);
        hammer_step(h, self, &folder, round);
    }
}

static void test_threads_combine(void **state)
{
    (void)state;
    const uint64_t weight[DD_POSITIONS] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (uint32_t workers = 2; workers <= DD_POSITIONS; workers += 5) {
        dd_hierarchy *hierarchy;
        dd_share share[DD_POSITIONS];
        dd_plan *plan;
        hammer h = {.rounds = 3000 / divisor};
        assert_int_equal(dd_hierarchy_open(1, workers, &hierarchy), DD_OK);
        assert_int_equal(dd_placement(weight, 1, workers, NULL, share), DD_OK);
        assert_int_equal(dd_plan_open(weight, 1, hierarchy, share, DD_PLAN_FOLDING, &plan), DD_OK);
        assert_int_equal(dd_combine_open(plan, DD_REDUCE_TREE, &h.combine), DD_OK);
        h.plan = plan;
        h.barrier = dd_pbarrier_open(workers);
        assert_non_null(h.barrier);
        for (uint32_t w = 0; w < workers; w++) {
            h.worker[w] = (struct hammer_worker){.hammer = &h, .number = w};
            assert_int_equal(
                dd_thread_create(&h.worker[w].thread, "fold", 0, hammer_main, &h.worker[w]), 0);
        }
        uint32_t roots = 0;
        for (uint32_t w = 0; w < workers; w++) {
            dd_thread_join(&h.worker[w].thread);
            roots += h.worker[w].roots;
        }
        assert_int_equal(roots, h.rounds);
        assert_int_equal(h.wrong, 0);
        dd_pbarrier_close(h.barrier);
        dd_combine_close(h.combine);
        dd_plan_close(plan);
        dd_hierarchy_close(hierarchy);
    }
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lane_depth_1),       cmocka_unit_test(test_lane_depth_2),
        cmocka_unit_test(test_lane_depth_3),       cmocka_unit_test(test_mixed_hierarchies),
        cmocka_unit_test(test_threads_combine),
#ifdef DD_CHECK_EDGES
        cmocka_unit_test(test_edges_are_contacts),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
