/* SPDX-License-Identifier: MIT
 * core/control: the step protocol with real threads. The work is a fake that builds expressions
 * instead of gradients and counts every call; its memory is plain, so that a missing order is a
 * race for the detectors. An argument divides the repetitions, for them. */
#define _GNU_SOURCE /* opendir, sched_yield, mallinfo2 */
#include <dirent.h>
#include <errno.h>
#include <fenv.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform.h"
#include "team.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

static uint32_t divisor = 1;

/* The next size of team to try: all of them, or a few when repetitions are divided. */
static uint32_t next_size(uint32_t workers)
{
    return workers + (divisor == 1 ? 1 : workers < 4 ? 2 : 9);
}

/* ---- Thread creation that fails on demand ---- */

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __wrap_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static uint32_t creations_left = UINT32_MAX;

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *arg)
{
    if (creations_left != UINT32_MAX && creations_left-- == 0)
        return EAGAIN;
    return __real_pthread_create(id, attributes, run, arg);
}

/* ---- The fake work ---- */

enum { EXPRESSION = 128, MAX_SEGMENTS = 4 * DD_POSITIONS };
#define NOBODY UINT32_C(0xabcdef)

typedef struct fixture fixture;
struct fixture {
    uint64_t weight[DD_POSITIONS];
    uint32_t n_workers, n_lanes;
    dd_share share[DD_POSITIONS];
    dd_plan *plan;
    dd_team *team;
    char expected[EXPRESSION];
    bool accept; /* what verdict says */
    /* written by the work, in the order of the protocol */
    char segment[MAX_SEGMENTS][EXPRESSION];
    uint32_t lane_runs[DD_POSITIONS], each_runs[DD_POSITIONS];
    uint32_t updates[DD_POSITIONS];
    uint32_t verdicts, roots, root_thread;
    char root[EXPRESSION];    /* at root() */
    char decided[EXPRESSION]; /* at verdict(); "" when cancelled */
    /* called, if set, inside the callbacks of one lane, of verdict and of update */
    void (*in_lane)(fixture *f, uint32_t worker, uint32_t lane);
    void (*in_verdict)(void);
    void (*in_update)(uint32_t worker);
};

static void join(char *left, const char *right)
{
    char sum[2 * EXPRESSION + 4];
    snprintf(sum, sizeof sum, "(%s+%s)", left, right);
    memcpy(left, sum, EXPRESSION - 1);
}

static void fake_lane(void *user, uint32_t worker, uint32_t lane, uint32_t segment, bool fold)
{
    fixture *f = user;
    const char value[2] = {(char)('a' + lane), '\0'};
    if (f->in_lane)
        f->in_lane(f, worker, lane);
    f->lane_runs[lane]++;
    if (fold)
        join(f->segment[segment], value);
    else
        memcpy(f->segment[segment], value, sizeof value);
}

static void fake_fold(void *user, uint32_t thread, uint32_t into, uint32_t from)
{
    fixture *f = user;
    (void)thread;
    join(f->segment[into], f->segment[from]);
    f->segment[from][0] = '\0';
}

static void fake_root(void *user, uint32_t thread, uint32_t segment)
{
    fixture *f = user;
    f->roots++;
    f->root_thread = thread;
    memcpy(f->root, f->segment[segment], EXPRESSION);
}

static bool fake_verdict(void *user, uint32_t segment)
{
    fixture *f = user;
    f->verdicts++;
    f->decided[0] = '\0';
    if (segment != DD_NO_SEGMENT)
        memcpy(f->decided, f->segment[segment], EXPRESSION);
    if (f->in_verdict)
        f->in_verdict();
    return f->accept;
}

static void fake_update(void *user, uint32_t worker)
{
    fixture *f = user;
    f->updates[worker] += f->decided[0] ? 1 : 1000; /* never without what verdict decided on */
    if (f->in_update)
        f->in_update(worker);
}

static void fake_each(void *user, uint32_t worker, uint32_t lane, uint32_t segment)
{
    fixture *f = user;
    uint32_t first, n = dd_plan_segments(f->plan, worker, &first);
    f->each_runs[lane] += n > 0 && segment == first;
}

/* NUMERICS 7 at depth 1: expected = ((t0+t1)+(t2+t3)), absent operands skipped. */
static void join_present(char *left, const char *right)
{
    if (left[0] && right[0])
        join(left, right);
    else if (right[0])
        memcpy(left, right, EXPRESSION);
}

static void expect(fixture *f)
{
    char triangle[4][EXPRESSION] = {{0}};
    for (uint32_t p = 0; p < DD_POSITIONS; p++) {
        char value[EXPRESSION] = {f->weight[p] ? (char)('a' + p) : '\0'};
        join_present(triangle[p / 3], value);
    }
    join_present(triangle[0], triangle[1]);
    join_present(triangle[2], triangle[3]);
    join_present(triangle[0], triangle[2]);
    memcpy(f->expected, triangle[0], EXPRESSION);
}

static void fixture_prepare(fixture *f, uint64_t batch, uint32_t n_workers)
{
    *f = (fixture){.n_workers = n_workers, .accept = true};
    for (uint64_t l = 0; l < DD_POSITIONS; l++) {
        f->weight[l] = (l + 1) * batch / DD_POSITIONS - l * batch / DD_POSITIONS;
        f->n_lanes += f->weight[l] > 0;
    }
    expect(f);
    dd_placement(f->weight, n_workers, f->share);
    assert_int_equal(dd_plan_open(f->weight, n_workers, f->share, &f->plan), DD_OK);
}

static dd_status fixture_start(fixture *f, dd_team_options options)
{
    const dd_work work = {.user = f,
                          .lane = fake_lane,
                          .fold = fake_fold,
                          .root = fake_root,
                          .verdict = fake_verdict,
                          .update = fake_update,
                          .each = fake_each};
    return dd_team_open(f->plan, f->share, &work, &options, &f->team);
}

static void fixture_open(fixture *f, uint64_t batch, uint32_t n_workers, dd_team_options options)
{
    fixture_prepare(f, batch, n_workers);
    assert_int_equal(fixture_start(f, options), DD_OK);
}

static void fixture_close(fixture *f)
{
    dd_team_close(f->team);
    dd_plan_close(f->plan);
    f->team = NULL;
    f->plan = NULL;
}

/* Sums over all workers; Node Zero must never have had a lane. */
static dd_worker_counters totals(const fixture *f)
{
    dd_worker_counters c, sum;
    dd_team_counters(f->team, DD_NODE_ZERO, &sum);
    assert_int_equal(sum.lanes_done + sum.lanes_cancelled, 0);
    for (uint32_t w = 0; w < f->n_workers; w++) {
        dd_team_counters(f->team, w, &c);
        sum.lanes_done += c.lanes_done;
        sum.lanes_cancelled += c.lanes_cancelled;
        sum.folds += c.folds;
    }
    return sum;
}

static dd_status step(fixture *f)
{
    return dd_team_request(f->team, DD_TEAM_STEP, NULL, NULL);
}

/* ---- Steps ---- */

/* A step that goes through, checked whole. */
static void good_step(fixture *f, dd_reduce reduce)
{
    const uint32_t roots = f->roots, verdicts = f->verdicts;
    uint32_t lane_runs[DD_POSITIONS], updates[DD_POSITIONS];
    memcpy(lane_runs, f->lane_runs, sizeof lane_runs);
    memcpy(updates, f->updates, sizeof updates);
    const dd_worker_counters before = totals(f);
    f->root_thread = NOBODY;

    assert_int_equal(step(f), DD_OK);
    assert_string_equal(f->root, f->expected);
    assert_string_equal(f->decided, f->expected);
    assert_int_equal(f->roots, roots + 1);
    assert_int_equal(f->verdicts, verdicts + 1);
    bool by_node_zero = reduce == DD_REDUCE_CONTROL && dd_plan_n_nodes(f->plan) > 0;
    assert_true(by_node_zero ? f->root_thread == DD_NODE_ZERO : f->root_thread < f->n_workers);
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        assert_int_equal(f->lane_runs[l] - lane_runs[l], f->weight[l] > 0);
    for (uint32_t w = 0; w < f->n_workers; w++)
        assert_int_equal(f->updates[w] - updates[w], f->accept);
    const dd_worker_counters after = totals(f);
    assert_int_equal(after.lanes_done - before.lanes_done, f->n_lanes);
    assert_int_equal(after.folds - before.folds, f->n_lanes - 1);
    assert_int_equal(after.lanes_cancelled, before.lanes_cancelled);
}

static void good_each(fixture *f)
{
    uint32_t runs[DD_POSITIONS];
    memcpy(runs, f->each_runs, sizeof runs);
    const uint32_t roots = f->roots, verdicts = f->verdicts;
    assert_int_equal(dd_team_request(f->team, DD_TEAM_EACH, NULL, NULL), DD_OK);
    for (uint32_t l = 0; l < DD_POSITIONS; l++)
        assert_int_equal(f->each_runs[l] - runs[l], f->weight[l] > 0);
    assert_int_equal(f->roots, roots);
    assert_int_equal(f->verdicts, verdicts);
}

static void whole_protocol(uint64_t batch, uint32_t workers, dd_team_options options)
{
    fixture f;
    fixture_open(&f, batch, workers, options);
    uint64_t beats = dd_team_heartbeat(f.team);
    const uint32_t rounds = 16 / divisor + 2;
    for (uint32_t i = 0; i < rounds; i++) {
        f.accept = i % 4 != 2;
        good_step(&f, options.reduce);
        if (i % 3 == 0)
            good_each(&f);
        assert_true(dd_team_heartbeat(f.team) > beats);
        beats = dd_team_heartbeat(f.team);
    }
    assert_int_equal(dd_team_requests(f.team), rounds + (rounds + 2) / 3);
    uint64_t cpu_ns, wall_ns;
    dd_team_idle(f.team, &cpu_ns, &wall_ns);
    assert_true(wall_ns > 0);
    fixture_close(&f);
}

static void test_every_shape_of_team(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1, 5, 12, 17, 40};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++)
        for (uint32_t workers = 1; workers <= DD_POSITIONS; workers = next_size(workers))
            for (int kind = 0; kind < 4; kind++) {
                dd_team_options options = {.barrier =
                                               kind & 1 ? DD_BARRIER_TREE : DD_BARRIER_PTHREAD,
                                           .reduce = kind & 2 ? DD_REDUCE_TREE : DD_REDUCE_CONTROL,
                                           .may_spin = workers == 1 && b % 2};
                whole_protocol(batches[b], workers, options);
            }
}

static void test_generations_wrap(void **state)
{
    (void)state;
    static const uint32_t starts[] = {INT32_MAX - 3u, UINT32_MAX - 3u};
    for (int s = 0; s < 2; s++)
        for (uint32_t workers = 1; workers <= 5; workers += 2)
            whole_protocol(12, workers,
                           (dd_team_options){.generation = starts[s], .stack_bytes = 256 * 1024});
}

/* ---- Cancelling ---- */

static void test_cancel_before_a_request(void **state)
{
    (void)state;
    for (int request = DD_TEAM_STEP; request <= DD_TEAM_EACH; request++) {
        fixture f;
        fixture_open(&f, 12, 5, (dd_team_options){.reduce = DD_REDUCE_CONTROL});
        good_step(&f, DD_REDUCE_CONTROL);
        dd_team_cancel(f.team);
        dd_team_cancel(f.team); /* answered together */
        assert_int_equal(dd_team_request(f.team, (dd_request)request, NULL, NULL),
                         DD_ERR_CANCELLED);
        assert_int_equal(totals(&f).lanes_done, 12);
        assert_int_equal(totals(&f).lanes_cancelled, 12);
        assert_int_equal(f.roots, 1);
        assert_int_equal(f.verdicts, request == DD_TEAM_STEP ? 2 : 1);
        assert_true(request != DD_TEAM_STEP || f.decided[0] == '\0');
        for (uint32_t w = 0; w < 5; w++)
            assert_int_equal(f.updates[w], 1);
        good_step(&f, DD_REDUCE_CONTROL);
        fixture_close(&f);
    }
}

static void cancel_in_lane_5(fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    if (lane == 5)
        dd_team_cancel(f->team);
}

static void cancel_in_last_lane(fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    if (lane == DD_POSITIONS - 1)
        dd_team_cancel(f->team);
}

static void test_cancel_inside_a_request(void **state)
{
    (void)state;
    fixture f;
    fixture_open(&f, 12, 1, (dd_team_options){0});
    f.in_lane = cancel_in_lane_5;
    assert_int_equal(step(&f), DD_ERR_CANCELLED);
    assert_int_equal(totals(&f).lanes_done, 6); /* the lane that had begun was finished */
    assert_int_equal(totals(&f).lanes_cancelled, 6);
    assert_int_equal(f.roots + f.updates[0], 0);

    /* Too late for this step, which goes through; the next one answers. */
    f.in_lane = cancel_in_last_lane;
    assert_int_equal(step(&f), DD_OK);
    assert_int_equal(f.updates[0], 1);
    f.in_lane = NULL;
    assert_int_equal(step(&f), DD_ERR_CANCELLED);
    assert_int_equal(totals(&f).lanes_done, 18);
    good_step(&f, DD_REDUCE_TREE);
    fixture_close(&f);
}

/* Cancels at arbitrary moments until told to stop. */
typedef struct canceller {
    fixture *f;
    dd_thread thread;
    dd_atomic_u32 stop;
    uint32_t seed, n_cancels;
} canceller;

static void canceller_main(void *arg)
{
    canceller *c = arg;
    while (!dd_u32_load(&c->stop, DD_ACQUIRE)) {
        c->seed = c->seed * 1664525u + 1013904223u;
        for (uint32_t n = c->seed >> 25; n; n--)
            sched_yield();
        dd_team_cancel(c->f->team);
        c->n_cancels++;
    }
}

static void cancel_at_random(uint32_t workers, dd_team_options options)
{
    fixture f;
    fixture_open(&f, 17, workers, options);
    canceller c = {.f = &f, .seed = workers};
    dd_u32_init(&c.stop, 0);
    assert_int_equal(dd_thread_create(&c.thread, "canceller", 0, canceller_main, &c), 0);

    uint32_t n_ok = 0, n_cancelled = 0;
    for (uint32_t i = 0; i < 300 / divisor + 5; i++) {
        const uint32_t updates = f.updates[0], roots = f.roots;
        dd_status st = step(&f);
        assert_true(st == DD_OK || st == DD_ERR_CANCELLED);
        ++*(st == DD_OK ? &n_ok : &n_cancelled);
        assert_string_equal(f.decided, st == DD_OK ? f.expected : "");
        assert_int_equal(f.roots - roots, st == DD_OK);
        for (uint32_t w = 0; w < workers; w++)
            assert_int_equal(f.updates[w] - updates, st == DD_OK);
    }
    dd_u32_store(&c.stop, 1, DD_RELEASE);
    dd_thread_join(&c.thread);
    dd_u32_forget(&c.stop);

    const dd_worker_counters sum = totals(&f);
    assert_int_equal(sum.lanes_done + sum.lanes_cancelled, (n_ok + n_cancelled) * f.n_lanes);
    assert_true(sum.lanes_done >= n_ok * f.n_lanes);
    assert_true(n_cancelled <= c.n_cancels);
    if (step(&f) == DD_ERR_CANCELLED) /* at most one is still asked for */
        assert_int_equal(step(&f), DD_OK);
    fixture_close(&f);
}

static void test_cancel_at_random_moments(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= DD_POSITIONS; workers += 1 + workers / 2)
        for (int kind = 0; kind < 4; kind++)
            cancel_at_random(workers, (dd_team_options){.barrier = (dd_barrier)(kind & 1),
                                                        .reduce = (dd_reduce)(kind >> 1)});
}

/* ---- Floating-point environment ---- */

static void spoil_fp_env(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x40u); /* denormals are zero, as -ffast-math sets it */
    if (dd_fp_env() != DD_FP_ENV_DEFAULT)
        return; /* valgrind does not model that bit */
#endif
    fesetround(FE_TOWARDZERO);
}

static void spoil_in_lane_7(fixture *f, uint32_t worker, uint32_t lane)
{
    (void)f;
    (void)worker;
    if (lane == 7)
        spoil_fp_env();
}

static void spoil_in_update(uint32_t worker)
{
    if (worker == 1)
        spoil_fp_env();
}

static void expect_fp_error(fixture *f, uint32_t culprit)
{
    uint32_t who = NOBODY, fp_env = DD_FP_ENV_DEFAULT;
    const uint32_t updates = f->updates[0];
    assert_int_equal(dd_team_request(f->team, DD_TEAM_STEP, &who, &fp_env), DD_ERR_FP_ENV);
    assert_int_equal(who, culprit);
    assert_int_not_equal(fp_env, DD_FP_ENV_DEFAULT);
    assert_int_equal(f->updates[0], updates);
    assert_int_equal(dd_team_request(f->team, DD_TEAM_EACH, NULL, NULL), DD_ERR_FP_ENV);
}

static void test_changed_fp_env_is_an_error(void **state)
{
    (void)state;
    for (int reduce = DD_REDUCE_TREE; reduce <= DD_REDUCE_CONTROL; reduce++) {
        const dd_team_options options = {.reduce = (dd_reduce)reduce};
        fixture f;
        /* changed while lanes run: found on arrival at B, before it can do harm */
        fixture_open(&f, 12, 3, options);
        f.in_lane = spoil_in_lane_7;
        expect_fp_error(&f, 1);
        fixture_close(&f);
        /* changed after V: found at the next A; that worker runs nothing, the others do */
        fixture_open(&f, 12, 3, options);
        f.in_update = spoil_in_update;
        good_step(&f, options.reduce);
        expect_fp_error(&f, 1);
        dd_worker_counters c;
        dd_team_counters(f.team, 1, &c);
        assert_int_equal(c.lanes_done, 4);
        assert_int_equal(c.lanes_cancelled, 8);
        dd_team_counters(f.team, 2, &c);
        assert_int_equal(c.lanes_done, 12);
        fixture_close(&f);
        /* Node Zero's own */
        fixture_open(&f, 12, 3, options);
        f.in_verdict = spoil_fp_env;
        good_step(&f, options.reduce);
        expect_fp_error(&f, DD_NODE_ZERO);
        fixture_close(&f);
    }
}

/* ---- Life and death ---- */

static uint32_t entries(const char *path)
{
    DIR *directory = opendir(path);
    assert_non_null(directory);
    uint32_t n = 0;
    while (readdir(directory))
        n++;
    closedir(directory);
    return n;
}

/* A joined thread leaves /proc a moment after its join. */
static void assert_threads(uint32_t n)
{
    uint64_t give_up_ns = dd_now_ns() + UINT64_C(10000000000);
    while (entries("/proc/self/task") != n && dd_now_ns() < give_up_ns)
        sched_yield();
    assert_int_equal(entries("/proc/self/task"), n);
}

static void open_and_close(uint32_t i)
{
    fixture f;
    fixture_open(&f, 12, i % DD_POSITIONS + 1,
                 (dd_team_options){.barrier = (dd_barrier)(i / DD_POSITIONS % 2)});
    if (i % 2)
        assert_int_equal(step(&f), DD_OK);
    fixture_close(&f);
}

static void test_opening_and_closing_leaves_nothing(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 24; i++)
        open_and_close(i);
    const uint32_t n_threads = entries("/proc/self/task"), n_files = entries("/proc/self/fd");
    const size_t bytes = mallinfo2().uordblks;
    for (uint32_t i = 0; i < 1000 / divisor; i++)
        open_and_close(i);
    assert_threads(n_threads);
    assert_int_equal(entries("/proc/self/fd"), n_files);
    assert_int_equal(mallinfo2().uordblks, bytes);
}

static void test_thread_creation_failure(void **state)
{
    (void)state;
    const uint32_t n_threads = entries("/proc/self/task");
    for (int barrier = DD_BARRIER_TREE; barrier <= DD_BARRIER_PTHREAD; barrier++)
        for (uint32_t workers = 1; workers <= DD_POSITIONS; workers = next_size(workers))
            for (uint32_t k = 0; k <= workers; k++) {
                fixture f;
                fixture_prepare(&f, 12, workers);
                dd_team_options options = {.barrier = (dd_barrier)barrier};
                creations_left = k;
                dd_status st = fixture_start(&f, options);
                creations_left = UINT32_MAX;
                assert_int_equal(st, DD_ERR_THREAD);
                /* and works when threads can be had again */
                assert_int_equal(fixture_start(&f, options), DD_OK);
                assert_int_equal(step(&f), DD_OK);
                fixture_close(&f);
            }
    assert_threads(n_threads);
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape_of_team),
        cmocka_unit_test(test_generations_wrap),
        cmocka_unit_test(test_cancel_before_a_request),
        cmocka_unit_test(test_cancel_inside_a_request),
        cmocka_unit_test(test_cancel_at_random_moments),
        cmocka_unit_test(test_changed_fp_env_is_an_error),
        cmocka_unit_test(test_opening_and_closing_leaves_nothing),
        cmocka_unit_test(test_thread_creation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
