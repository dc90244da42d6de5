/* SPDX-License-Identifier: MIT
 * core/sync: eventcounts, the four points, the fold plan and the combining tree. The fold is run
 * with expressions for gradients and compared with NUMERICS 7 written down anew. An argument
 * divides the rounds, for race detectors. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "eventcount.h"
#include "fold.h"
#include "points.h"

static uint32_t divisor = 1;

/* Generations from which a few rounds pass every wrap of 31 and 32 bits. */
static const uint32_t starts[] = {0, INT32_MAX - 3u, UINT32_MAX - 3u};
enum { N_STARTS = sizeof starts / sizeof starts[0] };

static uint32_t random_below(uint64_t *seed, uint32_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % n);
}

/* ---- Eventcount ---- */

/* Two threads that take turns, each sleeping until the other is through. */
typedef struct ping_pong {
    dd_eventcount ping, pong;
    uint32_t start, rounds, spins;
    uint32_t value; /* plain: whose turn it is writes */
} ping_pong;

static void pong_main(void *arg)
{
    ping_pong *p = arg;
    for (uint32_t i = 0; i < p->rounds; i++) {
        dd_eventcount_await(&p->ping, p->start + i, p->spins);
        p->value++;
        dd_eventcount_advance(&p->pong);
    }
}

static void test_eventcount_takes_turns(void **state)
{
    (void)state;
    for (uint32_t s = 0; s < N_STARTS; s++) {
        for (uint32_t spins = 0; spins <= 100; spins += 100) {
            ping_pong p = {.start = starts[s], .rounds = 2000 / divisor + 10, .spins = spins};
            dd_eventcount_init(&p.ping, p.start);
            dd_eventcount_init(&p.pong, p.start);
            dd_thread thread;
            assert_int_equal(dd_thread_create(&thread, "pong", 0, pong_main, &p), 0);
            for (uint32_t i = 0; i < p.rounds; i++) {
                assert_int_equal(p.value, 2 * i);
                p.value++;
                dd_eventcount_advance(&p.ping);
                dd_eventcount_await(&p.pong, p.start + i, spins);
            }
            dd_thread_join(&thread);
            assert_int_equal(p.value, 2 * p.rounds);
            dd_eventcount_forget(&p.ping);
            dd_eventcount_forget(&p.pong);
        }
    }
}

/* Wakes that no advance goes with, as the kernel allows itself: the sleeper must stay. */
typedef struct stray {
    dd_eventcount gate;
    dd_atomic_u32 passed;
} stray;

static void stray_main(void *arg)
{
    stray *s = arg;
    dd_eventcount_await(&s->gate, 0, 0);
    dd_u32_store(&s->passed, 1, DD_RELEASE);
}

static void test_eventcount_ignores_stray_wakes(void **state)
{
    (void)state;
    stray s;
    dd_thread thread;
    dd_eventcount_init(&s.gate, 0);
    dd_u32_init(&s.passed, 0);
    assert_int_equal(dd_thread_create(&thread, "stray", 0, stray_main, &s), 0);
    /* the flag says that it sleeps or is about to */
    assert_true(DD_AWAIT(dd_u32_load(&s.gate.word, DD_ACQUIRE) == 1, DD_FOREVER));
    for (int i = 0; i < 1000; i++) {
        dd_futex_wake(&s.gate.word, UINT32_MAX);
        sched_yield();
        assert_int_equal(dd_u32_load(&s.passed, DD_ACQUIRE), 0);
    }
    dd_eventcount_advance(&s.gate);
    dd_thread_join(&thread);
    assert_int_equal(dd_u32_load(&s.passed, DD_ACQUIRE), 1);
    dd_u32_forget(&s.passed);
    dd_eventcount_forget(&s.gate);
}

/* ---- Points ---- */

/* Everything here but `points` is plain memory, ordered by the points alone. */
typedef struct hammer {
    dd_points *points;
    uint32_t rounds, workers;
    uint32_t published; /* Node Zero before A and V */
    struct hammer_worker {
        _Alignas(DD_CACHE_LINE) struct hammer *hammer;
        dd_thread thread;
        uint32_t number, arrivals, wrong;
    } worker[DD_POSITIONS];
} hammer;

static void hammer_main(void *arg)
{
    struct hammer_worker *self = arg;
    hammer *h = self->hammer;
    for (uint32_t i = 0; i < h->rounds; i++) {
        dd_points_worker(h->points, self->number, DD_POINT_A);
        self->wrong += h->published != 2 * i + 1;
        self->arrivals++;
        dd_points_worker(h->points, self->number, DD_POINT_B);
        dd_points_worker(h->points, self->number, DD_POINT_V);
        self->wrong += h->published != 2 * i + 2;
        self->arrivals++;
        dd_points_worker(h->points, self->number, DD_POINT_U);
    }
}

/* Node Zero: after a collection every worker must have arrived, and none may have gone further. */
static uint32_t hammer_node_zero(hammer *h)
{
    uint32_t wrong = 0;
    for (uint32_t i = 1; i <= 2 * h->rounds; i++) {
        h->published = i;
        dd_points_node_zero(h->points, i % 2 ? DD_POINT_A : DD_POINT_V);
        dd_points_node_zero(h->points, i % 2 ? DD_POINT_B : DD_POINT_U);
        for (uint32_t w = 0; w < h->workers; w++)
            wrong += h->worker[w].arrivals != i;
    }
    return wrong;
}

static void hammer_points(dd_barrier kind, uint32_t workers, const uint32_t *position,
                          uint32_t spins, uint32_t start, uint32_t rounds)
{
    hammer h = {.rounds = rounds, .workers = workers};
    assert_int_equal(dd_points_open(kind, workers, position, spins, start, &h.points), DD_OK);
    for (uint32_t w = 0; w < workers; w++) {
        struct hammer_worker *worker = &h.worker[w];
        worker->hammer = &h;
        worker->number = w;
        assert_int_equal(dd_thread_create(&worker->thread, "hammer", 0, hammer_main, worker), 0);
    }
    uint32_t wrong = hammer_node_zero(&h);
    for (uint32_t w = 0; w < workers; w++) {
        dd_thread_join(&h.worker[w].thread);
        wrong += h.worker[w].wrong;
    }
    dd_points_close(h.points);
    assert_int_equal(wrong, 0);
}

static const uint32_t all_positions[DD_POSITIONS] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

static void test_points_tree_hammer(void **state)
{
    (void)state;
    hammer_points(DD_BARRIER_TREE, DD_POSITIONS, all_positions, 0, 0, 10000 / divisor);
}

static void test_points_pthread_hammer(void **state)
{
    (void)state;
    hammer_points(DD_BARRIER_PTHREAD, DD_POSITIONS, all_positions, 0, 0, 10000 / divisor);
}

static void test_points_of_every_size(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++)
        for (uint32_t s = 0; s < N_STARTS; s++)
            for (uint32_t spins = 0; spins <= 200; spins += 200)
                for (int kind = DD_BARRIER_TREE; kind <= DD_BARRIER_PTHREAD; kind++) {
                    /* all positions from one triangle, from two, ... in turn */
                    const uint32_t *position = all_positions + (DD_POSITIONS - workers) * s / 2;
                    hammer_points((dd_barrier)kind, workers, position, spins, starts[s],
                                  40 / divisor + 8);
                }
}

/* ---- Plans ---- */

enum { EXPRESSION = 128 };

/* An expression: "" is absent. */
typedef struct value {
    char text[EXPRESSION];
} value;

static value joined(value left, value right)
{
    value sum;
    if (!left.text[0] || !right.text[0])
        return left.text[0] ? left : right;
    int n = snprintf(sum.text, sizeof sum.text, "(%s+%s)", left.text, right.text);
    assert_in_range(n, 1, EXPRESSION - 1);
    return sum;
}

static value lane_value(uint32_t lane)
{
    value v = {.text = {(char)('a' + lane)}};
    return v;
}

/* NUMERICS 7, depth 1. */
static value canonical(const uint64_t weight[DD_POSITIONS])
{
    value position[DD_POSITIONS], triangle[4];
    for (uint32_t p = 0; p < DD_POSITIONS; p++)
        position[p] = weight[p] ? lane_value(p) : (value){0};
    for (uint32_t i = 0; i < 4; i++)
        triangle[i] = joined(joined(position[3 * i], position[3 * i + 1]), position[3 * i + 2]);
    return joined(joined(triangle[0], triangle[1]), joined(triangle[2], triangle[3]));
}

typedef struct fixture {
    uint64_t weight[DD_POSITIONS];
    uint32_t n_workers, n_lanes;
    dd_share share[DD_POSITIONS];
    dd_plan *plan;
    dd_combine *combine;
    /* an execution by one thread that plays all workers */
    value segment[DD_POSITIONS * 4];
    bool posted[DD_POSITIONS * 4];
    uint32_t lanes_run[DD_POSITIONS];
    uint64_t n_folds;
    uint32_t roots, root;
} fixture;

static void fixture_open(fixture *f, uint64_t batch, uint32_t n_workers)
{
    *f = (fixture){.n_workers = n_workers};
    for (uint64_t l = 0; l < DD_POSITIONS; l++) {
        f->weight[l] = (l + 1) * batch / DD_POSITIONS - l * batch / DD_POSITIONS;
        f->n_lanes += f->weight[l] > 0;
    }
    dd_placement(f->weight, n_workers, f->share);
    assert_int_equal(dd_plan_open(f->weight, n_workers, f->share, &f->plan), DD_OK);
    assert_int_equal(dd_combine_open(f->plan, &f->combine), DD_OK);
}

static void fixture_close(fixture *f)
{
    dd_combine_close(f->combine);
    dd_plan_close(f->plan);
}

/* Into an unposted segment, or by a shared fold into the posted left operand; `from` is used up. */
static void fold_values(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    fixture *f = user;
    (void)thread;
    assert_true(f->segment[into].text[0] && f->segment[from].text[0]);
    f->segment[into] = joined(f->segment[into], f->segment[from]);
    f->segment[from] = (value){0};
}

static void step_begin(fixture *f)
{
    memset(f->segment, 0, sizeof f->segment);
    memset(f->posted, 0, sizeof f->posted);
    memset(f->lanes_run, 0, sizeof f->lanes_run);
    f->n_folds = f->roots = 0;
}

static void step_op(fixture *f, const dd_op *op, uint32_t worker, dd_reduce reduce, bool cancelled)
{
    uint32_t first, n = dd_plan_segments(f->plan, worker, &first), root;
    const dd_share *share = &f->share[worker];
    switch (op->kind) {
    case DD_OP_RUN_STORE:
    case DD_OP_RUN_FOLD:
        assert_in_range(op->into, first, first + n - 1);
        assert_in_range(op->lane, share->first, share->first + share->count - 1);
        assert_true(f->weight[op->lane] && !f->posted[op->into]);
        f->lanes_run[op->lane]++;
        /* STORE needs a segment whose value nobody misses, FOLD one that holds the left operand */
        assert_int_equal(op->kind == DD_OP_RUN_FOLD, f->segment[op->into].text[0] != '\0');
        f->n_folds += op->kind == DD_OP_RUN_FOLD;
        f->segment[op->into] = joined(f->segment[op->into], lane_value(op->lane));
        break;
    case DD_OP_FOLD:
        assert_in_range(op->into, first, first + n - 1);
        assert_in_range(op->from, first, first + n - 1);
        assert_true(!f->posted[op->into] && !f->posted[op->from]);
        fold_values(f, worker, op->into, op->from);
        f->n_folds++;
        break;
    case DD_OP_POST:
        assert_in_range(op->from, first, first + n - 1);
        assert_false(f->posted[op->from]);
        f->posted[op->from] = true;
        uint32_t from = cancelled ? DD_NO_SEGMENT : op->from;
        if (reduce == DD_REDUCE_CONTROL && op->node != DD_NO_NODE)
            dd_combine_park(f->combine, op, from);
        else if (dd_combine_arrive(f->combine, op, from, worker, fold_values, f, &f->n_folds,
                                   &root)) {
            f->roots++;
            f->root = root;
        }
        break;
    }
}

/* Runs a step, each worker's ops in its order, workers interleaved at random. */
static void step_run(fixture *f, dd_reduce reduce, uint32_t cancelled_worker, uint64_t *seed)
{
    uint32_t done[DD_POSITIONS] = {0}, n_ops, waiting = 0;
    step_begin(f);
    for (uint32_t w = 0; w < f->n_workers; w++) {
        dd_plan_ops(f->plan, w, &n_ops);
        waiting += n_ops;
    }
    while (waiting) {
        uint32_t w = random_below(seed, f->n_workers);
        const dd_op *ops = dd_plan_ops(f->plan, w, &n_ops);
        if (done[w] == n_ops)
            continue;
        step_op(f, &ops[done[w]++], w, reduce, w == cancelled_worker);
        waiting--;
    }
    if (reduce == DD_REDUCE_CONTROL && dd_plan_n_nodes(f->plan)) {
        assert_int_equal(f->roots, 0);
        f->root = dd_combine_fold_parked(f->combine, UINT32_MAX, fold_values, f, &f->n_folds);
        f->roots++;
    }
    assert_int_equal(f->roots, 1);
}

static void test_fold_is_canonical(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (uint64_t batch = 1; batch <= 40; batch++)
        for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++) {
            fixture f;
            fixture_open(&f, batch, workers);
            value expected = canonical(f.weight);
            for (uint32_t run = 0; run < 24 / divisor + 1; run++) {
                step_run(&f, run % 8 ? DD_REDUCE_TREE : DD_REDUCE_CONTROL, UINT32_MAX, &seed);
                assert_string_equal(f.segment[f.root].text, expected.text);
                assert_int_equal(f.n_folds, f.n_lanes - 1);
                for (uint32_t l = 0; l < DD_POSITIONS; l++)
                    assert_int_equal(f.lanes_run[l], f.weight[l] > 0);
            }
            fixture_close(&f);
        }
}

static void test_cancelled_values_cancel_the_root(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++) {
        fixture f;
        fixture_open(&f, 12, workers);
        value expected = canonical(f.weight);
        for (uint32_t run = 0; run < 50; run++) {
            dd_reduce reduce = run % 2 ? DD_REDUCE_TREE : DD_REDUCE_CONTROL;
            step_run(&f, reduce, run % workers, &seed);
            assert_int_equal(f.root, DD_NO_SEGMENT);
            /* and leaves nothing behind for the next step */
            step_run(&f, reduce, UINT32_MAX, &seed);
            assert_string_equal(f.segment[f.root].text, expected.text);
        }
        fixture_close(&f);
    }
}

static void test_plan_bounds(void **state)
{
    (void)state;
    for (uint64_t batch = 1; batch <= 200; batch++)
        for (uint32_t workers = 1; workers <= DD_POSITIONS; workers++) {
            fixture f;
            fixture_open(&f, batch, workers);
            assert_int_equal(dd_plan_n_workers(f.plan), workers);
            uint32_t segments = 0, posts = 0;
            for (uint32_t w = 0; w < workers; w++) {
                uint32_t first, n_ops, n = dd_plan_segments(f.plan, w, &first);
                assert_in_range(n, f.share[w].count ? 1 : 0, f.share[w].count ? 4 : 0);
                assert_true(n == 0 || first == segments); /* consecutive, worker after worker */
                segments += n;
                uint32_t lane = 0;
                const dd_op *ops = dd_plan_ops(f.plan, w, &n_ops);
                for (const dd_op *op = ops; op < ops + n_ops; op++) {
                    posts += op->kind == DD_OP_POST;
                    if (op->kind != DD_OP_RUN_STORE && op->kind != DD_OP_RUN_FOLD)
                        continue;
                    assert_true(op == ops || op->lane > lane); /* ascending */
                    lane = op->lane;
                }
            }
            assert_int_equal(dd_plan_n_segments(f.plan), segments);
            /* every shared node has two operands: posts or other nodes */
            uint32_t n_nodes = dd_plan_n_nodes(f.plan);
            assert_int_equal(posts + (n_nodes ? n_nodes - 1 : 0), n_nodes ? 2 * n_nodes : 1);
            for (uint32_t n = 0; n < n_nodes; n++) {
                bool right;
                uint32_t parent = dd_plan_parent(f.plan, n, &right);
                assert_true(n + 1 == n_nodes ? parent == DD_NO_NODE
                                             : parent > n && parent < n_nodes);
            }
            fixture_close(&f);
        }
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eventcount_takes_turns),
        cmocka_unit_test(test_eventcount_ignores_stray_wakes),
        cmocka_unit_test(test_points_tree_hammer),
        cmocka_unit_test(test_points_pthread_hammer),
        cmocka_unit_test(test_points_of_every_size),
        cmocka_unit_test(test_fold_is_canonical),
        cmocka_unit_test(test_cancelled_values_cancel_the_root),
        cmocka_unit_test(test_plan_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
