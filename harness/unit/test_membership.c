/* SPDX-License-Identifier: MIT
 * core/control: membership. Spheres come and go under a running team, by command and by policy;
 * threads that a change does not touch stay; what fails leaves all as it was. An argument divides
 * the repetitions, for detectors. */
#define _GNU_SOURCE /* nanosleep */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "platform.h"
#include "policy.h"
#include "team_fixture.h"

/* ---- Allocation that is counted, and fails on demand ---- */

void *__real_dd_alloc(size_t bytes);
void *__wrap_dd_alloc(size_t bytes);
void __real_dd_free(void *p);
void __wrap_dd_free(void *p);
static uint32_t allocations_left = UINT32_MAX;
static dd_atomic_u64 n_live; /* blocks in use; Node Zero allocates, the caller too */

void *__wrap_dd_alloc(size_t bytes)
{
    if (allocations_left != UINT32_MAX && allocations_left-- == 0)
        return NULL;
    void *p = __real_dd_alloc(bytes);
    dd_u64_fetch_add(&n_live, p != NULL, DD_RELAXED);
    return p;
}

void __wrap_dd_free(void *p)
{
    dd_u64_fetch_add(&n_live, -(uint64_t)(p != NULL), DD_RELAXED);
    __real_dd_free(p);
}

static uint64_t live(void)
{
    return dd_u64_load(&n_live, DD_RELAXED);
}

/* ---- A clock that only lanes move, on demand ---- */

uint64_t __real_dd_now_ns(void);
uint64_t __wrap_dd_now_ns(void);
static bool clock_is_ours;
static dd_atomic_u64 our_clock_ns;

uint64_t __wrap_dd_now_ns(void)
{
    return clock_is_ours ? dd_u64_load(&our_clock_ns, DD_RELAXED) : __real_dd_now_ns();
}

/* ---- Changes ---- */

static dd_status spawn(team_fixture *f, const char *at, uint32_t n_children, dd_error *error)
{
    return dd_team_command(f->team, DD_COMMAND_SPAWN, team_place(at), n_children, error);
}

static dd_status terminate(team_fixture *f, const char *at, dd_error *error)
{
    return dd_team_command(f->team, DD_COMMAND_TERMINATE, team_place(at), 0, error);
}

static dd_membership membership(const team_fixture *f)
{
    dd_membership m;
    dd_team_membership(f->team, &m);
    return m;
}

/* What stands at every place: the kernel's thread ids must be those of the numbers. */
typedef struct snapshot {
    uint32_t n;
    dd_place *place;
    uint32_t *thread, *tid;
} snapshot;

static snapshot snapshot_take(const team_fixture *f)
{
    const dd_membership m = membership(f);
    snapshot s = {.n = m.hierarchy->n_spheres};
    s.place = malloc(s.n * sizeof *s.place);
    s.thread = malloc(s.n * sizeof *s.thread);
    s.tid = malloc(s.n * sizeof *s.tid);
    for (uint32_t i = 0; i < s.n; i++) {
        dd_thread_report r;
        dd_team_report(f->team, m.thread[i], &r);
        s.place[i] = m.hierarchy->sphere[i].place;
        s.thread[i] = m.thread[i];
        s.tid[i] = r.tid;
    }
    return s;
}

static void snapshot_free(snapshot *s)
{
    free(s->place);
    free(s->thread);
    free(s->tid);
}

/* Whoever was there before a change and is there after it has its thread; no thread is at two
 * places; reports say where each is. After a step, so that all have arrived. */
static void assert_threads_stay(const team_fixture *f, const snapshot *before)
{
    const dd_membership m = membership(f);
    const uint32_t n_threads = dd_team_n_threads(f->team);
    for (uint32_t i = 0; i < before->n; i++) {
        const uint32_t s = dd_hierarchy_at(m.hierarchy, before->place[i]);
        dd_thread_report r;
        dd_team_report(f->team, before->thread[i], &r);
        assert_int_equal(r.tid, before->tid[i]);
        if (s != DD_NO_SPHERE)
            assert_int_equal(m.thread[s], before->thread[i]);
    }
    uint8_t *seen = calloc(n_threads, 1);
    for (uint32_t s = 0; s < m.hierarchy->n_spheres; s++) {
        dd_thread_report r;
        assert_in_range(m.thread[s], 0, n_threads - 1);
        assert_false(seen[m.thread[s]]++);
        dd_team_report(f->team, m.thread[s], &r);
        assert_true(dd_place_equal(r.place, m.hierarchy->sphere[s].place));
        assert_int_equal(r.control, m.hierarchy->sphere[s].n_children > 0);
        assert_false(r.parked);
    }
    free(seen);
}

static uint32_t count_parked(const team_fixture *f)
{
    uint32_t n = 0;
    for (uint32_t t = 0; t < dd_team_n_threads(f->team); t++) {
        dd_thread_report r;
        dd_team_report(f->team, t, &r);
        n += r.parked;
        assert_false(r.parked && r.control);
    }
    return n;
}

static void test_expand_and_collapse(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 3, (dd_team_options){.max_workers = 20});
    team_good_step(&f);
    assert_int_equal(dd_team_n_threads(f.team), 4);
    snapshot before = snapshot_take(&f);

    /* the worker at 4 becomes a control of five: threads 4 to 8 are made */
    assert_int_equal(spawn(&f, "4", 5, NULL), DD_OK);
    team_good_step(&f);
    assert_threads_stay(&f, &before);
    dd_membership m = membership(&f);
    assert_int_equal(m.hierarchy->n_workers, 7);
    assert_int_equal(m.n_changes, 1);
    assert_int_equal(dd_team_n_threads(f.team), 9);
    const uint32_t control = m.thread[dd_hierarchy_at(m.hierarchy, team_place("4"))];
    dd_thread_report r, later;
    dd_team_report(f.team, control, &r);
    for (int i = 0; i < 5; i++)
        team_good_step(&f);
    dd_team_report(f.team, control, &later);
    assert_int_equal(later.lanes_done, r.lanes_done); /* it works no more, but is awake */
    assert_true(later.heartbeat > r.heartbeat);

    /* and back: its children wait in the pool, from which the next take them */
    assert_int_equal(terminate(&f, "4", NULL), DD_OK);
    team_good_step(&f);
    assert_threads_stay(&f, &before);
    dd_team_report(f.team, control, &r);
    assert_true(r.lanes_done > later.lanes_done);
    assert_int_equal(count_parked(&f), 5);
    enum { PARKED = 4 };
    dd_team_report(f.team, PARKED, &r);
    assert_true(r.parked);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    const uint64_t called_ns = dd_now_ns();
    assert_int_equal(spawn(&f, "0", 4, NULL), DD_OK);
    assert_int_equal(spawn(&f, "0.0", 3, NULL), DD_OK);
    team_good_step(&f);
    assert_threads_stay(&f, &before);
    assert_int_equal(dd_team_n_threads(f.team), 11);
    assert_int_equal(count_parked(&f), 0);
    assert_int_equal(membership(&f).hierarchy->depth, 3);
    dd_team_report(f.team, PARKED, &later); /* its time in the pool was no waiting at A */
    assert_true(later.wait_ns[0] - r.wait_ns[0] <= dd_now_ns() - called_ns);
    snapshot_free(&before);
    team_fixture_close(&f);
}

/* ---- Many changes ---- */

/* returns  whether there was one, and not a refusal */
static bool change_at_random(team_fixture *f, uint32_t *random)
{
    const dd_hierarchy *h = membership(f).hierarchy;
    *random = *random * 1664525u + 1013904223u;
    const uint32_t pick = *random >> 8;
    const dd_sphere *sphere = &h->sphere[pick % h->n_spheres];
    const bool collapses = sphere->n_children > 0;
    const uint32_t n_workers = h->n_workers, n_below = sphere->n_workers;
    const uint32_t n_children = 1 + (pick >> 8) % DD_POSITIONS;
    const dd_place place = sphere->place;
    dd_error error;
    const dd_status st = dd_team_command(
        f->team, collapses ? DD_COMMAND_TERMINATE : DD_COMMAND_SPAWN, place, n_children, &error);
    const uint32_t n_now = membership(f).hierarchy->n_workers;
    const bool possible = collapses ? place.level > 0
                                    : place.level < DD_TEAM_DEPTH_MAX &&
                                          n_workers + n_children - 1 <= f->options.max_workers;
    assert_int_equal(st, possible ? DD_OK : DD_ERR_REFUSED);
    assert_int_equal(n_now, !possible   ? n_workers
                            : collapses ? n_workers - n_below + 1
                                        : n_workers + n_children - 1);
    return possible;
}

static void test_two_hundred_changes_in_500_steps(void **state)
{
    (void)state;
    for (int k = 0; k<16; k += divisor> 1 ? 7 : 1) {
        const dd_team_options options = {.barrier = (dd_barrier)(k % 2),
                                         .reduce = (dd_reduce)(k / 2 % 4),
                                         .stealing = k >= 8,
                                         .stack_bytes = 128 * 1024,
                                         .generation = UINT32_MAX - 300,
                                         .max_workers = 30};
        team_fixture f;
        team_fixture_open(&f, k % 4 ? 1 : 2, 40, 1, 3, options);
        uint32_t random = (uint32_t)k, n_changes = 0;
        team_good_step(&f); /* all threads have begun */
        for (uint32_t i = 0; i < 500 / divisor; i++) {
            snapshot before = snapshot_take(&f);
            while (i % 5 < 2 && !change_at_random(&f, &random))
                continue;
            n_changes += i % 5 < 2;
            team_good_step(&f);
            assert_threads_stay(&f, &before);
            snapshot_free(&before);
        }
        const dd_membership m = membership(&f);
        assert_int_equal(m.n_changes, n_changes);
        assert_true(divisor > 1 || n_changes == 200);
        assert_int_equal(count_parked(&f) + m.hierarchy->n_spheres, dd_team_n_threads(f.team));
        team_fixture_close(&f);
    }
}

/* ---- What cannot be ---- */

static void assert_refused(dd_status st, const dd_error *error, const char *word)
{
    assert_int_equal(st, DD_ERR_REFUSED);
    if (!strstr(error->message, word))
        fail_msg("\"%s\" does not say \"%s\"", error->message, word);
    assert_null(strchr(error->message, '\n'));
}

static void test_refusals(void **state)
{
    (void)state;
    dd_error error;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){.max_workers = 6});
    assert_refused(spawn(&f, "0", 6, &error), &error, "7 workers");
    assert_int_equal(spawn(&f, "0", 5, &error), DD_OK);
    assert_refused(spawn(&f, "3", 2, &error), &error, "3");
    assert_refused(spawn(&f, "0", 2, &error), &error, "0");
    assert_refused(spawn(&f, "6", 0, &error), &error, "0");
    assert_refused(spawn(&f, "6", 13, &error), &error, "13");
    assert_refused(terminate(&f, "6", &error), &error, "6");
    assert_refused(terminate(&f, "9", &error), &error, "9");
    assert_refused(terminate(&f, "zero", &error), &error, "ero");
    assert_int_equal(spawn(&f, "6", 1, &error), DD_OK);
    assert_int_equal(spawn(&f, "6.0", 1, &error), DD_OK);
    assert_refused(spawn(&f, "6.0.0", 1, &error), &error, "level 3");
    assert_int_equal(membership(&f).n_changes, 3);
    team_good_step(&f);
    team_fixture_close(&f);

    /* gradient memory for the two workers that there are */
    team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){0});
    const uint32_t n_segments = dd_plan_n_segments(membership(&f).plan);
    team_fixture_close(&f);
    team_fixture_open(&f, 1, 12, 1, 2,
                      (dd_team_options){.max_workers = 12, .max_segments = n_segments});
    assert_refused(spawn(&f, "0", 7, &error), &error, "segments");
    assert_int_equal(membership(&f).n_changes, 0);
    team_good_step(&f);
    team_fixture_close(&f);

    /* of which `owner` has one for each lane, whoever runs it */
    team_fixture_open(
        &f, 1, 12, 1, 2,
        (dd_team_options){.reduce = DD_REDUCE_OWNER, .max_workers = 12, .max_segments = 1});
    assert_int_equal(dd_plan_n_segments(membership(&f).plan), 12);
    team_good_step(&f);
    assert_int_equal(spawn(&f, "0", 7, &error), DD_OK);
    assert_int_equal(dd_plan_n_segments(membership(&f).plan), 12);
    team_good_step(&f);
    team_fixture_close(&f);
}

static void test_threads_that_cannot_be_had(void **state)
{
    (void)state;
    const uint32_t n_threads = entries("/proc/self/task");
    for (uint32_t k = 0; k < 6; k++) {
        team_fixture f;
        dd_error error = {{0}};
        team_fixture_open(&f, 1, 12, 1, 2, (dd_team_options){.max_workers = 12});
        team_good_step(&f);
        snapshot before = snapshot_take(&f);
        const uint64_t blocks = live();
        creations_left = k;
        assert_int_equal(spawn(&f, "6", 6, &error), DD_ERR_THREAD);
        creations_left = UINT32_MAX;
        assert_int_equal(live(), blocks); /* nothing is kept of what was not to be had */
        assert_true(error.message[0]);
        assert_int_equal(membership(&f).hierarchy->n_workers, 2);
        assert_int_equal(membership(&f).n_changes, 0);
        assert_int_equal(dd_team_n_threads(f.team), 3 + k); /* those made wait in the pool */
        team_good_step(&f);
        assert_threads_stay(&f, &before);
        if (k % 2) {
            assert_int_equal(spawn(&f, "6", 6, &error), DD_OK);
            team_good_step(&f);
            assert_int_equal(dd_team_n_threads(f.team), 9);
            assert_threads_stay(&f, &before);
        }
        snapshot_free(&before);
        team_fixture_close(&f);
    }
    assert_threads(n_threads);
}

static void test_memory_that_cannot_be_had(void **state)
{
    (void)state;
    const uint32_t n_threads = entries("/proc/self/task");
    for (int how = 0; how < 4; how++) {
        const dd_team_options options = {.max_workers = 12,
                                         .reduce = how / 2 ? DD_REDUCE_OWNER : DD_REDUCE_TREE,
                                         .stealing = how % 2};
        team_fixture f;
        /* at open */
        for (uint32_t k = 0;; k++) {
            dd_hierarchy *h;
            assert_int_equal(dd_hierarchy_open(1, 2, &h), DD_OK);
            allocations_left = k;
            const dd_status st = team_fixture_start(&f, 1, 12, h, options);
            const bool failed = allocations_left == UINT32_MAX;
            allocations_left = UINT32_MAX;
            assert_int_equal(st, failed ? DD_ERR_MEMORY : DD_OK);
            if (!failed)
                break;
        }
        team_good_step(&f);
        /* in a change */
        for (uint32_t k = 0;; k++) {
            dd_error error = {{0}};
            const uint64_t blocks = live();
            allocations_left = k;
            const dd_status st = spawn(&f, "6", 4, &error);
            const bool failed = allocations_left == UINT32_MAX;
            allocations_left = UINT32_MAX;
            assert_int_equal(st, failed ? DD_ERR_MEMORY : DD_OK);
            assert_true(!failed || live() == blocks);
            team_good_step(&f);
            if (!failed)
                break;
            assert_true(error.message[0]);
            assert_int_equal(membership(&f).n_changes, 0);
        }
        team_fixture_close(&f);
    }
    assert_threads(n_threads);
}

/* ---- By speed ---- */

static void slow_worker_0(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)f;
    (void)lane;
    nanosleep(&(struct timespec){.tv_nsec = worker == 0 ? 20000000 : 1000000}, NULL);
}

static void test_rebalance(void **state)
{
    (void)state;
    for (int k = 0; k < 4; k++) {
        team_fixture f;
        team_fixture_open(&f, 1, 12, 1, 2,
                          (dd_team_options){.reduce = k / 2 ? DD_REDUCE_OWNER : DD_REDUCE_TREE,
                                            .stealing = k % 2});
        assert_int_equal(membership(&f).share[0].n_lanes, 6);
        f.in_lane = slow_worker_0;
        team_good_step(&f);
        snapshot before = snapshot_take(&f);
        for (int i = 0; i < 3; i++)
            team_good_step(&f);
        assert_int_equal(team_command(&f, DD_COMMAND_REBALANCE), DD_OK);
        const dd_membership m = membership(&f);
        assert_in_range(m.share[0].n_lanes, 1, 4);
        assert_int_equal(m.share[0].n_lanes + m.share[1].n_lanes, 12);
        f.in_lane = NULL;
        team_good_step(&f);
        assert_threads_stay(&f, &before);
        /* and it can change as before */
        assert_int_equal(team_command(&f, DD_COMMAND_REBALANCE), DD_OK);
        team_good_step(&f);
        snapshot_free(&before);
        team_fixture_close(&f);
    }
}

/* Workers who ran nothing yet have no speed: shares are then even. */
static void test_rebalance_unmeasured(void **state)
{
    (void)state;
    team_fixture f;
    team_fixture_open(&f, 1, 12, 1, 1, (dd_team_options){.max_workers = 4});
    team_good_step(&f);
    assert_int_equal(dd_team_command(f.team, DD_COMMAND_SPAWN, team_place("0"), 4, NULL), DD_OK);
    assert_int_equal(team_command(&f, DD_COMMAND_REBALANCE), DD_OK);
    const dd_membership m = membership(&f);
    for (uint32_t w = 0; w < 4; w++)
        assert_int_equal(m.share[w].n_lanes, 3);
    team_good_step(&f);
    team_fixture_close(&f);
}

/* With segments for even shares only, it goes as far as they reach. */
static void test_rebalance_within_segments(void **state)
{
    (void)state;
    for (uint32_t n_workers = 2; n_workers <= 5; n_workers++) {
        team_fixture f;
        team_fixture_open(&f, 1, 12, 1, n_workers, (dd_team_options){0});
        const uint32_t n_segments = dd_plan_n_segments(membership(&f).plan);
        team_fixture_close(&f);
        team_fixture_open(&f, 1, 12, 1, n_workers, (dd_team_options){.max_segments = n_segments});
        f.in_lane = slow_worker_0;
        for (int i = 0; i < 3; i++)
            team_good_step(&f);
        assert_int_equal(team_command(&f, DD_COMMAND_REBALANCE), DD_OK);
        const dd_membership m = membership(&f);
        assert_in_range(dd_plan_n_segments(m.plan), 1, n_segments);
        assert_in_range(m.share[0].n_lanes, 1, 12 / n_workers + 1);
        assert_int_equal(m.n_changes, 0); /* the hierarchy is what it was */
        team_good_step(&f);
        team_fixture_close(&f);
    }
}

/* ---- By policy ---- */

static void lane_of_arg_ns(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    (void)lane;
    const uint64_t until_ns = dd_now_ns() + *(uint64_t *)f->arg;
    while (dd_now_ns() < until_ns)
        sched_yield(); /* other workers may share the core: time passes alike for all */
}

static void test_policy_follows_the_work(void **state)
{
    (void)state;
    if (divisor > 1) {
        print_message("SKIP: under a race detector no lane takes nanoseconds\n");
        skip();
    }
    for (int k = 0; k < 4; k++) {
        team_fixture f;
        team_fixture_open(&f, 1, 12, 1, 1,
                          (dd_team_options){.automatic = true,
                                            .cores = 4,
                                            .max_workers = 12,
                                            .barrier = (dd_barrier)(k % 2),
                                            .reduce = (dd_reduce)k});
        uint64_t lane_ns = 1000000;
        f.arg = &lane_ns;
        f.in_lane = lane_of_arg_ns;
        for (uint32_t i = 0; i < DD_AUTO_PATIENCE + 1; i++)
            team_good_step(&f);
        assert_int_equal(membership(&f).hierarchy->n_workers, 4);
        assert_int_equal(membership(&f).n_changes, 1);
        for (uint32_t i = 0; i < 2 * DD_AUTO_REST; i++)
            team_good_step(&f);
        assert_int_equal(membership(&f).n_changes, 1); /* and stays */
        f.in_lane = NULL; /* lanes of nanoseconds are not worth a thread */
        for (uint32_t i = 0; i < 60 && membership(&f).hierarchy->n_workers > 1; i++)
            team_good_step(&f);
        assert_int_equal(membership(&f).hierarchy->n_workers, 1);
        assert_int_equal(membership(&f).hierarchy->depth, 1);
        team_fixture_close(&f);
    }
}

static void lane_moves_clock(team_fixture *f, uint32_t worker, uint32_t lane)
{
    (void)worker;
    (void)lane;
    dd_u64_fetch_add(&our_clock_ns, *(uint64_t *)f->arg, DD_RELAXED);
}

/* The time of lanes that run together is shared out to them: twelve of a quarter of what is worth a
 * thread are work for three workers. Were each charged with its bundle's, they were for four. */
static void test_policy_knows_single_lanes(void **state)
{
    (void)state;
    dd_u64_init(&our_clock_ns, 1);
    for (int reduce = DD_REDUCE_TREE; reduce <= DD_REDUCE_OWNER; reduce++) {
        team_fixture f;
        clock_is_ours = true;
        team_fixture_open(
            &f, 1, 12, 1, 1,
            (dd_team_options){
                .automatic = true, .cores = 4, .max_workers = 12, .reduce = (dd_reduce)reduce});
        uint64_t lane_ns = DD_AUTO_LEAST_NS / 4;
        f.arg = &lane_ns;
        f.in_lane = lane_moves_clock;
        for (uint32_t i = 0; i < DD_AUTO_PATIENCE + 1; i++)
            team_good_step(&f);
        assert_int_equal(membership(&f).n_changes, 1);
        assert_int_equal(membership(&f).hierarchy->n_workers, 3);
        team_fixture_close(&f);
        clock_is_ours = false;
    }
    dd_u64_forget(&our_clock_ns);
}

/* ---- Very many ---- */

static void test_1728_workers(void **state)
{
    (void)state;
    if (divisor > 1) {
        print_message("SKIP: race detectors have no room for that many threads\n");
        skip();
    }
    for (int reduce = DD_REDUCE_TREE; reduce <= DD_REDUCE_OWNER; reduce++) {
        dd_hierarchy *h;
        assert_int_equal(dd_hierarchy_open(3, 1728, &h), DD_OK);
        assert_int_equal(h->n_spheres, 1885);
        team_fixture f;
        const dd_status st = team_fixture_start(
            &f, 3, 1728, h,
            (dd_team_options){.reduce = (dd_reduce)reduce, .stack_bytes = 64 * 1024});
        if (st == DD_ERR_THREAD) {
            print_message("SKIP: this system does not let the process have 1,885 threads\n");
            skip();
        }
        assert_int_equal(st, DD_OK);
        for (int i = 0; i < 3; i++)
            team_good_step(&f);
        assert_int_equal(terminate(&f, "11", NULL), DD_OK);
        team_good_step(&f);
        assert_int_equal(membership(&f).hierarchy->n_workers, 1728 - 143);
        team_fixture_close(&f);
    }
}

int main(int argc, char **argv)
{
    divisor = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    dd_u64_init(&n_live, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expand_and_collapse),
        cmocka_unit_test(test_two_hundred_changes_in_500_steps),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_threads_that_cannot_be_had),
        cmocka_unit_test(test_memory_that_cannot_be_had),
        cmocka_unit_test(test_rebalance),
        cmocka_unit_test(test_rebalance_unmeasured),
        cmocka_unit_test(test_rebalance_within_segments),
        cmocka_unit_test(test_policy_follows_the_work),
        cmocka_unit_test(test_policy_knows_single_lanes),
        cmocka_unit_test(test_1728_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
