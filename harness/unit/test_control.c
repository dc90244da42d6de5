/* SPDX-License-Identifier: MIT
 * core/control: the step protocol with real threads, in every shape of team; cancelling, the
 * floating-point environment, life and death. An argument divides the repetitions, for detectors.
 */
#define _GNU_SOURCE /* sched_yield, mallinfo2, nanosleep */
#include <fenv.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "platform.h"
#include "team_fixture.h"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define NOBODY UINT32_C(0xabcdef)

/* The next size of team to try: all of them, or a few when repetitions are divided. */
static uint32_t next_size(uint32_t workers)
{
    return workers + (divisor == 1 ? 1 : workers < 4 ? 2 : 9);
}

/* All barriers, reductions, and stealing or not: sixteen kinds. */
enum { KINDS = 16 };

static dd_team_options kind(uint32_t k)
{
    return (dd_team_options){.barrier = k & 1 ? DD_BARRIER_TREE : DD_BARRIER_PTHREAD,
                             .stealing = k / 2 % 2,
                             .reduce = (dd_reduce)(k / 4)};
}

/* ---- Steps ---- */

static void whole_protocol(team_fixture *f, uint32_t rounds)
{
    uint64_t beats = dd_team_heartbeat(f->team);
    for (uint32_t i = 0; i < rounds; i++) {
        f->accept = i % 4 != 2;
        team_good_step(f);
        if (i % 3 == 0)
            team_good_each(f);
        assert_true(dd_team_heartbeat(f->team) > beats);
        beats = dd_team_heartbeat(f->team);
    }
    assert_int_equal(dd_team_requests(f->team), rounds + (rounds + 2) / 3);
    assert_int_equal(dd_team_state(f->team), DD_STATE_RUNNING);
    uint64_t cpu_ns, most_ns, wall_ns;
    dd_team_idle(f->team, &cpu_ns, &most_ns, &wall_ns);
    assert_true(wall_ns > 0 && cpu_ns <= wall_ns);
    assert_true(most_ns > 0 && most_ns < cpu_ns);
    team_fixture_close(f);
}

static void test_every_shape_of_team(void **state)
{
    (void)state;
    static const uint64_t batches[] = {1, 5, 12, 17, 40};
    for (size_t b = 0; b < sizeof batches / sizeof batches[0]; b++)
        for (uint32_t workers = 1; workers <= DD_POSITIONS; workers = next_size(workers))
            for (uint32_t k = 0; k < KINDS; k++) {
                dd_team_options options = kind(k);
                options.cores = b % 2 ? DD_POSITIONS + 1 : 1; /* may spin; may not */
                team_fixture f;
                team_fixture_open(&f, 1, batches[b], 1, workers, options);
                whole_protocol(&f, 8 / divisor + 2);
            }
}

static void test_deep_teams(void **state)
{
    (void)state;
    static const struct {
        uint32_t lane_depth, batch, depth, workers;
    } shapes[] = {{1, 12, 2, 3},   {1, 12, 3, 12},  {2, 144, 1, 12},  {2, 100, 2, 5},
                  {2, 144, 2, 30}, {2, 200, 3, 7},  {2, 144, 2, 144}, {3, 1728, 1, 3},
                  {3, 500, 2, 20}, {3, 1728, 3, 60}};
    for (size_t s = 0; s<sizeof shapes / sizeof shapes[0]; s += divisor> 1 ? 3 : 1)
        for (uint32_t k = 0; k < KINDS; k++) {
            dd_team_options options = kind(k);
            options.stack_bytes = 128 * 1024;
            team_fixture f;
            team_fixture_open(&f, shapes[s].lane_depth, shapes[s].batch, shapes[s].depth,
                              shapes[s].workers, options);
            whole_protocol(&f, 4);
        }
}

/* Workers at different levels, and a control with a single child. */
static dd_hierarchy *mixed_tree(void)
{
    static const struct {
        const char *at;
        uint32_t n_children;
    } changes[] = {{"0", 3}, {"0.4", 12}, {"6", 1}};
    dd_hierarchy *h, *next;
    assert_int_equal(dd_hierarchy_open(1, 4, &h), DD_OK);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        assert_int_equal(
            dd_hierarchy_expand(h, team_place(changes[i].at), changes[i].n_children, &next, NULL),
            DD_OK);
        dd_hierarchy_close(h);
        h = next;
    }
    return h;
}

static void test_mixed_trees(void **state)
{
    (void)state;
    for (uint32_t lane_depth = 1; lane_depth <= 2; lane_depth++)
        for (uint32_t k = 0; k < KINDS; k++) {
            team_fixture f;
            assert_int_equal(team_fixture_start(&f, lane_depth, 130, mixed_tree(), kind(k)), DD_OK);
            whole_protocol(&f, 12 / divisor + 2);
        }
}

static void test_generations_wrap(void **state)
{
    (void)state;
    static const uint32_t starts[] = {INT32_MAX - 3u, UINT32_MAX - 3u};
    for (int s = 0; s < 2; s++)
        for (uint32_t workers = 1; workers <= 5; workers += 2)
            for (uint32_t k = 0; k < KINDS; k++) {
                dd_team_options options = kind(k);
                options.generation = starts[s];
                options.stack_bytes = 256 * 1024;
                team_fixture f;
                team_fixture_open(&f, 1, 12, workers > 2 ? 2 : 1, workers, options);
                whole_protocol(&f, 10);
            }
}

/* ---- Stealing ---- */

/* Worker 0 dawdles in its first lane until others have taken some of its lanes. */
static void dawdle(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)lane;
    const uint64_t until_ns = dd_now_ns() + UINT64_C(2000000000);
    while (worker == 0 && team_totals(f).steals == 0 && dd_now_ns() < until_ns)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void test_stealing_moves_lanes(void **state)
{
    (void)state;
    for (int reduce = DD_REDUCE_TREE; reduce <= DD_REDUCE_OWNER; reduce++) {
        team_fixture f;
        team_fixture_open(&f, 2, 144, 1, 4,
                          (dd_team_options){.reduce = (dd_reduce)reduce, .stealing = true});
        for (uint32_t i = 0; i < 20 / divisor + 5; i++) {
            f.in_lane = dawdle;
            team_good_step(&f);
        }
        assert_true(team_totals(&f).steals > 0);
        team_fixture_close(&f);
    }
}

/* ---- Slices ---- */

/* Worker 0 takes four times as long for a block. */
static void slow_update(team_fixture *f, uint32_t worker, uint64_t n_blocks)
{
    uint64_t *blocks = f->arg;
    blocks[worker] = n_blocks;
    const long ns = (long)n_blocks * (worker == 0 ? 80000 : 20000);
    nanosleep(&(struct timespec){.tv_nsec = ns}, NULL);
}

static void test_slices_follow_speed(void **state)
{
    (void)state;
    for (int reduce = DD_REDUCE_TREE; reduce <= DD_REDUCE_OWNER; reduce++)
        for (uint32_t cores = 1; cores <= 2; cores++) {
            uint64_t blocks[2];
            team_fixture f;
            team_fixture_open(&f, 1, 12, 1, 2,
                              (dd_team_options){.reduce = (dd_reduce)reduce, .cores = cores});
            f.arg = blocks;
            f.in_update = slow_update;
            for (uint32_t i = 0; i < 30; i++)
                team_good_step(&f);
            assert_int_equal(blocks[0] + blocks[1], FIXTURE_BLOCKS);
            if (cores == 2)
                assert_true(2 * blocks[0] < blocks[1]);
            else /* times of threads that share a core say nothing */
                assert_true(blocks[0] + 1 >= blocks[1] && blocks[1] + 1 >= blocks[0]);
            team_fixture_close(&f);
        }
}

/* ---- Cancelling ---- */

static void test_cancel_before_a_request(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 2 * KINDS; k++) {
        const dd_request request = k < KINDS ? DD_TEAM_STEP : DD_TEAM_EACH;
        team_fixture f;
        team_fixture_open(&f, 1, 12, 2, 5, kind(k % KINDS));
        team_good_step(&f);
        const uint32_t roots = f.roots;
        dd_team_cancel(f.team);
        dd_team_cancel(f.team); /* answered together */
        assert_int_equal(dd_team_request(f.team, request, NULL, NULL), DD_ERR_CANCELLED);
        assert_int_equal(team_totals(&f).lanes_done, 12);
        assert_int_equal(team_totals(&f).lanes_cancelled, 12);
        assert_int_equal(f.roots, roots);
        assert_int_equal(f.verdicts, request == DD_TEAM_STEP ? 2 : 1);
        assert_true(request != DD_TEAM_STEP || !f.decided);
        for (uint32_t b = 0; b < FIXTURE_BLOCKS; b++)
            assert_int_equal(f.updates[b], 1);
        team_good_step(&f);
        team_fixture_close(&f);
    }
}

static void cancel_in_lane_5(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    if (lane == 5)
        dd_team_cancel(f->team);
}

/* Lanes that run together are begun together, and a cancel among them stops the next ones. */
static void cancel_in_lane_0(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    if (lane == 0)
        dd_team_cancel(f->team);
}

static void test_cancel_inside_a_bundle(void **state)
{
    (void)state;
    for (int stealing = 0; stealing <= 1; stealing++) {
        team_fixture f;
        team_fixture_open(&f, 1, 18, 1, 1, /* lanes of one and of two sequences in turn */
                          (dd_team_options){.reduce = DD_REDUCE_OWNER, .stealing = stealing});
        f.in_lane = cancel_in_lane_5;
        assert_int_equal(team_step(&f), DD_ERR_CANCELLED);
        assert_int_equal(team_totals(&f).lanes_done, 6); /* lane 4 and 5 are too much for one */
        team_fixture_close(&f);

        team_fixture_open(&f, 1, 12, 1, 1,
                          (dd_team_options){.reduce = DD_REDUCE_OWNER, .stealing = stealing});
        f.in_lane = cancel_in_lane_0;
        const uint64_t beats = team_totals(&f).heartbeat;
        assert_int_equal(team_step(&f), DD_ERR_CANCELLED);
        assert_int_equal(team_totals(&f).lanes_done, stealing ? 1 : 2);
        assert_int_equal(team_totals(&f).lanes_cancelled, stealing ? 11 : 10);
        assert_true(team_totals(&f).heartbeat >= beats + (stealing ? 1 : 2));
        assert_int_equal(f.lane_runs[1], !stealing);
        assert_int_equal(f.lane_runs[2] + f.slices[0] + f.updates[0], 0);
        f.in_lane = NULL;
        team_good_step(&f);
        team_fixture_close(&f);
    }
}

static void cancel_in_last_lane(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    if (lane == DD_POSITIONS - 1)
        dd_team_cancel(f->team);
}

static void test_cancel_inside_a_request(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < KINDS; k++) {
        team_fixture f;
        team_fixture_open(&f, 1, 12, 1, 1, kind(k));
        f.in_lane = cancel_in_lane_5;
        assert_int_equal(team_step(&f), DD_ERR_CANCELLED);
        assert_int_equal(team_totals(&f).lanes_done, 6); /* the lane that had begun was finished */
        assert_int_equal(team_totals(&f).lanes_cancelled, 6);
        assert_int_equal(f.roots + f.updates[0], 0);

        /* Too late for this step, which goes through; the next one answers. */
        f.in_lane = cancel_in_last_lane;
        assert_int_equal(team_step(&f), DD_OK);
        assert_int_equal(f.updates[0], 1);
        f.in_lane = NULL;
        assert_int_equal(team_step(&f), DD_ERR_CANCELLED);
        assert_int_equal(team_totals(&f).lanes_done, 18);
        team_good_step(&f);
        team_fixture_close(&f);
    }
}

/* Cancels at arbitrary moments until told to stop. */
typedef struct canceller {
    team_fixture *f;
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

static void cancel_at_random(uint32_t depth, uint32_t workers, dd_team_options options)
{
    team_fixture f;
    team_fixture_open(&f, 1, 17, depth, workers, options);
    canceller c = {.f = &f, .seed = workers};
    dd_u32_init(&c.stop, 0);
    assert_int_equal(dd_thread_create(&c.thread, "canceller", 0, canceller_main, &c), 0);

    uint32_t n_ok = 0, n_cancelled = 0;
    for (uint32_t i = 0; i < 200 / divisor + 5; i++) {
        uint32_t updates[FIXTURE_BLOCKS];
        for (uint32_t b = 0; b < FIXTURE_BLOCKS; b++)
            updates[b] = f.updates[b];
        dd_status st = team_step(&f);
        assert_true(st == DD_OK || st == DD_ERR_CANCELLED);
        ++*(st == DD_OK ? &n_ok : &n_cancelled);
        assert_true(f.decided == (st == DD_OK ? f.expected : 0));
        for (uint32_t b = 0; b < FIXTURE_BLOCKS; b++)
            assert_int_equal(f.updates[b] - updates[b], st == DD_OK);
    }
    dd_u32_store(&c.stop, 1, DD_RELEASE);
    dd_thread_join(&c.thread);
    dd_u32_forget(&c.stop);

    const dd_thread_report sum = team_totals(&f);
    assert_int_equal(sum.lanes_done + sum.lanes_cancelled, (n_ok + n_cancelled) * f.n_lanes);
    assert_true(sum.lanes_done >= n_ok * f.n_lanes);
    assert_true(n_cancelled <= c.n_cancels);
    if (team_step(&f) == DD_ERR_CANCELLED) /* at most one is still asked for */
        assert_int_equal(team_step(&f), DD_OK);
    team_fixture_close(&f);
}

static void test_cancel_at_random_moments(void **state)
{
    (void)state;
    for (uint32_t workers = 1; workers <= DD_POSITIONS; workers += 1 + workers / 2)
        for (uint32_t k = 0; k < KINDS; k++)
            cancel_at_random(workers % 2 ? 1 : 2, workers, kind(k));
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

static uint32_t thread_of(const team_fixture *f, uint32_t worker)
{
    dd_membership m;
    dd_team_membership(f->team, &m);
    return m.thread[m.hierarchy->worker[worker]];
}

static void spoil_in_lane_7(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)f;
    (void)worker;
    if (lane == 7)
        spoil_fp_env();
}

static void spoil_in_update(team_fixture *f, uint32_t worker, uint64_t n_blocks)
{
    (void)f;
    (void)n_blocks;
    if (worker == 1)
        spoil_fp_env();
}

static _Thread_local bool gave_verdict;

static void spoil_in_verdict(team_fixture *f)
{
    (void)f;
    gave_verdict = true;
    spoil_fp_env();
}

static void find_spoiled(team_fixture *f, uint32_t worker, uint64_t n_blocks)
{
    (void)n_blocks;
    if (gave_verdict)
        *(uint32_t *)f->arg = thread_of(f, worker);
}

static void expect_fp_error(team_fixture *f, uint32_t culprit)
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
    for (uint32_t k = 0; k < KINDS; k++) {
        const dd_team_options options = kind(k);
        if (options.stealing) /* who runs a lane is not known in advance */
            continue;
        team_fixture f;
        dd_thread_report r;
        /* changed while lanes run: found on arrival at B, before it can do harm */
        team_fixture_open(&f, 1, 12, 2, 3, options);
        f.in_lane = spoil_in_lane_7;
        expect_fp_error(&f, thread_of(&f, 1));
        team_fixture_close(&f);
        /* changed after V: found at the next A; that worker runs nothing, the others do */
        team_fixture_open(&f, 1, 12, 1, 3, options);
        f.in_update = spoil_in_update;
        team_good_step(&f);
        expect_fp_error(&f, thread_of(&f, 1));
        dd_team_report(f.team, thread_of(&f, 1), &r);
        assert_int_equal(r.lanes_done, 4);
        assert_int_equal(r.lanes_cancelled, 8);
        dd_team_report(f.team, thread_of(&f, 2), &r);
        assert_int_equal(r.lanes_done, 12);
        team_fixture_close(&f);
        /* changed by whoever gives the verdict: Node Zero, or the last worker to arrive */
        uint32_t spoiled = 0;
        team_fixture_open(&f, 1, 12, 1, 3, options);
        f.arg = &spoiled;
        f.in_verdict = spoil_in_verdict;
        f.in_update = find_spoiled;
        team_good_step(&f);
        f.in_verdict = NULL;
        const bool climbs =
            options.barrier == DD_BARRIER_TREE && options.reduce != DD_REDUCE_CONTROL;
        assert_int_equal(spoiled > 0, climbs);
        expect_fp_error(&f, spoiled);
        team_fixture_close(&f);
    }
}

/* ---- Life and death ---- */

static void open_and_close(uint32_t i)
{
    team_fixture f;
    team_fixture_open(&f, 1, 12, i % 5 ? 1 : 2, i % DD_POSITIONS + 1,
                      kind(i / DD_POSITIONS % KINDS));
    if (i % 2)
        assert_int_equal(team_step(&f), DD_OK);
    team_fixture_close(&f);
}

static void *open_and_close_often(void *rounds)
{
    for (uint32_t i = 0; i < *(const uint32_t *)rounds; i++)
        open_and_close(i);
    return NULL;
}

/* In a thread of its own: what libc keeps of each thread's freed bytes goes with it. */
static void open_and_close_aside(uint32_t rounds)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, open_and_close_often, &rounds), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_opening_and_closing_leaves_nothing(void **state)
{
    (void)state;
    const uint32_t rounds = 5 * KINDS * DD_POSITIONS / divisor; /* every combination */
    open_and_close_aside(rounds);
    const uint32_t n_threads = entries("/proc/self/task"), n_files = entries("/proc/self/fd");
    const size_t bytes = mallinfo2().uordblks;
    open_and_close_aside(rounds);
    assert_threads(n_threads);
    assert_int_equal(entries("/proc/self/fd"), n_files);
    assert_true(mallinfo2().uordblks <= bytes);
}

static void test_thread_creation_failure(void **state)
{
    (void)state;
    const uint32_t n_threads = entries("/proc/self/task");
    for (int barrier = DD_BARRIER_TREE; barrier <= DD_BARRIER_PTHREAD; barrier++)
        for (uint32_t workers = 1; workers <= 20; workers = next_size(workers))
            for (uint32_t depth = workers > DD_POSITIONS ? 2 : 1; depth <= 2; depth++) {
                dd_hierarchy *h;
                assert_int_equal(dd_hierarchy_open(depth, workers, &h), DD_OK);
                const uint32_t n = h->n_spheres;
                dd_hierarchy_close(h);
                for (uint32_t k = 0; k<n; k += n> 8 ? 5 : 1) {
                    team_fixture f;
                    dd_team_options options = {.barrier = (dd_barrier)barrier};
                    assert_int_equal(dd_hierarchy_open(depth, workers, &h), DD_OK);
                    creations_left = k;
                    dd_status st = team_fixture_start(&f, 1, 24, h, options);
                    creations_left = UINT32_MAX;
                    assert_int_equal(st, DD_ERR_THREAD);
                    /* and works when threads can be had again */
                    team_fixture_open(&f, 1, 24, depth, workers, options);
                    assert_int_equal(team_step(&f), DD_OK);
                    team_fixture_close(&f);
                }
            }
    assert_threads(n_threads);
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shape_of_team),
        cmocka_unit_test(test_deep_teams),
        cmocka_unit_test(test_mixed_trees),
        cmocka_unit_test(test_generations_wrap),
        cmocka_unit_test(test_stealing_moves_lanes),
        cmocka_unit_test(test_slices_follow_speed),
        cmocka_unit_test(test_cancel_before_a_request),
        cmocka_unit_test(test_cancel_inside_a_request),
        cmocka_unit_test(test_cancel_inside_a_bundle),
        cmocka_unit_test(test_cancel_at_random_moments),
        cmocka_unit_test(test_changed_fp_env_is_an_error),
        cmocka_unit_test(test_opening_and_closing_leaves_nothing),
        cmocka_unit_test(test_thread_creation_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
